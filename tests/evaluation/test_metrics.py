"""Scores: scikit-learn as oracle, calibration by hand, intervals by simulation."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from serein.evaluation.metrics import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    recalls,
    speaker_interval,
    uar,
)

Array = npt.NDArray[Any]
CLASSES = 5
labels = st.integers(0, CLASSES - 1)
pairs = st.lists(st.tuples(labels, labels), min_size=1, max_size=40)


@settings(deadline=None)
@given(pairs)
def test_scores_equal_scikit_learns(answers: list[tuple[int, int]]):
    truth, answer = np.array(answers).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are answered and never true
        balanced = sklearn_metrics.balanced_accuracy_score(truth, answer)
        cells = sklearn_metrics.confusion_matrix(truth, answer, labels=range(CLASSES))
        recall = sklearn_metrics.recall_score(
            truth, answer, labels=range(CLASSES), average=None, zero_division=np.nan
        )
    assert uar(truth, answer) == pytest.approx(balanced)
    assert accuracy(truth, answer) == pytest.approx(sklearn_metrics.accuracy_score(truth, answer))
    np.testing.assert_array_equal(confusion_matrix(truth, answer, CLASSES), cells)
    np.testing.assert_allclose(recalls(truth, answer, CLASSES), recall)


def test_a_class_that_is_never_true_has_no_recall_and_no_say():
    truth, answer = np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 2, 3])
    np.testing.assert_array_equal(recalls(truth, answer, 4), [0.5, np.nan, 2 / 3, np.nan])
    assert uar(truth, answer) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_rare_class_counts_as_much_as_a_common_one():
    truth = np.repeat([0, 1], [98, 2])
    always = np.zeros(100, dtype=int)
    assert accuracy(truth, always) == 0.98
    assert uar(truth, always) == 0.5


def test_no_samples_have_no_score():
    empty = np.array([], dtype=int)
    with pytest.raises(ValueError, match="UAR of 0 samples is not defined; give at least one"):
        uar(empty, empty)


# --- calibration ---


def sure(*confidence: float) -> Array:
    return np.array([[share, 1 - share] for share in confidence])


def test_calibration_error_by_hand():
    """0.9, 0.9 with one right: 0.4 off. 0.6, 0.6 with both right: 0.4 off the other way."""
    truth, probabilities = np.array([0, 1, 0, 0]), sure(0.9, 0.9, 0.6, 0.6)
    assert expected_calibration_error(truth, probabilities, bins=5) == pytest.approx(0.4)
    assert expected_calibration_error(truth, probabilities, bins=1) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("truth", "expected"), [([0, 0, 0], 0.0), ([1, 1, 1], 1.0), ([0, 0, 1], 1 / 3)]
)
def test_certainty_falls_into_the_last_bin(truth: list[int], expected: float):
    found = expected_calibration_error(np.array(truth), sure(1.0, 1.0, 1.0))
    assert found == pytest.approx(expected)


def test_bins_are_weighted_by_their_clips():
    truth, probabilities = np.array([1, 0, 0, 0]), sure(0.95, 0.65, 0.65, 0.65)
    found = expected_calibration_error(truth, probabilities, bins=10)
    assert found == pytest.approx((1 * 0.95 + 3 * 0.35) / 4)


def test_honest_confidence_has_a_small_error_and_boasting_a_large_one():
    generator = np.random.default_rng(0)
    share = generator.uniform(0.5, 1.0, 20_000)
    truth = (generator.random(20_000) > share).astype(int)
    assert expected_calibration_error(truth, sure(*share)) < 0.02
    assert expected_calibration_error(truth, sure(*share**0.2)) > 0.1


# --- intervals ---


def clustered(speakers: int, clips: int, seed: int) -> tuple[Array, Array, Array]:
    """Clips of which a speaker's share of right answers varies from 0.4 to 1, on average 0.7."""
    generator = np.random.default_rng(seed)
    ease = generator.uniform(0.4, 1.0, speakers).repeat(clips)
    who = np.array([f"speaker {number}" for number in range(speakers)]).repeat(clips)
    truth = generator.integers(0, 2, speakers * clips)
    return truth, np.where(generator.random(truth.size) < ease, truth, 1 - truth), who


def test_intervals_are_reproducible_and_hold_the_score():
    truth, answer, who = clustered(12, 20, seed=0)
    low, high = speaker_interval(uar, truth, answer, who, draws=500)
    assert (low, high) == speaker_interval(uar, truth, answer, who, draws=500)
    assert (low, high) != speaker_interval(uar, truth, answer, who, draws=500, random_state=1)
    assert low < uar(truth, answer) < high


def test_the_order_of_the_clips_does_not_matter():
    truth, answer, who = clustered(8, 10, seed=0)
    order = np.random.default_rng(0).permutation(truth.size)
    assert speaker_interval(uar, truth, answer, who, draws=100) == speaker_interval(
        uar, truth[order], answer[order], who[order], draws=100
    )


def test_a_higher_level_gives_a_wider_interval():
    truth, answer, who = clustered(12, 20, seed=0)
    low, high = speaker_interval(accuracy, truth, answer, who, level=0.5, draws=500)
    lower, higher = speaker_interval(accuracy, truth, answer, who, level=0.99, draws=500)
    assert lower < low < high < higher


def test_drawing_speakers_is_wider_than_drawing_clips():
    truth, answer, who = clustered(12, 40, seed=0)
    low, high = speaker_interval(uar, truth, answer, who, draws=500)
    each_clip = np.arange(truth.size).astype(str)
    narrow_low, narrow_high = speaker_interval(uar, truth, answer, each_clip, draws=500)
    assert high - low > 1.5 * (narrow_high - narrow_low)


def test_the_width_is_that_of_the_theory():
    """Of a mean over speakers with as many clips each: 1.96 standard errors to either side."""
    truth, answer, who = clustered(80, 10, seed=0)
    by_speaker = (truth == answer).reshape(80, 10).mean(axis=1)
    low, high = speaker_interval(accuracy, truth, answer, who)
    assert high - low == pytest.approx(2 * 1.96 * by_speaker.std() / np.sqrt(80), rel=0.07)


def test_one_speaker_has_no_spread():
    truth, answer, who = clustered(1, 20, seed=0)
    score = accuracy(truth, answer)
    assert speaker_interval(accuracy, truth, answer, who, draws=50) == (score, score)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Over many worlds with a true accuracy of 0.7, and 25 speakers heard of each."""
    worlds, heard, by_clip = 120, 0, 0
    for seed in range(worlds):
        truth, answer, who = clustered(25, 20, seed)
        low, high = speaker_interval(accuracy, truth, answer, who, level=0.9, draws=200)
        heard += low <= 0.7 <= high
        spread = 1.645 * np.sqrt(0.7 * 0.3 / truth.size)  # as if all clips were unrelated
        by_clip += abs(accuracy(truth, answer) - 0.7) <= spread
    assert 0.8 <= heard / worlds <= 0.97
    assert by_clip / worlds < 0.75
