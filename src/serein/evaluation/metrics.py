"""Scores of a classifier. Reference before estimate; classes are column numbers.

UAR, unweighted average recall, is the mean of the classes' recalls: a class with few clips counts
as much as one with many, and guessing gives one over the number of classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


def confusion_matrix(truth: Indices, answer: Indices, classes: int) -> npt.NDArray[np.intp]:
    """Count answers by true class.

    Parameters
    ----------
    truth, answer : numpy.ndarray
        Shape (samples,), class numbers below `classes`.
    classes : int
        Number of classes.

    Returns
    -------
    numpy.ndarray
        Shape (classes, classes): rows are truth, columns answers.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    cells = np.bincount(truth * classes + answer, minlength=classes * classes)
    return cells.reshape(classes, classes)


def recalls(truth: Indices, answer: Indices, classes: int) -> Floats:
    """Give each class's recall: the share of its clips that were answered with it.

    Parameters
    ----------
    truth, answer : numpy.ndarray
        Shape (samples,), class numbers.
    classes : int
        Number of classes.

    Returns
    -------
    numpy.ndarray
        Shape (classes,), 0 to 1; NaN for a class without clips.
    """
    counts = confusion_matrix(truth, answer, classes)
    totals = counts.sum(axis=1)
    shares = np.full(classes, np.nan)
    return np.divide(np.diag(counts), totals, out=shares, where=totals > 0, dtype=np.float64)


def uar(truth: Indices, answer: Indices) -> float:
    """Unweighted average recall over the classes that occur in `truth`.

    Parameters
    ----------
    truth, answer : numpy.ndarray
        Shape (samples,), class numbers.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        If there are no samples.

    Examples
    --------
    >>> uar(np.array([0, 0, 1]), np.array([0, 1, 1]))
    0.75
    """
    if len(truth) == 0:
        raise ValueError("UAR of 0 samples is not defined; give at least one")
    return float(np.nanmean(recalls(truth, answer, int(max(truth.max(), answer.max())) + 1)))


def accuracy(truth: Indices, answer: Indices) -> float:
    """Share of right answers, 0 to 1.

    Parameters
    ----------
    truth, answer : numpy.ndarray
        Shape (samples,), class numbers.

    Returns
    -------
    float
        0 to 1.
    """
    return float(np.mean(truth == answer))


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
        0 to 1; 0 where confidence is exactly the share of right answers in every bin.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Examples
    --------
    >>> sure = np.array([[0.75, 0.25]] * 4)
    >>> expected_calibration_error(np.array([0, 0, 0, 1]), sure)
    0.0
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    gap = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gap).sum() / len(truth))


def speaker_interval(
    score: Callable[[Indices, Indices], float],
    truth: Indices,
    answer: Indices,
    speakers: npt.NDArray[np.str_],
    *,
    level: float = 0.95,
    draws: int = 2000,
    random_state: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a score, drawing whole speakers.

    Clips of one speaker are alike, so drawing clips would give intervals that are too narrow.

    Parameters
    ----------
    score : callable
        (truth, answer) -> float.
    truth, answer : numpy.ndarray
        Shape (samples,), class numbers.
    speakers : numpy.ndarray
        Shape (samples,), who speaks.
    level : float
        Coverage, 0 to 1.
    draws : int
        Number of resamples.
    random_state : int
        Seed.

    Returns
    -------
    tuple of float
        Lower and upper end.

    References
    ----------
    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    generator = np.random.default_rng(random_state)
    members = [np.flatnonzero(speakers == speaker) for speaker in np.unique(speakers)]
    scores = []
    for _ in range(draws):
        drawn = generator.integers(len(members), size=len(members))
        rows = np.concatenate([members[number] for number in drawn])
        scores.append(score(truth[rows], answer[rows]))
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
