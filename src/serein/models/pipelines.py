"""Classifiers behind pooling over time or feature scaling, whose `fit` takes sample weights.

A Pipeline's does not, and so cannot be boosted or bagged with weights.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from serein.errors import SettingError
from serein.models.padding import SeriesInput, unpad
from serein.training.contract import WrappedClassifier, check_weights


class Pooling(SeriesInput, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Padded series to vectors: mean, deviation, minimum and maximum of each feature over time."""

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
        minimum = np.where(valid, batch, np.inf).min(axis=1)
        maximum = np.where(valid, batch, -np.inf).max(axis=1)
        return np.concatenate([mean, np.sqrt(variance), minimum, maximum], axis=1)

    def _validated(self, X: npt.ArrayLike, *, reset: bool) -> npt.NDArray[Any]:
        return validate_data(
            self, X, dtype=(np.float64, np.float32), ensure_all_finite=self._finite(), reset=reset
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")


class Pooled(SeriesInput, WrappedClassifier):
    """A classifier behind `Pooling`."""

    def __init__(self, estimator: Any, *, width: int | None = None) -> None:
        self.estimator = estimator
        self.width = width

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Self:
        """Pool, and learn from the vectors."""
        self.pooling_ = Pooling(self.width).fit(X)
        self.n_features_in_ = self.pooling_.n_features_in_
        weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
        if weighted and not has_fit_parameter(self.estimator, "sample_weight"):
            raise SettingError(f"{type(self.estimator).__name__} takes no sample_weight: give none")
        self.estimator_ = clone(self.estimator).fit(self.pooling_.transform(X), y, **weighted)
        self.classes_ = self.estimator_.classes_
        return self

    def _inputs(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        return self.pooling_.transform(X)


class Scaled(WrappedClassifier):
    """A classifier behind a `StandardScaler`.

    Weights count in the scaling as well as in the classifier, so a weight of 2 is the same as the
    sample twice.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Self:
        """Learn scaling and classifier; return itself."""
        vectors, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        weighted = {}
        if sample_weight is not None:
            weighted["sample_weight"] = check_weights(sample_weight, len(labels))
        self.scaler_ = StandardScaler().fit(vectors, **weighted)
        scaled = self.scaler_.transform(vectors)
        self.estimator_ = clone(self.estimator).fit(scaled, labels, **weighted)
        self.classes_ = self.estimator_.classes_
        return self

    def _inputs(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        vectors = validate_data(self, X, dtype=np.float64, reset=False)
        return self.scaler_.transform(vectors)
