"""What fusion estimators share: checks, gaps, probabilities, and the share of each modality."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from serein.errors import SettingError
from serein.models.fusion.modalities import Floats, Modalities, Targets, Weights
from serein.models.shapley import shapley, subsets
from serein.training.contract import LogProbabilityClassifier

TINY = 1e-12  # the least probability whose logarithm is taken


class FusionClassifier(LogProbabilityClassifier):
    """A classifier over several modalities.

    `X` is a mapping of modality name to an array (samples, features). A sample that lacks a
    modality is NaN in its whole row; for prediction a modality may also be left out of the mapping.
    Samples with the label None or "" are not trained on. A sample with no modality at all is an
    error in `fit`, and gets the training prior afterwards.
    """

    modalities_: tuple[str, ...]
    widths_: dict[str, int]
    prior_: Floats

    def fit(
        self,
        X: Mapping[str, npt.ArrayLike],
        y: npt.ArrayLike,
        sample_weight: Weights = None,
        groups: npt.ArrayLike | None = None,
        is_augmented: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from labelled samples; `sample_weight` "balanced": all classes count the same."""
        samples = Modalities.read(X)
        targets = Targets.read(len(samples), y, sample_weight, groups, is_augmented)
        known = targets.index >= 0
        samples, targets = samples.rows(known), targets.rows(known)
        _refuse_empty(samples)
        self.check(samples.names)
        self.classes_ = targets.classes
        self.modalities_, self.widths_ = samples.names, samples.widths
        self.prior_ = np.bincount(targets.index, weights=targets.weight) / targets.weight.sum()
        self._learn(samples, targets)
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
    def check(self, names: Sequence[str]) -> None:
        """Raise `SettingError` if the parameters do not suit modalities of these names."""

    @abstractmethod
    def _learn(self, samples: Modalities, targets: Targets) -> None:
        """Learn from checked samples."""

    @abstractmethod
    def _log_proba(self, samples: Modalities) -> Floats:
        """Return log probabilities of samples with at least one modality each."""

    def _read(self, X: Mapping[str, npt.ArrayLike]) -> Modalities:
        check_is_fitted(self, "classes_")
        return Modalities.read(X, self.widths_)

    def _predicted(self, samples: Modalities) -> Floats:
        result = np.tile(np.log(np.maximum(self.prior_, TINY)), (len(samples), 1))
        some = np.asarray(samples.present.any(axis=1))
        if some.any():
            result[some] = self._log_proba(samples.rows(some))
        return result

    def predict_log_proba(self, X: Any) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        return self._predicted(self._read(X))

    def evidence(self, X: Mapping[str, npt.ArrayLike]) -> Floats:
        """Return each modality's Shapley value for the predicted class, (samples, modalities).

        That is what adding it changes in the log probability: see `serein.models.shapley`.
        """
        samples = self._read(X)
        best = self._predicted(samples).argmax(axis=1)
        present, rows = samples.present, np.arange(len(samples))
        worth = {}
        for subset in subsets(self.modalities_):
            part = samples.only(present & np.isin(self.modalities_, subset))
            worth[subset] = self._predicted(part)[rows, best]
        values = shapley(worth)
        result = np.column_stack([values[name] for name in self.modalities_])
        return np.where(present, result, 0.0)

    def contributions(self, X: Mapping[str, npt.ArrayLike]) -> Floats:
        """Return the share of each modality in what speaks for the prediction; rows sum to 1."""
        present = self._read(X).present
        shares = np.maximum(self.evidence(X), 0.0)
        none = shares.sum(axis=1) <= TINY
        shares[none] = present[none]
        result: Floats = shares / np.maximum(shares.sum(axis=1, keepdims=True), TINY)
        return result


def fitted(estimator: Any, X: Floats, targets: Targets, *, inside: Any = None) -> Any:
    """Fit a clone of a classifier, given what its `fit` takes, or that of the one `inside`."""
    known = {"groups": targets.groups, "is_augmented": targets.is_augmented}
    given = {name: values for name, values in known.items() if has_fit_parameter(estimator, name)}
    if (targets.weight != 1).any():
        weighted = estimator if inside is None else inside
        if not any(has_fit_parameter(weighted, name) for name in ("sample_weight", "per_sample")):
            raise SettingError(
                f"{type(weighted).__name__} takes no sample_weight in fit: choose another "
                "classifier, or give no weights"
            )
        given["sample_weight"] = targets.weight
    return clone(estimator).fit(X, targets.labels, **given)


def log_proba(estimator: Any, X: Floats, classes: npt.NDArray[Any]) -> Floats:
    """Ask a classifier for log probabilities, and put them in the order of all classes."""
    if hasattr(estimator, "predict_log_proba"):
        with np.errstate(divide="ignore"):
            found = estimator.predict_log_proba(X)
    else:
        found = np.log(np.maximum(estimator.predict_proba(X), TINY))
    return on_classes(found, estimator.classes_, classes)


def on_classes(log_p: Floats, known: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Floats:
    """Put the columns of some classes in the order of all; at least the logarithm of `TINY`."""
    floor = np.where(np.isnan(log_p[:, :1]), np.nan, np.log(TINY))
    result: Floats = np.repeat(floor, len(classes), axis=1)
    result[:, np.searchsorted(classes, known)] = np.maximum(log_p, np.log(TINY))
    return result


def _refuse_empty(samples: Modalities) -> None:
    present = samples.present
    bare = ~present.any(axis=1)
    if bare.any():
        raise SettingError(
            f"{bare.sum()} samples have no modality at all, row {bare.argmax()} for one; leave "
            "them out of the training data"
        )
    for name, there in zip(samples.names, np.asarray(present.any(axis=0)), strict=True):
        if not there:
            raise SettingError(f"no training sample has {name}; leave it out of X")
