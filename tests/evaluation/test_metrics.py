"""Scores: scikit-learn as oracle, calibration by hand."""

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
    auc,
    auc_macro,
    brier,
    class_scores,
    concordance,
    confusion_matrix,
    expected_calibration_error,
    log_loss,
    overall_scores,
    recalls,
    roc_curve,
    uar,
)

Array = npt.NDArray[Any]
CLASSES = 5
labels = st.integers(0, CLASSES - 1)
pairs = st.lists(st.tuples(labels, labels), min_size=1, max_size=40)


@settings(deadline=None)
@given(pairs)
def test_scores_equal_scikit_learns(predictions: list[tuple[int, int]]):
    truth, prediction = np.array(predictions).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are predicted and never true
        balanced = sklearn_metrics.balanced_accuracy_score(truth, prediction)
        cells = sklearn_metrics.confusion_matrix(truth, prediction, labels=range(CLASSES))
        recall = sklearn_metrics.recall_score(
            truth, prediction, labels=range(CLASSES), average=None, zero_division=np.nan
        )
    assert uar(truth, prediction) == pytest.approx(balanced)
    assert accuracy(truth, prediction) == pytest.approx(
        sklearn_metrics.accuracy_score(truth, prediction)
    )
    np.testing.assert_array_equal(confusion_matrix(truth, prediction, CLASSES), cells)
    np.testing.assert_allclose(recalls(truth, prediction, CLASSES), recall)


def test_a_class_that_is_never_true_has_no_recall_and_no_say():
    truth, prediction = np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 2, 3])
    np.testing.assert_array_equal(recalls(truth, prediction, 4), [0.5, np.nan, 2 / 3, np.nan])
    assert uar(truth, prediction) == pytest.approx((1 / 2 + 2 / 3) / 2)


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


def test_calibrated_confidence_has_a_small_error_and_overconfidence_a_large_one():
    generator = np.random.default_rng(0)
    share = generator.uniform(0.5, 1.0, 20_000)
    truth = (generator.random(20_000) > share).astype(int)
    assert expected_calibration_error(truth, sure(*share)) < 0.02
    assert expected_calibration_error(truth, sure(*share**0.2)) > 0.1


# --- all other scores, beside scikit-learn's ---


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array]:
    """Truth of every class at least once, and probabilities with ties."""
    rows = draw(st.integers(CLASSES, 40))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    truth = np.concatenate([np.arange(CLASSES), generator.integers(CLASSES, size=rows - CLASSES)])
    shares = generator.integers(1, 6, (rows, CLASSES)).astype(float)
    return truth, shares / shares.sum(axis=1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(cases())
def test_every_score_equals_scikit_learns(case: tuple[Array, Array]):
    truth, probabilities = case
    prediction = probabilities.argmax(axis=1)
    found = overall_scores(confusion_matrix(truth, prediction, CLASSES))
    oracle: dict[str, Any] = {"zero_division": 0}
    precision = sklearn_metrics.precision_score(truth, prediction, average="macro", **oracle)
    expected = {
        "uar": sklearn_metrics.balanced_accuracy_score(truth, prediction),
        "accuracy": sklearn_metrics.accuracy_score(truth, prediction),
        "precision_macro": precision,
        "f1_macro": sklearn_metrics.f1_score(truth, prediction, average="macro", **oracle),
        "f1_weighted": sklearn_metrics.f1_score(truth, prediction, average="weighted", **oracle),
    }
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected)
    np.testing.assert_allclose(
        class_scores(confusion_matrix(truth, prediction, CLASSES))["precision"],
        sklearn_metrics.precision_score(truth, prediction, average=None, **oracle),
    )
    np.testing.assert_allclose(
        class_scores(confusion_matrix(truth, prediction, CLASSES))["f1"],
        sklearn_metrics.f1_score(truth, prediction, average=None, **oracle),
    )
    assert log_loss(truth, probabilities) == pytest.approx(
        sklearn_metrics.log_loss(truth, probabilities, labels=range(CLASSES))
    )
    assert brier(truth, probabilities) == pytest.approx(
        sklearn_metrics.brier_score_loss(
            truth, probabilities, labels=range(CLASSES), scale_by_half=False
        )
    )
    assert auc_macro(truth, probabilities) == pytest.approx(
        sklearn_metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    )


@settings(deadline=None, max_examples=40)
@given(cases())
def test_the_area_is_scikit_learns(case: tuple[Array, Array]):
    truth, probabilities = case
    assert auc(truth == 0, probabilities[:, 0]) == pytest.approx(
        sklearn_metrics.roc_auc_score(truth == 0, probabilities[:, 0])
    )


def test_a_class_that_is_never_true_is_in_no_mean():
    truth, prediction = np.array([0, 0, 1]), np.array([0, 2, 1])
    found = overall_scores(confusion_matrix(truth, prediction, 4))
    assert found["uar"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["precision_macro"] == 1.0
    assert found["f1_macro"] == pytest.approx((2 / 3 + 1) / 2)


def test_no_curve_without_two_sides():
    with pytest.raises(ValueError, match="needs samples of the class and samples of others"):
        roc_curve(np.array([True, True]), np.array([0.1, 0.2]))
    assert np.isnan(auc(np.array([False, False]), np.array([0.1, 0.2])))


def test_log_loss_by_hand_and_never_infinite():
    assert log_loss(np.array([0, 1]), sure(0.5, 0.5)) == pytest.approx(np.log(2))
    assert np.isfinite(log_loss(np.array([1]), sure(1.0)))
    assert brier(np.array([0, 1]), sure(1.0, 1.0)) == pytest.approx((0 + 2) / 2)


def test_concordance_by_hand():
    """Lin's own decomposition: correlation times how far scale and place agree."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal(50)
    y = 0.5 * x + 0.3 + 0.1 * generator.standard_normal(50)
    scale, place = x.std() / y.std(), (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    expected = np.corrcoef(x, y)[0, 1] * 2 / (scale + 1 / scale + place**2)
    assert concordance(x, y) == pytest.approx(expected)
    assert concordance([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert concordance([1.0, 1.0], [2.0, 2.0]) == 0.0


@pytest.mark.parametrize(
    ("truth", "estimate", "message"),
    [
        ([], [], "need two of the same"),
        ([1.0], [1.0, 2.0], "need two of the same"),
        ([1.0, np.nan], [1.0, 2.0], "not finite; leave its sample out of both"),
    ],
)
def test_concordance_of_what_has_none(truth: list[float], estimate: list[float], message: str):
    with pytest.raises(ValueError, match=message):
        concordance(truth, estimate)
