"""A support vector machine with probabilities that need no random inner folds."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted, validate_data

from serein.errors import check_name
from serein.training.contract import Floats, LogProbabilityClassifier, check_weights, class_index

KERNELS = ("rbf", "linear", "poly")


class MarginSVM(LogProbabilityClassifier):
    """Support vector machine whose probabilities are the softmax of its decision values.

    They rank as the decision values do and need no random inner folds, but are not calibrated:
    `serein.models.calibration` does that.

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
        check_name("kernel", self.kernel, KERNELS)
        vectors, labels = validate_data(self, X, y, dtype=np.float64)
        self.classes_, _ = class_index(labels)
        weight = check_weights(sample_weight, len(labels))
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
