"""Speaker-independent cross-validation.

A protocol gives folds; `cross_validate` refuses folds that share a speaker, fits a fresh copy of
the estimator for each, and pools the predictions for unseen speakers into one `Result`. The folds
run one after the other, or in parallel on `serein.engine.running_on`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from serein.engine import each
from serein.evaluation.leaks import find_leaks, refuse_leaks
from serein.evaluation.protocol import Fold, Strings, check_folds
from serein.evaluation.result import Result


@dataclass(frozen=True)
class Augmented:
    """Augmented data: samples derived from others, used in training where their parent is.

    Attributes
    ----------
    X : numpy.ndarray
        Shape (augmented samples, features).
    parent : numpy.ndarray
        Shape (augmented samples,), index of the sample that each is derived from.
    weight : float
        Of an augmented sample in fitting, beside 1 for its parent; other than 1 only where the
        samples have weights.
    """

    X: npt.NDArray[np.float32]
    parent: npt.NDArray[np.intp]
    weight: float = 1.0

    def of(self, train: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return the rows derived from the samples of a training part."""
        return np.flatnonzero(np.isin(self.parent, train))


@dataclass(frozen=True)
class FittedFolds:
    """The classifiers of a cross-validation, each with its test samples.

    Attributes
    ----------
    protocol : str
        How the folds were made, in words.
    labels : numpy.ndarray
        Shape (classes,), sorted.
    truth : numpy.ndarray
        Shape (samples,), class numbers.
    speakers : numpy.ndarray
        Shape (samples,).
    members : list of (classifier, test indices)
        A pair a fold.
    seconds : float
        What fitting took.
    about : mapping of numpy.ndarray
        As a `Result` holds it, a row a sample.
    leaks : tuple of str
        What would have been refused, had it not been allowed.
    """

    protocol: str
    labels: Strings
    truth: npt.NDArray[np.intp]
    speakers: Strings
    members: list[tuple[Any, npt.NDArray[np.intp]]]
    seconds: float = 0.0
    about: Mapping[str, Strings] = field(default_factory=dict)
    leaks: tuple[str, ...] = ()

    def predict(self, X: npt.NDArray[np.float32]) -> Result:
        """Let each classifier predict the samples of its unseen speakers.

        Parameters
        ----------
        X : numpy.ndarray
            Shape (samples, features): the vectors that were cross-validated, or others of the same
            samples, for instance from a quantised encoder.

        Returns
        -------
        Result
            Pooled over the folds, a row each sample that was tested, in their order.
        """
        probabilities = np.zeros((len(self.truth), len(self.labels)))
        fold = np.full(len(self.truth), -1, dtype=np.intp)
        for number, (fitted, test) in enumerate(self.members):
            columns = np.searchsorted(self.labels, fitted.classes_)
            probabilities[np.ix_(test, columns)] = fitted.predict_proba(X[test])
            fold[test] = number
        whole = Result(
            self.protocol,
            tuple(self.labels.tolist()),
            self.truth,
            probabilities,
            self.speakers,
            fold,
            self.about,
            self.leaks,
        )
        return whole if (fold >= 0).all() else whole.subset(fold >= 0)


def cross_validate(
    estimator: Any,
    X: npt.NDArray[np.float32],
    y: Sequence[str],
    speakers: Sequence[str],
    folds: Sequence[Fold],
    *,
    protocol: str,
    per_sample: Mapping[str, npt.ArrayLike] | None = None,
    augmented: Augmented | None = None,
    about: Mapping[str, Strings] | None = None,
    speaker_overlap: str = "refuse",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FittedFolds:
    """Fit a fresh copy of an estimator for each fold of unseen speakers.

    Parameters
    ----------
    estimator : classifier
        Cloned for each fold; must give `predict_proba`. Its `fit` gets the speakers as `groups`, if
        it takes them.
    X : numpy.ndarray
        Shape (samples, features).
    y, speakers : sequence of str
        Label and speaker of each sample.
    folds : sequence of (train, test)
        Index arrays.
    protocol : str
        How the folds were made, in words.
    per_sample : mapping of array_like, optional
        More arguments of `fit`, a row a sample.
    augmented : Augmented, optional
        Augmented data; what is derived from a fold's training samples joins its training part.
    about : mapping of numpy.ndarray, optional
        More that is known of each sample, for the `Result`.
    speaker_overlap : {"refuse", "allow"}
        ``allow`` runs what leaks (see `serein.evaluation.leaks`), and stamps the result.
    progress : callable
        Called with (folds done, folds in all).

    Returns
    -------
    FittedFolds
        Its `predict(X)` gives the `Result`.

    Raises
    ------
    ProtocolError
        If a fold shares a speaker or has another leak, a sample is tested twice or never, or a
        class of the test part does not occur in the training part at all.
    """
    labels, truth = np.unique(np.asarray(y), return_inverse=True)
    names = np.asarray(speakers)
    check_folds(folds, names, truth, labels, speaker_overlap=speaker_overlap)
    leaks = find_leaks(estimator, X, names, folds)
    refuse_leaks(leaks, speaker_overlap)
    members: list[tuple[Any, npt.NDArray[np.intp]]] = []
    start = time.perf_counter()
    fit = partial(
        fit_part, estimator, X, labels[truth], names, per_sample=per_sample, augmented=augmented
    )
    for fitted, (_, test) in zip(each(fit, [train for train, _ in folds]), folds, strict=True):
        members.append((fitted, test))
        progress(len(members), len(folds))
    seconds = time.perf_counter() - start
    return FittedFolds(protocol, labels, truth, names, members, seconds, about or {}, tuple(leaks))


def fit_part(
    estimator: Any,
    X: npt.NDArray[np.float32],
    y: Strings,
    speakers: Strings,
    train: npt.NDArray[np.intp],
    *,
    per_sample: Mapping[str, npt.ArrayLike] | None = None,
    augmented: Augmented | None = None,
) -> Any:
    """Fit a fresh copy of an estimator on some samples and the data augmented from them."""
    rows, vectors = train, X[train]
    if augmented:
        mine = augmented.of(train)
        rows = np.concatenate([train, augmented.parent[mine]])
        vectors = np.concatenate([vectors, augmented.X[mine]])
    given = {name: np.asarray(values)[rows] for name, values in (per_sample or {}).items()}
    if augmented and "sample_weight" in given:
        made = np.arange(len(rows)) >= len(train)
        given["sample_weight"] = given["sample_weight"] * np.where(made, augmented.weight, 1.0)
    if has_fit_parameter(estimator, "groups"):
        given["groups"] = speakers[rows]
    if has_fit_parameter(estimator, "is_augmented"):
        given["is_augmented"] = np.arange(len(rows)) >= len(train)
    return clone(estimator).fit(vectors, y[rows], **given)
