"""The recipes on the real corpora, where they are present: the figures that are promised."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

import serein
from serein.audio.read import RATE_HZ
from serein.evaluation.comparison import compare
from serein.evaluation.leaks import find_leaks
from serein.evaluation.protocol import RAVDESS_ACTOR_FOLDS
from serein.experiment import speech
from serein.experiment.adapted_scores import adapt
from serein.experiment.evaluate import Evaluation, evaluate, write_evaluation
from serein.experiment.export.convert_bundle import convert
from serein.experiment.export.torch_graph import quantised_encoder
from serein.experiment.prepare import Prepared, describe, no_progress_bar, prepare, stack
from serein.experiment.recipe import Augmentation
from serein.experiment.recipe_file import read_recipe
from serein.experiment.train import fit, pack
from serein.inference.recognizer import model_of

RECIPES = Path(__file__).parents[2] / "recipes"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def corpora(corpora_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EmoDB, and of RAVDESS the first take of one sentence: a quarter of the time."""
    folder = tmp_path_factory.mktemp("corpora")
    (folder / "emodb").symlink_to(corpora_dir / "emodb")
    for clip in (corpora_dir / "ravdess").rglob("*-01-01-??.flac"):
        actor = folder / "ravdess" / clip.parent.name
        actor.mkdir(parents=True, exist_ok=True)
        (actor / clip.name).symlink_to(clip)
    return folder


@pytest.fixture(scope="session")
def prepared(corpora: Path, weights_dir: Path, cache: Path) -> Callable[[str], Prepared]:
    made: dict[str, Prepared] = {}

    def get(name: str) -> Prepared:
        if name not in made:
            recipe = read_recipe(RECIPES / f"{name}.toml")
            # Without copies of the clips: a point lower, and a quarter of the time.
            recipe = replace(
                recipe,
                augmentation=Augmentation(),
                protocol=replace(recipe.protocol, calibration_folds=3),
            )
            made[name] = prepare(recipe, data=corpora, weights=weights_dir, cache=cache)
        return made[name]

    return get


@pytest.fixture(scope="session")
def evaluated(prepared: Callable[[str], Prepared], cache: Path) -> Callable[[str], Evaluation]:
    made: dict[str, Evaluation] = {}

    def get(name: str) -> Evaluation:
        if name not in made:
            made[name] = evaluate(prepared(name), cache=cache)
        return made[name]

    return get


@pytest.mark.parametrize(("name", "least"), [("emodb", 0.92), ("ravdess", 0.735)])
def test_reaches_its_figure(
    evaluated: Callable[[str], Evaluation], name: str, least: float
) -> None:
    scores = evaluated(name).result.scores()
    assert scores["uar"] >= least
    assert scores["expected_calibration_error"] <= 0.05


def test_the_int8_encoder_keeps_the_predictions(
    evaluated: Callable[[str], Evaluation], prepared: Callable[[str], Prepared], cache: Path
) -> None:
    """On every fifth clip; docs/ACCURACY.md has the scores of all."""
    data, evaluation = prepared("emodb"), evaluated("emodb")
    rows = np.arange(0, len(data.corpus), 5)
    part = replace(data.corpus, utterances=tuple(data.corpus.utterances[row] for row in rows))
    X = data.X.copy()
    X[rows] = stack(
        describe(part, quantised_encoder(data.front), cache, no_progress_bar), data.front
    )
    int8 = evaluation.fitted.predict(X).subset(rows)
    float32 = evaluation.result.subset(rows)
    assert np.mean(int8.prediction == float32.prediction) >= 0.97
    assert np.abs(int8.probabilities - float32.probabilities).mean() < 0.02


def test_it_pays_to_know_a_speaker_and_one_emotion_of_them_costs_nothing(
    evaluated: Callable[[str], Evaluation],
) -> None:
    evaluation = evaluated("emodb")
    vectors = evaluation.prepared.X
    cases = adapt(evaluation.fitted, evaluation.result, vectors, progress=lambda done, total: None)
    *_, whole, one_emotion = (compare(evaluation.result, case.result) for case in cases)
    assert whole.difference > 0
    assert one_emotion.interval_95[1] >= 0


def test_ravdess_is_judged_on_the_six_actor_folds(
    evaluated: Callable[[str], Evaluation],
) -> None:
    folds = evaluated("ravdess").result.folds()
    tested = [tuple(int(name[-2:]) for name in fold["test_speakers"]) for fold in folds]
    assert tested == [tuple(sorted(fold)) for fold in RAVDESS_ACTOR_FOLDS]


def test_result_can_be_recomputed_from_the_raw_predictions(
    evaluated: Callable[[str], Evaluation], tmp_path: Path
) -> None:
    result = json.loads(write_evaluation(evaluated("emodb"), tmp_path).read_text())
    with (tmp_path / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    truth, answer = [row["truth"] for row in rows], [row["answer"] for row in rows]
    assert result["uar"] == pytest.approx(balanced_accuracy_score(truth, answer))
    assert result["accuracy"] == pytest.approx(np.mean(np.array(truth) == np.array(answer)))
    assert {"recall", "folds", "labels", "seed", "versions", "protocol"} <= set(result)
    assert result["clips"] == len(rows) == 535
    for row in rows:
        likeliest = max(result["labels"], key=lambda label: float(row[label]))
        assert row["answer"] == likeliest


@pytest.mark.parametrize("name", ["emodb", "ravdess"])
def test_no_false_alarm_of_a_leak(prepared: Callable[[str], Prepared], name: str) -> None:
    """Clips of different speakers are as far apart as docs/EVALUATION.md says."""
    data = prepared(name)
    assert find_leaks(LogisticRegression(), data.X, np.array(data.speakers), data.folds) == []
    scaled = StandardScaler().fit_transform(data.X)
    distance, near = NearestNeighbors(n_neighbors=8).fit(scaled).kneighbors()
    speakers = np.array(data.speakers)
    stranger = speakers[near[:, :-1]] != speakers[:, None]
    assert (distance[:, :-1] / distance[:, -1:])[stranger].min() > 0.69


def test_from_recipe_to_answer(
    prepared: Callable[[str], Prepared],
    evaluated: Callable[[str], Evaluation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Train a bundle, compare ONNX with torch, quantise, and let both answer."""
    monkeypatch.setattr(speech, "CLIPS", 30)  # for the detector: a twentieth of the time
    monkeypatch.setattr(speech, "SOUNDS", 3)
    data = prepared("emodb")
    fitted = fit(data)
    folder = pack(fitted, data, evaluated("emodb"), tmp_path / "emodb")
    recognizer = serein.load(folder)
    files = data.corpus.paths[::40]
    window = round(recognizer.manifest["window_s"] * RATE_HZ)
    for file in files:
        signal = serein.read_audio(file)[:window]
        answer = fitted.classifier.predict_proba(data.front(signal)[None])
        np.testing.assert_allclose(model_of(recognizer).of_signal(signal), answer[0], atol=1e-4)
    report = convert(folder, tmp_path / "int8.zip", int8=True, audio=files)
    assert "parity over 14 signals" in report
    small = serein.load(tmp_path / "int8.zip")
    assert small.manifest["precision"] == "int8"
    same = [small.predict(file).emotion == recognizer.predict(file).emotion for file in files]
    assert np.mean(same) >= 0.9
