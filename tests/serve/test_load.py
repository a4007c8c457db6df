"""A crowd at the door: everybody gets an answer or a clean refusal, and nobody is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("load")


def test_the_table_is_the_benchs(bench: ModuleType) -> None:
    found = json.loads((ROOT / "results" / "load.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "SERVICE.md").read_text(encoding="utf-8")
    assert page.split(bench.MARK)[1].strip() == bench.table(found)


@pytest.mark.slow
def test_200_uploads_and_50_streams_at_once(bench: ModuleType) -> None:
    with bench.service("--requests-per-minute", "0") as (url, process):
        asyncio.run(bench.crowd(url, uploads=4, streams=2, seconds=1))
        before_mb = bench.weight_mb(process)
        found = asyncio.run(bench.crowd(url, uploads=200, streams=50, seconds=2))
        after_mb = bench.weight_mb(process)
    assert dict(found.uploads) == {"answered": 200}
    assert found.streams["answered"] + found.streams["refused"] == 50
    assert found.streams["answered"] >= 12
    assert found.attempts[503] > 0
    assert found.unclean == []
    assert after_mb < before_mb + 150
