"""A linear classifier by least squares: one closed form, so quick to fit."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve

from serein.models.linear import LinearClassifier, span

Floats = npt.NDArray[np.float64]
SHARPNESS = 8.0  # scores of -1 to 1 times this are logits of about the right confidence


class MaskedRidge(LinearClassifier):
    """Penalised least squares on scaled features, with classes that may be absent for a sample.

    Each class's logit is fitted to 1 for its samples and to -1 / (classes - 1) for the others, so
    that what is learnt is regularised linear discriminant analysis. Where a sample comes from a
    corpus without a class, it takes no part in that class's fit. Scores do not saturate as those of
    logistic regression do, so that what is particular to a speaker moves them all alike.

    Parameters
    ----------
    penalty : float
        ||w||² counts this times the number of features, beside the mean squared error; so samples
        that come with copies of themselves need no other penalty.

    Attributes
    ----------
    classes_, mean_, scale_, coef_, intercept_ : numpy.ndarray
        As `LinearClassifier` has them.

    References
    ----------
    T. Hastie, A. Buja, R. Tibshirani, "Penalized discriminant analysis", Annals of Statistics 23,
    1995.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> MaskedRidge().fit(X, ["low", "low", "high", "high"]).predict([[2.5]])
    array(['high'], dtype='<U4')
    """

    def __init__(self, penalty: float = 5e-4) -> None:
        self.penalty = penalty

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
            Shape (samples,), the corpus of each sample, as `MaskedLogisticRegression` takes it.

        Returns
        -------
        MaskedRidge
            Itself.

        Raises
        ------
        ValueError
            If shapes do not agree, or there are fewer than two classes.
        """
        scaled, index, weight, possible = self._checked(X, y, sample_weight, label_set)
        if possible is None:
            possible = np.ones((len(index), len(self.classes_)), dtype=bool)
        strength = self.penalty * scaled.shape[1] * weight.sum()
        wide = scaled.shape[0] < scaled.shape[1] / 2
        if wide:  # the solution lies in the span of the samples: look for it there
            basis, scaled = span(scaled)
        columns = np.column_stack([scaled, np.ones(len(scaled))]).astype(np.float32)
        penalty = np.full(columns.shape[1], strength, np.float32)
        penalty[-1] = 0.0  # of the intercept
        found = _least_squares(columns, _targets(index, possible), weight, possible, penalty)
        self.coef_, self.intercept_ = SHARPNESS * found[:-1].T, SHARPNESS * found[-1]
        if wide:
            self.coef_ = self.coef_ @ basis.T
        return self


def _targets(index: npt.NDArray[np.intp], possible: npt.NDArray[np.bool_]) -> Floats:
    """Return what each sample's scores are fitted to, shape (samples, classes)."""
    others = np.maximum(possible.sum(axis=1) - 1, 1)
    target = np.repeat(-1.0 / others[:, None], possible.shape[1], axis=1)
    target[np.arange(len(index)), index] = 1.0
    return target


def _least_squares(
    X: npt.NDArray[np.float32],
    target: Floats,
    weight: Floats,
    possible: npt.NDArray[np.bool_],
    penalty: npt.NDArray[np.float32],
) -> Floats:
    """Solve for each class over the samples that may have it; shape (columns, classes).

    The product of the features with themselves is the costly part: it is made once for each set of
    classes that a sample may have, and summed for each class.
    """
    root = np.sqrt(weight).astype(np.float32)
    kinds, which = np.unique(possible, axis=0, return_inverse=True)
    products, moments = [], []
    for kind in range(len(kinds)):
        mine = which == kind
        rows = X[mine] * root[mine, None]
        products.append(rows.T @ rows)
        moments.append(rows.T @ (target[mine] * root[mine, None]).astype(np.float32))
    result = np.zeros((X.shape[1], len(kinds[0])))
    patterns, pattern_of = np.unique(kinds, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        classes = np.flatnonzero(pattern_of == number)
        taking_part = np.flatnonzero(pattern)
        product = sum(products[kind] for kind in taking_part) + np.diag(penalty)
        moment = sum(moments[kind][:, classes] for kind in taking_part)
        if product[-1, -1] > 0:  # else no sample counts that may have these classes
            result[:, classes] = solve(product, moment, assume_a="pos")
    return result
