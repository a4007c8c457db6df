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
    out, err = io.StringIO(), io.StringIO()
    argv = mock.patch.object(sys, "argv", ["serein", *map(str, arguments)])
    with argv, redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    assert code == status, err.getvalue()
    return Done(out.getvalue(), err.getvalue())


def run_process(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serein", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == status, done.stderr
    return done
