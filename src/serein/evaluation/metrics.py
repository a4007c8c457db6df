"""Scores of a classifier. Reference before estimate.

Conventions: `truth` and `prediction` are class numbers, (samples,); `probabilities` are (samples,
classes), rows summing to 1. UAR, unweighted average recall, is the mean of the classes' recalls: a
class with few clips counts as much as one with many, and guessing gives one over the number of
classes. Means over classes are over those that are true somewhere: a class that no sample is of has
no recall to average.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from serein.errors import SettingError

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


def confusion_matrix(truth: Indices, prediction: Indices, classes: int) -> npt.NDArray[np.intp]:
    """Count predictions by true class.

    Parameters
    ----------
    truth, prediction : numpy.ndarray
        Shape (samples,), class numbers below `classes`.
    classes : int
        Number of classes.

    Returns
    -------
    numpy.ndarray
        Shape (classes, classes): rows are truth, columns predictions.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    return confusion_matrices(np.zeros_like(truth), 1, truth, prediction, classes)[0]


def confusion_matrices(
    group: Indices, groups: int, truth: Indices, prediction: Indices, classes: int
) -> npt.NDArray[np.intp]:
    """Count predictions by group and true class: (groups, classes, classes)."""
    cell = (group * classes + truth) * classes + prediction
    return np.bincount(cell, minlength=groups * classes**2).reshape(groups, classes, classes)


def recalls(truth: Indices, prediction: Indices, classes: int) -> Floats:
    """Give each class's recall, the share of its clips that are predicted; NaN without clips."""
    return class_recalls(confusion_matrix(truth, prediction, classes))


def uar(truth: Indices, prediction: Indices) -> float:
    """Unweighted average recall over the classes that occur in `truth`.

    Parameters
    ----------
    truth, prediction : numpy.ndarray
        Shape (samples,), class numbers.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    SettingError
        If there are no samples.

    Examples
    --------
    >>> uar(np.array([0, 0, 1]), np.array([0, 1, 1]))
    0.75
    """
    if len(truth) == 0:
        raise SettingError("UAR of 0 samples is not defined; give at least one")
    return float(
        np.nanmean(recalls(truth, prediction, int(max(truth.max(), prediction.max())) + 1))
    )


def accuracy(truth: Indices, prediction: Indices) -> float:
    """Share of correct predictions, 0 to 1."""
    return float(np.mean(truth == prediction))


