"""Classifiers of feature vectors: the field's classics, ready made with scaling where it matters.

Each function's keywords are the words of a recipe's ``[model]`` section. All classifiers run on one
core, give `predict_proba` and, `knn` apart, take `sample_weight`. What the functions return is not
yet fitted; only those that take `random_state` are random.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted, validate_data

from serein.errors import SettingError, check_name
from serein.models.linear import MaskedLogisticRegression
from serein.models.pipelines import Scaled
from serein.models.ridge import MaskedRidge
from serein.training.contract import Floats, LogProbabilityClassifier, check_weights, class_index

RandomState = int | np.random.RandomState | None
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


def logistic(*, C: float = 0.02) -> MaskedLogisticRegression:
    """Make a multinomial logistic regression, with its own scaling.

    `C`, above 0, is the inverse regularisation strength.
    """
    _refuse_not_positive("C", C)
    return MaskedLogisticRegression(C)


def ridge(*, alpha: float = 5e-4) -> MaskedRidge:
    """Make a ridge classifier.

    `alpha`, above 0, is the regularisation strength beside the mean squared error; see
    `MaskedRidge`.
    """
    _refuse_not_positive("alpha", alpha)
    return MaskedRidge(alpha)


def svm(
    *,
    kernel: str = "rbf",
    C: float = 3.0,
    gamma: str | float = "scale",
    degree: int = 3,
) -> Scaled:
    """Make a support vector machine; see `MarginSVM`."""
    _refuse_not_positive("C", C)
    check_name("kernel", kernel, KERNELS)
    return Scaled(MarginSVM(kernel, C=C, gamma=gamma, degree=degree))


def naive_bayes(*, smoothing: float = 1e-9) -> Scaled:
    """Make a Gaussian naive Bayes classifier.

    `smoothing` is the share of the largest variance that is added to all variances.
    """
    return Scaled(GaussianNB(var_smoothing=smoothing))


def random_forest(
    *,
    trees: int = 300,
    depth: int | None = None,
    leaf: int = 1,
    features: str | float = "sqrt",
    random_state: RandomState = None,
) -> RandomForestClassifier:
    """Make a random forest, without scaling, which trees do not see."""
    return RandomForestClassifier(
        trees,
        max_depth=depth,
        min_samples_leaf=leaf,
        max_features=features,
        random_state=random_state,
    )


def knn(
    *,
    neighbours: int = 15,
    weights: str = "distance",
    metric: str = "euclidean",
) -> Pipeline:
    """Make a vote of the nearest neighbours, which takes no weights.

    It is not `Scaled`, whose `fit` would offer weights to `bagging`.
    """
    return make_pipeline(
        StandardScaler(), KNeighborsClassifier(neighbours, weights=weights, metric=metric)
    )


def gradient_boosting(
    *,
    trees: int = 100,
    learning_rate: float = 0.1,
    depth: int = 3,
    subsample: float = 0.5,
    features: str | float = "sqrt",
    random_state: RandomState = None,
) -> GradientBoostingClassifier:
    """Make gradient-boosted trees, without scaling, which trees do not see."""
    return GradientBoostingClassifier(
        n_estimators=trees,
        learning_rate=learning_rate,
        max_depth=depth,
        subsample=subsample,
        max_features=features,
        random_state=random_state,
    )


CLASSICAL: dict[str, Callable[..., Any]] = {
    "logistic": logistic,
    "ridge": ridge,
    "svm": svm,
    "naive_bayes": naive_bayes,
    "random_forest": random_forest,
    "knn": knn,
    "gradient_boosting": gradient_boosting,
}
"""Name -> function that makes the classifier."""


def _refuse_not_positive(name: str, value: float) -> None:
    if not value > 0:
        raise SettingError(f"{name} is {value}; must be above 0")
