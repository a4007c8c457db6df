"""Change by construction: what was planted is what changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serein.evaluation.comparison import change
from serein.evaluation.intervals import expanded_percentile
from serein.evaluation.metrics import uar
from serein.evaluation.result import Result

LABELS = ("anger", "happiness", "neutral", "sadness")


def result(
    seed: int = 0,
    *,
    speakers: int = 24,
    each: int = 28,
    skill: float = 0.7,
    spread: float = 0.08,
) -> Result:
    """Predictions that are correct with each speaker's own skill."""
    generator = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(speakers), each)
    truth = np.tile(np.arange(len(LABELS)), speaker.size // len(LABELS))
    right = generator.random(speaker.size) < generator.normal(skill, spread, speakers)[speaker]
    prediction = np.where(right, truth, (truth + generator.integers(1, 4, speaker.size)) % 4)
    return Result(
        "by construction",
        LABELS,
        truth,
        np.eye(len(LABELS))[prediction],
        np.char.add("s", np.char.zfill(speaker.astype(str), 2)),
        np.zeros(speaker.size, np.intp),
    )


def test_nothing_changed_is_no_change() -> None:
    found = change(result(), result())
    assert found.difference == 0
    assert found.interval_95 == (0, 0)
    assert found.unchanged == 1
    assert found.uar == found.clean_uar == uar(result().truth, result().prediction)


def test_what_was_planted_is_what_changed() -> None:
    clean = result(skill=1, spread=0)
    anger = clean.truth == 0
    all_sad = np.where(anger[:, None], np.eye(4)[3], clean.probabilities)
    found = change(clean, replace(clean, probabilities=all_sad))
    assert found.clean_uar == 1
    assert found.difference == pytest.approx(-0.25)
    assert found.unchanged == pytest.approx(0.75)
    assert found.recall == {"anger": 0, "happiness": 1, "neutral": 1, "sadness": 1}
    assert found.interval_95 == pytest.approx((-0.25, -0.25))  # so it is with every speaker


def test_a_wrong_prediction_that_stays_wrong_may_be_a_changed_one() -> None:
    clean = result(skill=0, spread=0)
    others = np.eye(4)[(2 * clean.truth + 6 - clean.prediction) % 4]
    found = change(clean, replace(clean, probabilities=others))
    assert found.unchanged < 1


def test_the_interval_is_that_of_drawing_rows() -> None:
    """The oracle draws the clips of each drawn speaker and scores them, one draw at a time."""
    clean, changed = result(0, speakers=5), result(0, speakers=5, skill=0.4)
    names = np.unique(clean.speakers)
    weights = np.random.default_rng(7).multinomial(5, np.full(5, 0.2), size=200)
    gaps = []
    for times in weights:
        drawn = np.repeat(names, times)
        rows = np.concatenate([np.flatnonzero(clean.speakers == name) for name in drawn])
        scores = [uar(one.truth[rows], one.prediction[rows]) for one in (clean, changed)]
        gaps.append(scores[1] - scores[0])
    found = change(clean, changed, draws=200, random_state=7)
    assert found.interval_95 == pytest.approx(tuple(expanded_percentile(np.array(gaps), 5)))


def test_the_interval_covers_the_truth() -> None:
    inside = 0
    for seed in range(100):
        found = change(result(seed), result(seed, skill=0.5), draws=300)
        low, high = found.interval_95 or (1, 1)
        inside += low <= -0.2 <= high
    assert 85 <= inside <= 100


def test_one_speaker_has_no_interval() -> None:
    assert change(result(speakers=1), result(speakers=1)).interval_95 is None


def test_predictions_for_other_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in their truth; give the same clips twice"):
        change(result(), replace(result(), truth=result().truth[::-1]))
    none = result().subset(np.array([], np.intp))
    with pytest.raises(ValueError, match="no clip to compare"):
        change(none, none)
