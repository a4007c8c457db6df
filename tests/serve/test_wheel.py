"""The page is in the wheel, though it is not in git."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "src" / "serein" / "serve" / "page"


@pytest.mark.skipif(not (PAGE / "index.html").is_file(), reason="the page is not built: make web")
def test_the_wheel_holds_the_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", tmp_path], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    files = [file for file in PAGE.rglob("*") if file.is_file()]
    built = {file.relative_to(ROOT / "src").as_posix() for file in files}
    assert built <= held
    assert not any("node_modules" in name for name in held)
