"""Linear classifiers that can learn from several label sets at once: here logistic regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

Floats = npt.NDArray[np.float64]


class LinearClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What fitted linear classifiers share: scaled features times weights are logits.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Shape (classes,), sorted labels.
    mean_, scale_ : numpy.ndarray
        Shape (features,), the scaling learnt from the training samples.
    coef_ : numpy.ndarray
        Shape (classes, features), on scaled features.
    intercept_ : numpy.ndarray
        Shape (classes,).
    """

    classes_: npt.NDArray[Any]
    mean_: Floats
    scale_: Floats
    coef_: Floats
    intercept_: Floats

    def decision_function(self, X: npt.ArrayLike) -> Floats:
        """Return the logits.

        Parameters
        ----------
        X : array_like
            Shape (samples, features).

        Returns
        -------
        numpy.ndarray
            Shape (samples, classes); for two classes, as scikit-learn has it, the difference of the
            two, shape (samples,).
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def _logits(self, X: npt.ArrayLike) -> Floats:
        check_is_fitted(self)
        vectors: Floats = validate_data(self, X, dtype=np.float64, reset=False)
        result: Floats = (vectors - self.mean_) / self.scale_ @ self.coef_.T + self.intercept_
        return result

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        logits = self._logits(X)
        result: Floats = logits - logsumexp(logits, axis=1, keepdims=True)
        return result

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return probabilities, shape (samples, classes), rows summing to 1."""
        result: Floats = np.exp(self.predict_log_proba(X))
        return result

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the likeliest label of each sample, shape (samples,)."""
        logits = self._logits(X)
        return self.classes_[logits.argmax(axis=1)]

    def _checked(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
        label_set: npt.ArrayLike | None,
    ) -> tuple[Floats, npt.NDArray[np.intp], Floats, npt.NDArray[np.bool_] | None]:
        """Check what `fit` is given, learn classes and scaling, and return what is to be fitted.

        Returns
        -------
        scaled : numpy.ndarray
            Shape (samples, features).
        index : numpy.ndarray
            Shape (samples,), class numbers.
        weight : numpy.ndarray
            Shape (samples,).
        possible : numpy.ndarray or None
            Shape (samples, classes): whether a class occurs in the sample's corpus; None if all do.
        """
        checked: tuple[Floats, npt.NDArray[Any]] = validate_data(self, X, y, dtype=np.float64)
        vectors, labels = checked
        check_classification_targets(labels)
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has 1 class ({self.classes_[0]}); a classifier needs samples of at least 2"
            )
        weight = _weights(sample_weight, len(index))
        possible = None if label_set is None else _possible_classes(index, label_set)
        self.mean_, self.scale_ = _scaling(vectors, weight)
        return (vectors - self.mean_) / self.scale_, index, weight, possible


class MaskedLogisticRegression(LinearClassifier):
    """Logistic regression on scaled features, with classes that may be absent for a sample.

    Corpora differ in the emotions they hold. Where a sample comes from a corpus without a class,
    that class takes no part in the sample's softmax, so it is never counted against it. Without
    `label_set` this is plain L2 multinomial logistic regression after standard scaling.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty: ||W||² / (2 C) beside the sum of the samples' losses. W
        has a row a class, also for two classes, where scikit-learn's C would be half of this.
    max_iter : int
        Most iterations of L-BFGS.
    tol : float
        Stop when no entry of the mean loss's gradient exceeds this.

    Attributes
    ----------
    classes_, mean_, scale_, coef_, intercept_ : numpy.ndarray
        As `LinearClassifier` has them.
    n_iter_ : int
        Iterations that were needed.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> MaskedLogisticRegression(C=10).fit(X, ["low", "low", "high", "high"]).predict([[2.5]])
    array(['high'], dtype='<U4')
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
        """Learn from labelled vectors.

        Parameters
        ----------
        X : array_like
            Shape (samples, features).
        y : array_like
            Shape (samples,), labels.
        sample_weight : array_like, optional
            Shape (samples,), not negative; all 1 if not given.
        label_set : array_like, optional
            Shape (samples,), the corpus of each sample: the classes possible for a sample are those
            that occur in its corpus. All classes, if not given.

        Returns
        -------
        MaskedLogisticRegression
            Itself.

        Raises
        ------
        ValueError
            If shapes do not agree, or there are fewer than two classes.
        """
        scaled, index, weight, possible = self._checked(X, y, sample_weight, label_set)
        barred = None if possible is None else np.where(possible, 0.0, -np.inf)
        wide = scaled.shape[0] < scaled.shape[1]
        if wide:  # the solution lies in the span of the samples: look for it there
            basis, scaled = span(scaled)
        self.coef_, self.intercept_, self.n_iter_ = _minimise(
            scaled, index, weight, barred, self.C, self.max_iter, self.tol
        )
        if wide:
            self.coef_ = self.coef_ @ basis.T
        return self


