"""What fusion estimators share: checks, gaps, probabilities, and which modality said how much."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from serein.models.fusion.modalities import Floats, Modalities, Told, column

TINY = 1e-12  # the least probability whose logarithm is taken


class FusionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What classifiers over several modalities share: checks, gaps, and who said how much.

    `X` is a mapping of modality name to an array (samples, features). A sample that lacks a
    modality is NaN in its whole row; for prediction a modality may also be left out of the mapping.
    A sample with no modality at all is an error in `fit`, and gets the training prior afterwards.
    """

    classes_: npt.NDArray[Any]
    modalities_: tuple[str, ...]
    widths_: dict[str, int]
    prior_: Floats

    def fit(
        self,
        X: Mapping[str, npt.ArrayLike],
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
        is_augmented: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from labelled samples."""
        samples = Modalities.read(X)
        _refuse_empty(samples)
        told = _told(len(samples), y, sample_weight, groups, is_augmented)
        self.classes_ = np.unique(told.labels)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has 1 class ({self.classes_[0]}); a classifier needs samples of at least 2"
            )
        self.modalities_ = samples.names
        self.widths_ = {name: array.shape[1] for name, array in samples.items()}
        self.prior_ = np.bincount(told.index, weights=told.weight) / told.weight.sum()
        self._learn(samples, told)
        return self

    def narrowed(self, names: Sequence[str]) -> Self:
        """Make an unfitted clone for some of the modalities."""
        narrow = clone(self)
        for key, value in narrow.get_params(deep=False).items():
            if isinstance(value, Mapping):
                kept = {name: entry for name, entry in value.items() if name in names}
                narrow.set_params(**{key: kept})
        return narrow

    @abstractmethod
    def _learn(self, samples: Modalities, told: Told) -> None:
        """Learn from checked samples."""

    @abstractmethod
    def _log_proba(self, samples: Modalities) -> Floats:
        """Return log probabilities of samples with at least one modality each."""

    def _read(self, X: Mapping[str, npt.ArrayLike]) -> Modalities:
        check_is_fitted(self, "classes_")
        return Modalities.read(X, self.widths_)

    def _answer(self, samples: Modalities) -> Floats:
        result = np.tile(np.log(np.maximum(self.prior_, TINY)), (len(samples), 1))
        seen = np.asarray(samples.present.any(axis=1))
        if seen.any():
            result[seen] = self._log_proba(samples.rows(seen))
        return result

    def predict_log_proba(self, X: Mapping[str, npt.ArrayLike]) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        return self._answer(self._read(X))

    def predict_proba(self, X: Mapping[str, npt.ArrayLike]) -> Floats:
        """Return probabilities, shape (samples, classes), rows summing to 1."""
        result: Floats = np.exp(self.predict_log_proba(X))
        return result

    def predict(self, X: Mapping[str, npt.ArrayLike]) -> npt.NDArray[Any]:
        """Return the likeliest label of each sample, shape (samples,)."""
        best = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[best]

    def evidence(self, X: Mapping[str, npt.ArrayLike]) -> Floats:
        """Say how far each modality speaks for the answer, or against it.

        That is its Shapley value: what adding it changes in the log probability of the likeliest
        class, as mean over all orders in which the modalities of the sample could be added to none.

        L. S. Shapley, "A value for n-person games", 1953; S. Lundberg, S.-I. Lee, "A Unified
        Approach to Interpreting Model Predictions", NeurIPS 2017, eq. 4.
        """
        samples = self._read(X)
        best = self._answer(samples).argmax(axis=1)
        present, count = samples.present, len(self.modalities_)
        rows = np.arange(len(samples))
        worth = {
            subset: self._answer(samples.only(present & np.isin(np.arange(count), subset)))[
                rows, best
            ]
            for size in range(count + 1)
            for subset in combinations(range(count), size)
        }
        result = np.zeros(present.shape)
        for subset, value in worth.items():
            for number in set(range(count)) - set(subset):
                share = factorial(len(subset)) * factorial(count - len(subset) - 1)
                more = worth[tuple(sorted((*subset, number)))]
                result[:, number] += (more - value) * share / factorial(count)
        return np.where(present, result, 0.0)

    def contributions(self, X: Mapping[str, npt.ArrayLike]) -> Floats:
        """Say how much of the answer each modality gives."""
        present = self._read(X).present
        speaks = np.maximum(self.evidence(X), 0.0)
        silent = speaks.sum(axis=1) <= TINY
        speaks[silent] = present[silent]
        result: Floats = speaks / np.maximum(speaks.sum(axis=1, keepdims=True), TINY)
        return result


def fitted(estimator: Any, X: Floats, told: Told) -> Any:
    """Fit a clone of a classifier, which is told what its `fit` takes."""
    known = {"groups": told.groups, "is_augmented": told.is_augmented}
    given = {name: values for name, values in known.items() if has_fit_parameter(estimator, name)}
    if (told.weight != 1).any():
        if not any(has_fit_parameter(estimator, name) for name in ("sample_weight", "per_sample")):
            raise ValueError(
                f"{type(estimator).__name__} takes no sample_weight in fit: choose another "
                "classifier, or give no weights"
            )
        given["sample_weight"] = told.weight
    return clone(estimator).fit(X, told.labels, **given)


def log_proba(estimator: Any, X: Floats, classes: npt.NDArray[Any]) -> Floats:
    """Ask a classifier for log probabilities, and put them in the order of all classes."""
    result = np.full((len(X), len(classes)), np.log(TINY))
    columns = np.searchsorted(classes, estimator.classes_)
    if hasattr(estimator, "predict_log_proba"):
        with np.errstate(divide="ignore"):
            answer = estimator.predict_log_proba(X)
    else:
        answer = np.log(np.maximum(estimator.predict_proba(X), TINY))
    result[:, columns] = np.maximum(answer, np.log(TINY))
    return result


def _told(
    samples: int,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    groups: npt.ArrayLike | None,
    is_augmented: npt.ArrayLike | None,
) -> Told:
    """Check what is given beside the samples."""
    labels = column(y, samples, "y")
    check_classification_targets(labels)
    weight = np.ones(samples) if sample_weight is None else _weights(sample_weight, samples)
    speakers = np.arange(samples) if groups is None else column(groups, samples, "groups")
    copies = (
        np.zeros(samples, bool)
        if is_augmented is None
        else column(is_augmented, samples, "is_augmented")
    )
    index = np.unique(labels, return_inverse=True)[1]
    return Told(labels, index, weight, speakers, copies.astype(bool))


def _weights(sample_weight: npt.ArrayLike, samples: int) -> Floats:
    weight = column(sample_weight, samples, "sample_weight").astype(np.float64)
    if not np.isfinite(weight).all() or weight.min() < 0 or weight.sum() == 0:
        raise ValueError("sample_weight must be finite, not negative, and not zero for all samples")
    return weight


def _refuse_empty(samples: Modalities) -> None:
    present = samples.present
    bare = ~present.any(axis=1)
    if bare.any():
        raise ValueError(
            f"{bare.sum()} samples have no modality at all, row {bare.argmax()} for one; leave "
            "them out of the training data"
        )
    for name, there in zip(samples.names, np.asarray(present.any(axis=0)), strict=True):
        if not there:
            raise ValueError(f"no training sample has {name}; leave it out of X")
