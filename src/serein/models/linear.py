"""Linear classifiers that learn from corpora with different label sets at once."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits  # of scikit-learn

from serein.errors import SettingError
from serein.training.contract import Floats, LogProbabilityClassifier, check_weights, class_index

BLOCK = 64  # rows
THREAD_PRODUCTS = 1e8  # of a step, for a thread to gain more time than it costs


class LinearClassifier(LogProbabilityClassifier):
    """What fitted linear classifiers share: scaled features times weights are logits."""

    classes_: npt.NDArray[Any]
    mean_: Floats
    scale_: Floats
    coef_: Floats
    intercept_: Floats

    def decision_function(self, X: npt.ArrayLike) -> Floats:
        """Return the logits."""
        logits = self.logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def logits(self, X: npt.ArrayLike) -> Floats:
        """Return the logits, shape (samples, classes), of two classes too."""
        check_is_fitted(self)
        vectors: Floats = validate_data(self, X, dtype=np.float64, reset=False)
        return (vectors - self.mean_) / self.scale_ @ self.coef_.T + self.intercept_

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        logits = self.logits(X)
        return logits - logsumexp(logits, axis=1, keepdims=True)

    def _checked(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
        label_set: npt.ArrayLike | None,
    ) -> tuple[Floats, npt.NDArray[np.intp], Floats, npt.NDArray[np.bool_] | None]:
        """Check what `fit` is given, learn classes and scaling, and return what is to be fitted."""
        vectors, labels = validate_data(self, X, y, dtype=np.float64)
        self.classes_, index = class_index(labels)
        weight = check_weights(sample_weight, len(index))
        possible = None if label_set is None else possible_classes(index, label_set)
        self.mean_, self.scale_ = _scaling(vectors, weight)
        scaled = vectors - self.mean_
        scaled /= self.scale_
        return scaled, index, weight, possible


class MaskedLogisticRegression(LinearClassifier):
    """Logistic regression on scaled features, with classes that may be absent for a sample.

    Corpora differ in the emotions they hold. Where a sample comes from a corpus without a class,
    that class is masked out of the sample's softmax. Without `label_set` this is plain L2
    multinomial logistic regression after standard scaling.

    ||W||² / (2 `C`) is added to the sum of the samples' losses. W has a row a class, also for two
    classes, where scikit-learn's C would be half of this.
    """

    def __init__(self, C: float = 0.02, *, max_iter: int = 1000, tol: float = 1e-3) -> None:
        self.C = C
        self.max_iter = max_iter
        self.tol = tol

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        label_set: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from labelled vectors."""
        scaled, index, weight, possible = self._checked(X, y, sample_weight, label_set)
        masked = None if possible is None else np.where(possible, 0.0, -np.inf)
        wide = scaled.shape[0] < scaled.shape[1]
        if wide:  # the solution lies in the span of the samples
            basis, scaled = span(scaled)
        self.coef_, self.intercept_, self.n_iter_ = _minimise(
            scaled, index, weight, masked, self.C, self.max_iter, self.tol
        )
        if wide:
            self.coef_ = self.coef_ @ basis.T
        return self


def possible_classes(index: npt.NDArray[np.intp], label_set: npt.ArrayLike) -> npt.NDArray[Any]:
    """Say, as (samples, classes) of bool, which classes occur in each sample's corpus."""
    names, which = np.unique(np.asarray(label_set), return_inverse=True)
    if which.shape != index.shape:
        raise SettingError(f"label_set has {which.size} entries for {index.size} samples")
    occurs = np.zeros((len(names), int(index.max()) + 1), dtype=bool)
    occurs[which, index] = True
    return occurs[which]


def _scaling(X: Floats, weight: Floats) -> tuple[Floats, Floats]:
    share = weight / weight.sum()
    mean: Floats = share @ X
    square = np.zeros(X.shape[1])
    for first in range(0, len(X), BLOCK):  # of which the differences stay in the cache
        rows = slice(first, first + BLOCK)
        apart = X[rows] - mean
        square += share[rows] @ np.square(apart, out=apart)
    scale = np.sqrt(square)
    return mean, np.where(scale > 1e-12, scale, 1.0)


def span(X: Floats) -> tuple[Floats, Floats]:
    """Find an orthonormal basis of the samples' span, and the samples' coordinates in it."""
    basis, coordinates = np.linalg.qr(X.T)
    return basis, coordinates.T


def _minimise(
    X: Floats,
    index: npt.NDArray[np.intp],
    weight: Floats,
    masked: Floats | None,
    C: float,
    max_iter: int,
    tol: float,
) -> tuple[Floats, Floats, int]:
    """Minimise the L2-regularised cross-entropy with L-BFGS; the intercept is not regularised."""
    samples, features = X.shape
    classes = int(index.max()) + 1
    target = np.zeros((samples, classes))
    target[np.arange(samples), index] = 1.0
    single = X.astype(np.float32)  # halves the time of the two large products

    def loss(flat: Floats) -> tuple[float, Floats]:
        parameters = flat.reshape(classes, features + 1)
        logits = single @ parameters[:, :-1].T.astype(np.float32) + parameters[:, -1]
        if masked is not None:
            logits = logits + masked
        log_total = logsumexp(logits, axis=1)
        value = weight @ (log_total - logits[np.arange(samples), index])
        error = (np.exp(logits - log_total[:, None]) - target) * weight[:, None]
        gradient = np.empty_like(parameters)
        gradient[:, :-1] = error.T.astype(np.float32) @ single + parameters[:, :-1] / C
        gradient[:, -1] = error.sum(axis=0)
        return float(value + np.square(parameters[:, :-1]).sum() / (2 * C)), gradient.ravel()

    start = np.zeros(classes * (features + 1))
    options = {"maxiter": max_iter, "gtol": tol * weight.sum(), "ftol": 1e-12}
    threads = 1 if samples * features * classes < THREAD_PRODUCTS else None
    with threadpool_limits(threads, user_api="blas"):
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    parameters = found.x.reshape(classes, features + 1)
    return parameters[:, :-1], parameters[:, -1], int(found.nit)
