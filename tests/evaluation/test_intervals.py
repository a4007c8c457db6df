"""Intervals by speaker: by simulation, by theory, and by another way of computing."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from serein.evaluation.intervals import (
    SpeakerSums,
    expanded_percentile,
    resample_speakers,
    speaker_interval,
    speaker_intervals,
    speaker_sums,
    summed_scores,
    wilson,
)
from serein.evaluation.metrics import (
    accuracy,
    auc_macro,
    brier,
    concordance,
    expected_calibration_error,
    log_loss,
    uar,
)

Array = npt.NDArray[Any]


def one_hot(prediction: Array) -> Array:
    return np.eye(2)[prediction]


def clustered(speakers: int, clips: int, seed: int) -> tuple[Array, Array, Array]:
    """Clips with an accuracy from 0.4 to 1 by speaker, on average 0.7."""
    generator = np.random.default_rng(seed)
    ease = generator.uniform(0.4, 1.0, speakers).repeat(clips)
    who = np.array([f"speaker {number}" for number in range(speakers)]).repeat(clips)
    truth = generator.integers(0, 2, speakers * clips)
    return truth, np.where(generator.random(truth.size) < ease, truth, 1 - truth), who


def test_intervals_are_reproducible_and_hold_the_score():
    truth, prediction, who = clustered(12, 20, seed=0)
    low, high = speaker_interval(uar, truth, prediction, who, draws=500)
    assert (low, high) == speaker_interval(uar, truth, prediction, who, draws=500)
    assert (low, high) != speaker_interval(uar, truth, prediction, who, draws=500, random_state=1)
    assert low < uar(truth, prediction) < high


def test_the_order_of_the_clips_does_not_matter():
    truth, prediction, who = clustered(8, 10, seed=0)
    order = np.random.default_rng(0).permutation(truth.size)
    assert speaker_interval(uar, truth, prediction, who, draws=100) == speaker_interval(
        uar, truth[order], prediction[order], who[order], draws=100
    )


def test_a_higher_level_gives_a_wider_interval():
    truth, prediction, who = clustered(12, 20, seed=0)
    low, high = speaker_interval(accuracy, truth, prediction, who, level=0.5, draws=500)
    lower, higher = speaker_interval(accuracy, truth, prediction, who, level=0.99, draws=500)
    assert lower < low < high < higher


def test_drawing_speakers_is_wider_than_drawing_clips():
    truth, prediction, who = clustered(12, 40, seed=0)
    low, high = speaker_interval(uar, truth, prediction, who, draws=500)
    each_clip = np.arange(truth.size).astype(str)
    narrow_low, narrow_high = speaker_interval(uar, truth, prediction, each_clip, draws=500)
    assert high - low > 1.5 * (narrow_high - narrow_low)


def test_the_width_is_that_of_the_theory():
    """Of a mean over speakers with as many clips each: 1.96 standard errors to either side."""
    truth, prediction, who = clustered(80, 10, seed=0)
    by_speaker = (truth == prediction).reshape(80, 10).mean(axis=1)
    low, high = speaker_interval(accuracy, truth, prediction, who)
    assert high - low == pytest.approx(2 * 1.96 * by_speaker.std() / np.sqrt(80), rel=0.07)


def test_one_speaker_says_nothing_of_others():
    truth, prediction, who = clustered(1, 20, seed=0)
    assert np.isnan(speaker_interval(accuracy, truth, prediction, who, draws=50)).all()
    assert np.isnan(speaker_intervals(truth, one_hot(prediction), who)["uar"]).all()


@pytest.mark.parametrize("speakers", [6, 10, 24])
def test_intervals_cover_the_truth_as_often_as_they_say(speakers: int):
    """Over many worlds with a true UAR of 0.7; nominal 95 %."""
    worlds, by_speaker, by_clip = 400, 0, 0
    weight = resample_speakers(speakers, 400, random_state=0)
    for seed in range(worlds):
        truth, prediction, who = clustered(speakers, 20, seed)
        scores = summed_scores(weight @ speaker_sums(truth, one_hot(prediction), who), 2)["uar"]
        low, high = expanded_percentile(scores, speakers)
        if seed < 3:  # faster than this, whose resamples are the same in every world
            found = speaker_intervals(truth, one_hot(prediction), who, draws=400)["uar"]
            np.testing.assert_array_equal([low, high], found)
        by_speaker += low <= 0.7 <= high
        spread = 1.96 * np.sqrt(0.7 * 0.3 / truth.size)  # as if all clips were unrelated
        by_clip += abs(accuracy(truth, prediction) - 0.7) <= spread
    assert 0.90 <= by_speaker / worlds <= 0.98
    assert by_clip / worlds < 0.85


def test_sums_over_speakers_score_like_the_samples():
    generator = np.random.default_rng(0)
    truth = np.concatenate([np.arange(4), generator.integers(4, size=96)])
    probabilities = generator.dirichlet(np.ones(4), 100).round(1) + 0.1
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    who = generator.choice(["ann", "ben", "cid"], 100)
    sums = SpeakerSums.of(truth, probabilities, who)
    assert sums.sums.shape[0] == 3
    twice_ben = np.concatenate([np.flatnonzero(who == name) for name in ("ann", "ben", "ben")])
    found = sums.scores(np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 0.0]]))
    for row, chosen in enumerate([np.arange(100), twice_ben]):
        true, share = truth[chosen], probabilities[chosen]
        assert found["uar"][row] == pytest.approx(uar(true, share.argmax(axis=1)))
        assert found["log_loss"][row] == pytest.approx(log_loss(true, share))
        assert found["brier"][row] == pytest.approx(brier(true, share))
        assert found["auc_macro"][row] == pytest.approx(auc_macro(true, share))
        error = expected_calibration_error(true, share)
        assert found["expected_calibration_error"][row] == pytest.approx(error)


def test_both_ways_to_an_interval_agree():
    truth, prediction, who = clustered(12, 20, seed=0)
    one = speaker_interval(uar, truth, prediction, who)
    other = speaker_intervals(truth, one_hot(prediction), who)["uar"]
    np.testing.assert_allclose(one, other, atol=0.02)


def test_dimensions_have_intervals_too():
    """Speakers who are each off by a constant lower concordance and widen its interval."""
    generator = np.random.default_rng(0)
    who = np.repeat([f"s{number}" for number in range(12)], 20)
    truth = generator.uniform(-1, 1, who.size)
    close = truth + 0.1 * generator.standard_normal(who.size)
    apart = close + generator.normal(0, 0.5, 12).repeat(20)
    low, high = speaker_interval(concordance, truth, close, who, draws=500)
    lower, higher = speaker_interval(concordance, truth, apart, who, draws=500)
    assert low < concordance(truth, close) < high
    assert lower < concordance(truth, apart) < higher < low
    assert higher - lower > 3 * (high - low)


def test_a_share_of_one_speakers_clips():
    """Wilson's interval as statsmodels and textbooks give it; never outside 0 to 1."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 5) == pytest.approx((0.0, 0.4345), abs=1e-4)
    assert wilson(5, 5)[1] == 1.0
    with pytest.raises(ValueError, match="3 of 2 clips are correct; need 0 to 2"):
        wilson(3, 2)
