"""The command line, run by tests: in this process, or in one of its own."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from serein import cli


@dataclass
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


def run(*arguments: str | Path, status: int = 0) -> Done:
    """Run `serein` in this process, which has imported everything already."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    argv = mock.patch.object(sys, "argv", ["serein", *map(str, arguments)])
    with argv, redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    said = Done(*(stream.buffer.getvalue().decode() for stream in (out, err)))
    assert code == status, said.stderr
    return said


def run_process(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serein", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == status, done.stderr
    return done
