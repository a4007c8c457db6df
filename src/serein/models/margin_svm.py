"""A support vector machine with probabilities that need no random inner folds."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted, validate_data

from serein.errors import unknown_name
from serein.models.pipelines import checked

Floats = npt.NDArray[np.float64]

KERNELS = ("rbf", "linear", "poly")


class MarginSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Support vector machine whose probabilities are the softmax of its decision values.

    They rank as the decision values do, need no random inner folds, and say nothing of how sure it
    is: temperature scaling (`serein.models.calibration`) does.

    C. Cortes, V. Vapnik, "Support-vector networks", Machine Learning 20, 1995.
    """

    def __init__(
        self,
        kernel: str = "rbf",
        *,
        C: float = 1.0,
        gamma: str | float = "scale",
        degree: int = 3,
    ) -> None:
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.degree = degree

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Self:
        """Learn from labelled vectors; return itself."""
        if self.kernel not in KERNELS:
            raise ValueError(unknown_name("kernel", self.kernel, KERNELS))
        vectors, labels, weight = checked(self, X, y, sample_weight)
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has 1 class ({self.classes_[0]}); a classifier needs samples of at least 2"
            )
        svm = SVC(kernel=self.kernel, C=self.C, gamma=self.gamma, degree=self.degree)
        self.svm_ = svm.fit(vectors, labels, sample_weight=weight)
        return self

    def decision_function(self, X: npt.ArrayLike) -> Floats:
        """Return the decision values: shape (samples, classes); for two classes (samples,)."""
        check_is_fitted(self)
        vectors = validate_data(self, X, dtype=np.float64, reset=False)
        return self.svm_.decision_function(vectors)

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        values = self.decision_function(X)
        if values.ndim == 1:  # two classes: one value for both, of opposite sign
            values = np.column_stack([-values, values])
        return log_softmax(values, axis=1)

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return probabilities, shape (samples, classes), rows summing to 1."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the likeliest label of each sample, shape (samples,)."""
        best = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[best]
