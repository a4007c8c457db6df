"""docs/BENCH.md and results/bench.md say what the results say, and they hold what is promised."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOUND: dict[str, Any] = json.loads((ROOT / "results" / "bench.json").read_text(encoding="utf-8"))
SCALING = FOUND["scaling"]["found"]
BULK = json.loads((ROOT / "results" / "bulk.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("page")


def test_the_tables_are_the_results(page: ModuleType) -> None:
    assert {name for names in page.PAGES.values() for name in names} == page.tables(FOUND).keys()
    for place, names in page.PAGES.items():
        text = place.read_text(encoding="utf-8")
        assert page.written(text, FOUND, names) == text, "bench/page.py --table writes them anew"


def test_all_parts_were_measured(page: ModuleType) -> None:
    assert list(FOUND) == list(page.PARTS)
    parts = [part for part in page.PARTS if part != "scaling"]
    peers = " ".join(row.get("peer", "") for part in parts for row in page.rows(FOUND, part))
    for peer in ("openSMILE", "librosa", "Praat", "nkululeko"):
        assert peer in peers


@pytest.mark.parametrize("clock", ["clock_s", "processor_s"])
@pytest.mark.parametrize("kind", ["files", "length"])
def test_growth_is_linear(kind: str, clock: str, page: ModuleType) -> None:
    assert SCALING[kind][clock]["exponent"] <= page.EXPONENT


def test_ten_thousand_files_gain_from_a_second_core(page: ModuleType) -> None:
    assert BULK["files"][-1] == 10_000
    assert BULK["gain"] >= page.GAIN
    assert BULK["exponent"] <= page.EXPONENT
    assert max(BULK["peak_mb"], SCALING["cores"]["peak_mb"]) <= page.PEAK_MB


def test_the_second_core_gives_what_the_machine_has(page: ModuleType) -> None:
    gains, possible = (
        sorted(turn[name] for turn in SCALING["cores"]["rounds"]) for name in ("gain", "possible")
    )
    assert gains[len(gains) // 2] >= page.GAIN, f"with others at work? Counting gained {possible}"


def test_nothing_of_the_machine_is_told() -> None:
    assert "/" not in json.dumps(FOUND)


def test_an_exponent_is_found_again(load_bench: Callable[[str], ModuleType]) -> None:
    scaling = load_bench("scaling")
    points = [
        {"size": n, "clock_s": 3 + 0.01 * n**1.3, "processor_s": 2 + 0.02 * (n - 1)}
        for n in (1, 100, 1000, 10_000)
    ]
    found = scaling.growth(points)
    assert found["clock_s"]["exponent"] == pytest.approx(1.3, abs=0.01)
    assert found["processor_s"]["exponent"] == pytest.approx(1.0, abs=0.001)
    assert found["processor_s"]["with_start"] < 0.95


def test_the_ratio_is_of_the_turns(load_bench: Callable[[str], ModuleType]) -> None:
    turns = load_bench("turns")
    mine, other = iter([9.0, 1.0, 2.0, 30.0]), iter([9.0, 2.0, 4.0, 60.0])
    row = turns.beside("it", lambda: next(mine), "peer", lambda: next(other), unit="ms", turns=3)
    assert (row["ratio"], row["low"], row["high"]) == (0.5, 0.5, 0.5)
    assert (row["serein"], row["theirs"]) == (2.0, 4.0)


@pytest.mark.parametrize("marks", [0, 1, 3])
def test_a_page_without_its_marks_is_refused(marks: int, page: ModuleType) -> None:
    with pytest.raises(SystemExit, match="predictions"):
        page.written("<!-- predictions -->" * marks, FOUND, ["predictions"])


def test_a_row_that_is_not_alone_is_refused(load_bench: Callable[[str], ModuleType]) -> None:
    scored = load_bench("scored")
    rows = [{"system": "a", "uar": 0.5}, {"system": "a", "uar": 0.6}]
    with pytest.raises(SystemExit, match="2 rows hold"):
        scored.the_one(rows, {"system": "a"})
