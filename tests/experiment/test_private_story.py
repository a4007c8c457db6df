"""A private recipe, from its rules to the bundle's card; and the table of results/private.md."""

from __future__ import annotations

import csv
import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from serein.errors import MissingExtraError, RecipeError
from serein.experiment.card import model_card
from serein.experiment.evaluate import evaluate
from serein.experiment.prepare import make_classifier, prepare
from serein.experiment.recipe import Recipe
from serein.experiment.recipe_file import make_recipe
from serein.experiment.speech import SpeechDetector
from serein.experiment.train import Fitted, make_manifest

pytest.importorskip("opacus")
ROOT = Path(__file__).parents[2]
RATE_HZ = 16_000
PRIVATE = {"epochs": 2, "batch_size": 8, "privacy_epsilon": 3.0}


def write_corpus(folder: Path, name: str, hz: float) -> None:
    """Two buzzes an emotion and speaker."""
    rows = [("file", "emotion", "speaker")]
    for number in range(12):
        emotion, speaker = ("anger", "sadness")[number % 2], number // 4
        time = np.arange(RATE_HZ // 2) / RATE_HZ
        pitch = hz * (2 if emotion == "anger" else 1) * (1 + 0.02 * number)
        buzz = sum(np.sin(2 * np.pi * pitch * part * time) / part for part in range(1, 8))
        soundfile.write(folder / f"{name}-{number}.wav", 0.1 * buzz, RATE_HZ)
        rows.append((f"{name}-{number}.wav", emotion, f"s{speaker}"))
    with (folder / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def recipe(folder: Path, **sections: Any) -> Recipe:
    table = {
        "name": "private",
        "data": {"corpora": ["mine.csv"], "folder": "."},
        "features": {"sets": ["mfcc"], "functionals": ["mean", "std"]},
        "model": {"name": "mlp"},
        "training": PRIVATE,
    }
    return make_recipe(table | sections, "here", folder)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studio")
    write_corpus(folder, "mine", 110.0)
    write_corpus(folder, "others", 150.0)
    return folder


def test_what_was_spent_is_recorded_and_on_the_card(studio: Path, tmp_path: Path) -> None:
    data = {"corpora": ["mine.csv"], "folder": ".", "public": ["others.csv"]}
    prepared = prepare(recipe(studio, data=data), cache=tmp_path)
    judged = evaluate(prepared, cache=tmp_path)
    spent = judged.to_dict()["privacy"]
    assert len(spent) == 3
    assert all(2.7 < fold["epsilon"] <= 3.0 for fold in spent)
    assert not list(tmp_path.glob("training/*"))
    classifier = make_classifier(prepared)
    classifier.fit(prepared.X, prepared.emotions, groups=prepared.speakers)
    fitted = Fitted(classifier, SpeechDetector(None, 0.5, speech_heard=1.0, sounds_refused=1.0))
    network = classifier.estimator_
    assert prepared.public is not None
    np.testing.assert_allclose(network.module_.mean, prepared.public.mean(axis=0), rtol=1e-4)
    manifest = make_manifest(prepared, judged, fitted)
    assert manifest["privacy"] == network.privacy_ | {"public": ["others.csv"]}
    card = " ".join(model_card(manifest).split())
    assert f"({network.privacy_['epsilon']:.3g}, 1e-05)-differential privacy" in card
    assert "The unit is the recording" in card
    assert "Feature scaling was computed on others.csv" in card
    assert "Not covered, since they are computed from the recordings without noise: the" in card


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"name": "cnn"}, "features": {}}, "needs model mlp or textbook_cnn, not cnn"),
        (
            {"model": {"name": "bagging", "base": "mlp"}},
            "needs model mlp or textbook_cnn, not bagging",
        ),
        ({"augmentation": {"per_clip": 1, "chain": ["noise"]}}, "needs augmentation.per_clip = 0"),
        ({"balance": {"method": "over"}}, 'needs balance.method = "none"'),
        ({"search": {"nested": True}}, "needs search.nested = false"),
        ({"training": PRIVATE | {"patience": 2}}, "patience is 2; privacy_epsilon needs 0"),
        (
            {"data": {"corpora": ["mine.csv"], "public": ["mine.csv"]}},
            "must name other corpora than data.corpora",
        ),
        (
            {"data": {"corpora": ["mine.csv"], "public": ["emodb"]}, "training": {}},
            "data.public goes with training.privacy_epsilon",
        ),
        ({"data": {"corpora": ["mine.csv"], "public": ["emod"]}}, "unknown corpus 'emod'"),
    ],
)
def test_recipes_that_the_sums_do_not_hold_for(
    tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(tmp_path, **sections)


@pytest.mark.parametrize(
    ("package", "training", "extra"),
    [("opacus", PRIVATE, "privacy"), ("accelerate", {"device": "accelerate"}, "gpu")],
)
def test_a_missing_extra_is_named_before_time_is_spent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    training: dict[str, Any],
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'serein\[{extra}\]'"):
        recipe(tmp_path, training=training)


def test_the_recipe_of_the_document_is_one() -> None:
    page = (ROOT / "docs" / "PRIVACY.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    read = make_recipe(tomllib.loads(block), "docs", ROOT)
    assert (read.training.privacy_epsilon, read.data.public) == (3.0, ("nemo",))


def test_the_table_is_the_benchs(load_bench: Callable[[str], ModuleType]) -> None:
    bench = load_bench("private")
    page = (ROOT / "results" / "private.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "results" / "private.json").read_text(encoding="utf-8"))
    assert page.split(bench.MARK)[1].strip() == bench.markdown(found)
    assert [row["epsilon"] for row in found["rows"]] == [0.0, 0.0, *bench.EPSILONS] * 2
    for row in found["rows"]:
        assert 0.98 * row["epsilon"] <= row["spent"] <= row["epsilon"]
        assert row["chance"] < row["low"] <= row["uar"] <= row["high"] < 1