def _weights(sample_weight: npt.ArrayLike | None, samples: int) -> Floats:
    if sample_weight is None:
        return np.ones(samples)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (samples,) or not np.isfinite(weight).all() or weight.min() < 0:
        raise ValueError(f"sample_weight must be {samples} numbers, finite and not negative")
    if weight.sum() == 0:
        raise ValueError("sample_weight is zero for every sample; at least one must count")
    return weight


def _possible_classes(index: npt.NDArray[np.intp], label_set: npt.ArrayLike) -> npt.NDArray[Any]:
    """Say, as (samples, classes) of bool, which classes occur in each sample's corpus."""
    names, which = np.unique(np.asarray(label_set), return_inverse=True)
    if which.shape != index.shape:
        raise ValueError(f"label_set has {which.size} entries for {index.size} samples")
    occurs = np.zeros((len(names), int(index.max()) + 1), dtype=bool)
    occurs[which, index] = True
    return occurs[which]


def _scaling(X: Floats, weight: Floats) -> tuple[Floats, Floats]:
    share = weight / weight.sum()
    mean: Floats = share @ X
    scale = np.sqrt(share @ np.square(X - mean))
    return mean, np.where(scale > 1e-12, scale, 1.0)


def span(X: Floats) -> tuple[Floats, Floats]:
    """Find an orthonormal basis of the samples' span, and the samples' coordinates in it.

    Parameters
    ----------
    X : numpy.ndarray
        Shape (samples, features), fewer samples than features.

    Returns
    -------
    basis : numpy.ndarray
        Shape (features, samples), orthonormal columns.
    coordinates : numpy.ndarray
        Shape (samples, samples); times the basis, turned, they are X.
    """
    basis, coordinates = np.linalg.qr(X.T)
    return basis, coordinates.T


def _minimise(
    X: Floats,
    index: npt.NDArray[np.intp],
    weight: Floats,
    barred: Floats | None,
    C: float,
    max_iter: int,
    tol: float,
) -> tuple[Floats, Floats, int]:
    """Minimise the penalised cross-entropy with L-BFGS; the penalty spares the intercept."""
    samples, features = X.shape
    classes = int(index.max()) + 1
    target = np.zeros((samples, classes))
    target[np.arange(samples), index] = 1.0
    single = X.astype(np.float32)  # halves the time of the two large products

    def loss(flat: Floats) -> tuple[float, Floats]:
        parameters = flat.reshape(classes, features + 1)
        logits = single @ parameters[:, :-1].T.astype(np.float32) + parameters[:, -1]
        if barred is not None:
            logits = logits + barred
        log_total = logsumexp(logits, axis=1)
        value = weight @ (log_total - logits[np.arange(samples), index])
        error = (np.exp(logits - log_total[:, None]) - target) * weight[:, None]
        gradient = np.empty_like(parameters)
        gradient[:, :-1] = error.T.astype(np.float32) @ single + parameters[:, :-1] / C
        gradient[:, -1] = error.sum(axis=0)
        return float(value + np.square(parameters[:, :-1]).sum() / (2 * C)), gradient.ravel()

    start = np.zeros(classes * (features + 1))
    options = {"maxiter": max_iter, "gtol": tol * weight.sum(), "ftol": 1e-12}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    parameters = found.x.reshape(classes, features + 1)
    return parameters[:, :-1], parameters[:, -1], int(found.nit)
