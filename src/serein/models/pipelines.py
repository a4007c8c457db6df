"""A classifier behind scaling, and the checks it shares with `MarginSVM`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    has_fit_parameter,
    validate_data,
)

from serein.models.padding import unpad

Floats = npt.NDArray[np.float64]


class Pooling(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Series to vectors, so that any classifier of vectors can be given series."""

    def __init__(self, width: int | None = None) -> None:
        self.width = width

    def fit(self, X: npt.ArrayLike, y: Any = None) -> Self:
        """Check the rows; there is nothing to learn."""
        del y
        rows = self._validated(X, reset=True)
        if self.width is not None:
            unpad(rows, self.width)
        return self

    def transform(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Pool each series over its frames."""
        check_is_fitted(self)
        rows = self._validated(X, reset=False)
        if self.width is None:
            return rows
        batch, lengths = unpad(rows, self.width)
        valid = (np.arange(batch.shape[1]) < lengths[:, None])[:, :, None]
        count = lengths[:, None].astype(np.float64)
        mean = batch.sum(axis=1, dtype=np.float64) / count
        variance = np.square(np.where(valid, batch - mean[:, None], 0.0)).sum(axis=1) / count
        least = np.where(valid, batch, np.inf).min(axis=1)
        greatest = np.where(valid, batch, -np.inf).max(axis=1)
        return np.concatenate([mean, np.sqrt(variance), least, greatest], axis=1)

    def _validated(self, X: npt.ArrayLike, *, reset: bool) -> npt.NDArray[Any]:
        finite = True if self.width is None else "allow-nan"
        rows: npt.NDArray[Any] = validate_data(
            self, X, dtype=(np.float64, np.float32), ensure_all_finite=finite, reset=reset
        )
        return rows

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.width is not None
        return tags


def _has_log(pooled: Any) -> bool:
    return hasattr(getattr(pooled, "estimator_", pooled.estimator), "predict_log_proba")


class Pooled(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier behind `Pooling`, with `fit` taking weights as a Pipeline's does not."""

    def __init__(self, estimator: Any, *, width: int | None = None) -> None:
        self.estimator = estimator
        self.width = width

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Self:
        """Pool, and learn from what comes out."""
        self.pooling_ = Pooling(self.width).fit(X)
        self.n_features_in_ = self.pooling_.n_features_in_
        weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
        if weighted and not has_fit_parameter(self.estimator, "sample_weight"):
            raise ValueError(f"{type(self.estimator).__name__} takes no sample_weight: give none")
        self.estimator_ = clone(self.estimator).fit(self.pooling_.transform(X), y, **weighted)
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return probabilities, shape (samples, classes), rows summing to 1."""
        check_is_fitted(self)
        result: Floats = self.estimator_.predict_proba(self.pooling_.transform(X))
        return result

    @available_if(_has_log)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        check_is_fitted(self)
        result: Floats = self.estimator_.predict_log_proba(self.pooling_.transform(X))
        return result

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the likeliest label of each sample, shape (samples,)."""
        check_is_fitted(self)
        return self.estimator_.predict(self.pooling_.transform(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.width is not None
        return tags


class Scaled(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier behind a `StandardScaler`, with `fit` taking weights as a Pipeline's does not.

    Weights count in the scaling as well as in the classifier, so a weight of 2 is the same as the
    sample twice.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Self:
        """Learn scaling and classifier; return itself."""
        vectors, labels, weight = checked(self, X, y, sample_weight)
        weighted = {} if weight is None else {"sample_weight": weight}
        self.scaler_ = StandardScaler().fit(vectors, **weighted)
        scaled = self.scaler_.transform(vectors)
        self.estimator_ = clone(self.estimator).fit(scaled, labels, **weighted)
        self.classes_ = self.estimator_.classes_
        return self

    def _scaled(self, X: npt.ArrayLike) -> Floats:
        check_is_fitted(self)
        vectors = validate_data(self, X, dtype=np.float64, reset=False)
        return self.scaler_.transform(vectors)

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return probabilities, shape (samples, classes), rows summing to 1."""
        scaled = self._scaled(X)
        return self.estimator_.predict_proba(scaled)

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        scaled = self._scaled(X)
        return self.estimator_.predict_log_proba(scaled)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the likeliest label of each sample, shape (samples,)."""
        scaled = self._scaled(X)
        return self.estimator_.predict(scaled)


def checked(
    estimator: Any, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None
) -> tuple[Floats, npt.NDArray[Any], Floats | None]:
    """Check what a classifier of vectors is given to learn from: vectors, labels, weights."""
    vectors, labels = validate_data(estimator, X, y, dtype=np.float64)
    check_classification_targets(labels)
    if sample_weight is None:
        return vectors, labels, None
    weight = _check_sample_weight(
        sample_weight, vectors, dtype=np.float64, ensure_non_negative=True
    )
    return vectors, labels, weight
