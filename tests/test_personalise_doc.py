"""results/personalise.md shows what results/personalise.json says of a few labelled recordings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from serein.models.personal import STRENGTH

ROOT = Path(__file__).parents[1]
FOUND: dict[str, Any] = json.loads((ROOT / "results/personalise.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bench(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("personalise")


def test_the_document_shows_the_results(bench: ModuleType, tmp_path: Path) -> None:
    text = (ROOT / "results/personalise.md").read_text(encoding="utf-8")
    copy = tmp_path / "personalise.md"
    copy.write_text(text, encoding="utf-8")
    bench.write_document(copy, FOUND)
    assert copy.read_text(encoding="utf-8") == text


def test_the_strength_that_ships_was_chosen_there(bench: ModuleType) -> None:
    assert FOUND["chosen"] == asdict(STRENGTH)
    assert STRENGTH in bench.GRID


def test_with_it_one_clip_costs_nobody_more_than_noise() -> None:
    shipped = [row for row in FOUND["grid"] if row.items() >= asdict(STRENGTH).items()]
    assert [row["loses"] for row in shipped] == [False]
    assert shipped[0]["gain"] > 0


def test_ten_labelled_clips_bring_more_than_one() -> None:
    """At the strength that the other corpora chose."""
    rows = [row for row in FOUND["rows"] if row["strength"]]
    found = {(row["corpus"], row["whose"], row["adapted"], row["clips"]): row for row in rows}
    many = [case for case in found if case[-1] == 10]
    assert len(many) >= 6
    assert all(found[case]["gain"] > max(0, found[*case[:-1], 1]["gain"]) for case in many)
