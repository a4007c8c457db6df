"""docs/ACCURACY.md and results/unseen.md say of unseen corpora what results/unseen.json says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from made_results import made_result
from serein.inference.load import find_model

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "unseen.json"
DOCUMENTS = ("docs/ACCURACY.md", "results/unseen.md")


@pytest.fixture(scope="module")
def bench(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("unseen")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_documents_show_the_results(
    bench: ModuleType, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    for name in DOCUMENTS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    bench.write_documents(tmp_path, rows)
    for name in DOCUMENTS:
        assert (tmp_path / name).read_text(encoding="utf-8") == (ROOT / name).read_text(
            encoding="utf-8"
        ), name


def test_they_are_those_of_the_bundle(rows: list[dict[str, Any]]) -> None:
    manifest = json.loads((find_model("multi") / "manifest.json").read_text(encoding="utf-8"))
    shipped = {
        (row["corpus"], row.get("adapted_to", "single")): row["uar"]
        for row in manifest["scores"]
        if "leave one corpus out" in row["protocol"]
    }
    measured = {
        (row["corpus"], row["case"]): row["uar"]
        for row in rows
        if row.get("among") == "all" and "bundle" not in row
    }
    assert shipped == pytest.approx(measured, abs=1e-3)


def test_predicting_among_the_emotions_of_a_corpus(bench: ModuleType) -> None:
    result = made_result()
    part = result.subset(result.truth < 2)
    own = bench.own(part)
    assert own.labels == result.labels[:2]
    np.testing.assert_allclose(own.probabilities.sum(axis=1), 1)
    assert own.scores()["uar"] >= part.scores()["uar"]


def test_the_loudest_part(bench: ModuleType) -> None:
    signal = np.zeros(16000, np.float32)
    signal[4000:8000] = 0.5
    assert (bench.loudest(signal, 0.25) == 0.5).all()
    assert len(bench.loudest(signal, 9.0)) == len(signal)
