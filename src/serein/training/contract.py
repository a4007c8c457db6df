"""What serein's classifiers share of scikit-learn's contract: checks in `fit`, and predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from serein.errors import SettingError

Floats = npt.NDArray[np.float64]


class LogProbabilityClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that gives log probabilities; the other predictions follow from them."""

    classes_: npt.NDArray[Any]

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        raise NotImplementedError

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return probabilities, shape (samples, classes), rows summing to 1."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the most probable label of each sample, shape (samples,)."""
        best = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[best]


def _has(method: str) -> Callable[[Any], bool]:
    return lambda outer: hasattr(getattr(outer, "estimator_", outer.estimator), method)


class WrappedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier around another, `estimator`, whose fitted clone `estimator_` predicts."""

    estimator: Any
    estimator_: Any

    def _inputs(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return what the inner classifier is given."""
        return validate_data(self, X, reset=False, ensure_all_finite=False)

    def _call(self, method: str, X: npt.ArrayLike) -> npt.NDArray[Any]:
        check_is_fitted(self)
        return getattr(self.estimator_, method)(self._inputs(X))

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the most probable label of each sample, shape (samples,)."""
        return self._call("predict", X)

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return probabilities, shape (samples, classes), rows summing to 1."""
        return self._call("predict_proba", X)

    @available_if(_has("predict_log_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return log probabilities, shape (samples, classes)."""
        return self._call("predict_log_proba", X)

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the inner classifier's decision values."""
        return self._call("decision_function", X)

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.classifier_tags = inner.classifier_tags
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        return tags


def class_index(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Return the sorted classes, at least 2, and the number of each sample's."""
    check_classification_targets(labels)
    classes, index = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise SettingError(
            f"y has 1 class ({classes[0]}); a classifier needs samples of at least 2"
        )
    return classes, index


def check_weights(sample_weight: npt.ArrayLike | None, samples: int) -> Floats:
    """Return a weight for each sample: 1, if none are given."""
    if sample_weight is None:
        return np.ones(samples)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (samples,) or not np.isfinite(weight).all() or weight.min() < 0:
        raise SettingError(f"sample_weight must be {samples} numbers, finite and not negative")
    if weight.sum() == 0:
        raise SettingError("sample_weight is zero for every sample; at least one must count")
    return weight