def expected_calibration_error(truth: Indices, probabilities: Floats, *, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy, over bins of equal width.

    Parameters
    ----------
    truth : numpy.ndarray
        Shape (samples,), class numbers.
    probabilities : numpy.ndarray
        Shape (samples, classes), rows summing to 1.
    bins : int
        Number of bins of confidence between 0 and 1.

    Returns
    -------
    float
        0 to 1; 0 where confidence is exactly the accuracy in every bin.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Examples
    --------
    >>> sure = np.array([[0.75, 0.25]] * 4)
    >>> expected_calibration_error(np.array([0, 0, 0, 1]), sure)
    0.0
    """
    place, gap = confidence_gaps(truth, probabilities, bins)
    return float(np.abs(np.bincount(place, weights=gap, minlength=bins)).sum() / len(truth))


def confidence_gaps(truth: Indices, probabilities: Floats, bins: int) -> tuple[Indices, Floats]:
    """Give the bin of each sample's confidence, and confidence less correctness (0 or 1)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    return np.minimum((confidence * bins).astype(np.intp), bins - 1), confidence - correct


def class_recalls(cells: npt.NDArray[Any]) -> Floats:
    """Compute the recall of each class from confusion matrices; NaN for one without clips."""
    hits = np.diagonal(cells, axis1=-2, axis2=-1).astype(np.float64)
    return _ratio(hits, cells.sum(axis=-1), np.nan)


def class_scores(cells: npt.NDArray[Any]) -> dict[str, Floats]:
    """Compute recall, precision and F1 of each class from confusion matrices.

    Parameters
    ----------
    cells : numpy.ndarray
        Shape (..., classes, classes), as `confusion_matrix` gives it.

    Returns
    -------
    dict of numpy.ndarray
        ``recall``, ``precision`` and ``f1``, each (..., classes), 0 to 1. Recall is NaN for a class
        without clips, F1 for one that is neither true nor predicted; precision is 0 for a class
        that is never predicted.
    """
    hits = np.diagonal(cells, axis1=-2, axis2=-1).astype(np.float64)
    true, predicted = cells.sum(axis=-1), cells.sum(axis=-2)
    return {
        "recall": class_recalls(cells),
        "precision": _ratio(hits, predicted, 0.0),
        "f1": _ratio(2 * hits, true + predicted, np.nan),
    }


def overall_scores(cells: npt.NDArray[Any]) -> dict[str, Floats]:
    """Compute the scores that are functions of confusion matrices."""
    true = cells.sum(axis=-1)
    present = true > 0
    by_class = class_scores(cells)
    total = true.sum(axis=-1)
    hits = np.trace(cells, axis1=-2, axis2=-1)
    share = _ratio(true.astype(np.float64), total[..., None], 0.0)
    return {
        "uar": mean_present(by_class["recall"], present),
        "accuracy": _ratio(hits.astype(np.float64), total, np.nan),
        "precision_macro": mean_present(by_class["precision"], present),
        "f1_macro": mean_present(by_class["f1"], present),
        "f1_weighted": (np.where(present, by_class["f1"], 0.0) * share).sum(axis=-1),
    }


def log_loss(truth: Indices, probabilities: Floats) -> float:
    """Mean negative log-probability of the true class, in nats; log(classes) for guessing."""
    return float(np.mean(log_losses(truth, probabilities)))


def log_losses(truth: Indices, probabilities: Floats) -> Floats:
    """Give the negative log-probability of each sample's true class, in nats."""
    true = probabilities[np.arange(len(truth)), truth]
    losses: Floats = -np.log(np.clip(true, np.finfo(np.float64).eps, 1.0))
    return losses


def brier(truth: Indices, probabilities: Floats) -> float:
    """Mean squared distance of the probabilities from the truth, 0 to 2; half of it is also in use.

    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
    Review 78(1), 1950.
    """
    return float(np.mean(briers(truth, probabilities)))


def briers(truth: Indices, probabilities: Floats) -> Floats:
    """Give each sample's squared distance, shape (samples,)."""
    distance: Floats = np.square(probabilities).sum(axis=1)
    distance += 1 - 2 * probabilities[np.arange(len(truth)), truth]
    return distance


def roc_curve(positive: npt.NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """Trace the true-positive rate against the false-positive rate as the threshold falls.

    `positive` says which samples are of the class, `score` how likely each is. Points on the line
    between their neighbours are left out.
    """
    if positive.all() or not positive.any():
        raise SettingError("a ROC curve needs samples of the class and samples of others")
    from sklearn import metrics

    false_positive_rate, true_positive_rate, _ = metrics.roc_curve(positive, score)
    return false_positive_rate, true_positive_rate


def auc(positive: npt.NDArray[np.bool_], score: Floats) -> float:
    """Area under the ROC curve; NaN if all samples are of the class, or none is.

    It is how often a sample of the class scores above one of another; 0.5 for guessing. T. Fawcett,
    "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006.
    """
    if positive.all() or not positive.any():
        return float("nan")
    false_positive_rate, true_positive_rate = roc_curve(positive, score)
    return float(np.trapezoid(true_positive_rate, false_positive_rate))


def auc_macro(truth: Indices, probabilities: Floats) -> float:
    """Mean over the classes of one class's AUC against all others; NaN if no class has one."""
    areas = np.array([auc(truth == number, row) for number, row in enumerate(probabilities.T)])
    return float(mean_present(areas, ~np.isnan(areas)))


def concordance(truth: npt.ArrayLike, estimate: npt.ArrayLike) -> float:
    """Concordance correlation coefficient, for dimensions such as valence and arousal.

    Parameters
    ----------
    truth, estimate : array_like
        Shape (samples,), numbers on the same scale.

    Returns
    -------
    float
        -1 to 1; 1 only where they are equal. 0 where neither varies and they differ.

    Raises
    ------
    SettingError
        If the shapes differ, there are no samples, or a value is not finite.

    References
    ----------
    L. I.-K. Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics
    45(1), 1989.

    Examples
    --------
    >>> concordance([0.0, 1.0, 2.0], [0.0, 1.0, 2.0]), concordance([0.0, 1.0], [1.0, 0.0])
    (1.0, -1.0)
    """
    x, y = np.asarray(truth, np.float64), np.asarray(estimate, np.float64)
    if x.shape != y.shape or x.ndim != 1 or not x.size:
        raise SettingError(f"shapes {x.shape} and {y.shape}; need two of the same (samples,)")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise SettingError("a value is not finite; leave its sample out of both")
    apart = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    if apart == 0:
        return 1.0
    return float(2 * np.mean((x - x.mean()) * (y - y.mean())) / apart)


def _ratio(part: Floats, whole: npt.NDArray[Any], otherwise: float) -> Floats:
    result = np.full(np.broadcast_shapes(part.shape, whole.shape), otherwise)
    return np.divide(part, whole, out=result, where=whole > 0)


def mean_present(values: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    """Average over the last axis the values that are present; NaN where none is."""
    total: Floats = np.where(present, values, 0.0).sum(axis=-1)
    return _ratio(total, present.sum(axis=-1), np.nan)
