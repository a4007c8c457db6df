"""What the tests of this folder share; only they can import `hostile`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()  # noqa: S108
sys.path.append(str(HERE))


@pytest.fixture
def hunt(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Run a hunt in a process of its own, whose memory is limited; return its report."""

    def run(target: str) -> dict[str, Any]:
        from hostile import REFUSALS

        if not Path("/proc/self/statm").exists():
            pytest.skip("memory is measured as Linux does")
        command = [sys.executable, str(HERE / "run.py"), target]
        command += ["--refusals", str(REFUSALS[target]), "--out", str(tmp_path)]
        alone = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": MEMORY}
        done = subprocess.run(command, capture_output=True, env=alone, check=False)
        left = [path.read_bytes() for path in tmp_path.iterdir()]
        assert done.returncode == 0, (left, done.stderr.decode("utf-8", "replace")[-4000:])
        return json.loads(done.stdout.splitlines()[-1])

    return run
