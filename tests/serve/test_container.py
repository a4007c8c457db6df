"""The service as compose.yaml runs it, held by the kernel alone where no container engine is."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
JAIL = """
mkdir "$KEYS" && printf '%s' "$KEY" > "$KEYS/key" && chmod 444 "$KEYS/key"
mount --bind "$KEYS" "$KEYS" && mount -t tmpfs -o "$TMPFS" tmpfs "$SPACE"
mount -o remount,bind,ro "$KEYS" && mount -o remount,bind,ro /
exec setpriv --no-new-privs unshare --user --map-user=10001 --map-group=10001 -- "$@"
"""
HELD = (sys.platform == "linux") and all(map(shutil.which, ("unshare", "setpriv")))


def entry() -> list[str]:
    """What the Dockerfile starts, without its port and key."""
    (line,) = re.findall(r"^ENTRYPOINT (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    command = json.loads(line)
    assert command[:2] == ["serein", "serve"]
    return command[2:-1]


def jailed(space: Path, keys: Path, tmpfs: str) -> list[str]:
    """A command that runs as user 10001, in a read-only file system, but for `space`."""
    values = {"SPACE": space, "KEYS": keys, "TMPFS": tmpfs, "KEY": "k" * 40}
    given = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in values.items())
    return ["unshare", "--mount", "sh", "-euc", f"export {given}; {JAIL}", "sh"]


@pytest.mark.skipif(not HELD or os.geteuid() != 0, reason="needs Linux, unshare and root")
def test_it_runs_without_rights_in_a_read_only_file_system(
    tmp_path: Path, voice: Path, start: Callable[..., Any]
) -> None:
    yaml = pytest.importorskip("yaml")
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["serein"]
    (mounted,) = composed["tmpfs"]
    space = tmp_path / "tmp"
    space.mkdir()
    jail = jailed(space, tmp_path / "keys", mounted.partition(":")[2])
    probe = f"id -u; grep CapEff /proc/self/status; touch {ROOT}/x {space}/y; ls {space}"
    seen = subprocess.run([*jail, "sh", "-c", probe], capture_output=True, text=True, check=False)
    if "mount:" in seen.stderr or "unshare:" in seen.stderr:
        pytest.skip(f"the kernel lends no namespaces here: {seen.stderr.strip()}")
    assert seen.stdout.split() == ["10001", "CapEff:", "0" * 16, "y"]
    assert "Read-only file system" in seen.stderr

    shutil.rmtree(tmp_path / "keys")
    home = {"HOME": str(space), "TMPDIR": str(space), "PYTHONDONTWRITEBYTECODE": "1"}
    with start(*entry(), f"{tmp_path}/keys/key", behind=jail, **home) as service:
        url = f"http://127.0.0.1:{service.address[1]}"
        assert httpx.get(f"{url}/healthz").status_code == 200  # as the image asks, without a key
        upload = {"file": ("voice.flac", voice.read_bytes())}
        assert httpx.post(f"{url}/v1/predict", files=upload).status_code == 401
        key = {"Authorization": f"Bearer {'k' * 40}"}
        answer = httpx.post(f"{url}/v1/predict", files=upload, headers=key, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.json()["emotion"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["keys", "tmp"]
    assert list(space.iterdir()) == []
