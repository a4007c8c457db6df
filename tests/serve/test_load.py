"""Load test: every request gets a prediction or a clean error, and none is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import psutil
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("load")


def test_the_table_is_the_benchs(bench: ModuleType) -> None:
    found = json.loads((ROOT / "results" / "load.json").read_text(encoding="utf-8"))
    page = (ROOT / "results" / "load.md").read_text(encoding="utf-8")
    assert page.split(bench.MARK)[1].strip() == bench.table(found)


@pytest.mark.slow
def test_more_uploads_and_streams_at_once_than_the_limits_allow(bench: ModuleType) -> None:
    """As the bench, but smaller: most are refused at first, and all uploads are answered."""
    limits = ("--requests-per-minute", "0", "--max-queue", "16", "--max-streams", "6")
    with bench.service(*limits) as (url, process):
        asyncio.run(bench.load(url, uploads=4, streams=2, seconds=1))
        before_mb = bench.memory_mb(process)
        found = asyncio.run(bench.load(url, uploads=80, streams=20, seconds=2))
        after_mb = bench.memory_mb(process)
        children = process.children(recursive=True)
    assert len(children) > 2
    assert not psutil.wait_procs(children, timeout=20)[1]
    assert dict(found.uploads) == {"answered": 80}
    assert found.streams["answered"] + found.streams["refused"] == 20
    assert 6 <= found.streams["answered"] <= 12
    assert found.attempts[503] > 0
    assert found.unclean == []
    assert after_mb < before_mb + 150
