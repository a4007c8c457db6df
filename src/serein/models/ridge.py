"""Ridge regression that learns from corpora with different label sets at once, or from sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve

from serein.errors import renamed
from serein.models.linear import LinearClassifier, span
from serein.training.contract import Floats

LOGIT_SCALE = 8.0  # scores from -1 to 1 times this are roughly calibrated logits
NEVER = -1e6  # logit of a class that no sample has


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over weighted samples that may have the same classes: what a ridge regression needs.

    `possible`: (classes,), which these are; `product`: (columns + 1, columns + 1), of the features
    and a column of ones with themselves; `target`: (columns + 1, classes), with the scores that
    are fitted.
    """

    possible: npt.NDArray[np.bool_]
    product: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]

    def __add__(self, other: Moments) -> Moments:
        """Sum over the samples of both."""
        return Moments(self.possible, self.product + other.product, self.target + other.target)


def moments_of(
    X: npt.NDArray[Any], index: npt.NDArray[np.intp], weight: Floats, possible: npt.NDArray[Any]
) -> Moments:
    """Sum samples (samples, columns) of known classes that may have the `possible` ones."""
    root = np.sqrt(weight).astype(np.float32)[:, None]
    rows = np.column_stack([X, np.ones(len(X))]).astype(np.float32)
    rows *= root
    target = np.full((len(X), len(possible)), -1.0 / max(possible.sum() - 1, 1))
    target[np.arange(len(index)), index] = 1.0
    return Moments(possible, rows.T @ rows, rows.T @ (target * root).astype(np.float32))


@renamed(penalty="alpha")
class MaskedRidge(LinearClassifier):
    """Ridge regression on scaled features, with classes that may be absent for a sample.

    Each class's score is fitted to 1 for its samples and to -1 / (classes - 1) for the others,
    which is regularised linear discriminant analysis. A sample from a corpus without a class takes
    no part in that class's fit. Scores do not saturate as those of logistic regression do, so a
    speaker's bias shifts the scores of all utterances alike.

    Minimises the weighted mean squared error + `alpha` · features · ||w||². Since the error is a
    mean, the best `alpha` does not depend on the number of samples, augmented ones included.

    T. Hastie, A. Buja, R. Tibshirani, "Penalized discriminant
    analysis", Annals of Statistics 23, 1995.
    """

    def __init__(self, alpha: float = 5e-4) -> None:
        self.alpha = alpha

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        label_set: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from labelled vectors."""
        scaled, index, weight, possible = self._checked(X, y, sample_weight, label_set)
        if possible is None:
            possible = np.ones((len(index), len(self.classes_)), dtype=bool)
        wide = scaled.shape[0] < scaled.shape[1] / 2
        strength = np.full(scaled.shape[1], self.alpha * scaled.shape[1] * weight.sum())
        if wide:  # the solution lies in the span of the samples
            basis, scaled = span(scaled)
            strength = strength[: scaled.shape[1]]
        kinds, which = np.unique(possible, axis=0, return_inverse=True)
        parts = ((which == number, kind) for number, kind in enumerate(kinds))
        moments = [moments_of(scaled[m], index[m], weight[m], kind) for m, kind in parts]
        self.coef_, self.intercept_ = _least_squares(moments, strength)
        if wide:
            self.coef_ = self.coef_ @ basis.T
        return self

    def fit_moments(
        self, moments: Sequence[Moments], centre: Floats, classes: npt.NDArray[Any]
    ) -> Self:
        """Learn from sums over samples of which `centre` (columns,) was taken.

        The same as `fit` on the samples, up to single precision. A class that no sample may
        have is never predicted.
        """
        self.classes_, self.n_features_in_ = classes, len(centre)
        sums = np.array([part.product[-1] for part in moments], float).sum(axis=0)
        squares = np.array([np.diagonal(part.product) for part in moments], float).sum(axis=0)
        total = sums[-1]
        mean = sums[:-1] / total
        scale = np.sqrt(np.maximum(squares[:-1] / total - mean**2, 0.0))
        self.mean_, self.scale_ = centre + mean, np.where(scale > 1e-12, scale, 1.0)
        strength = np.full(len(mean), self.alpha * len(mean) * total) * self.scale_**2
        weights, bias = _least_squares(moments, strength)
        self.coef_, self.intercept_ = weights * self.scale_, bias + weights @ mean
        known = np.any([part.possible for part in moments if part.product[-1, -1] > 0], axis=0)
        self.intercept_ = np.where(known, self.intercept_, NEVER)
        return self


def _least_squares(moments: Sequence[Moments], strength: Floats) -> tuple[Floats, Floats]:
    """Solve for each class over the samples that may have it; (classes, columns), (classes,).

    `strength`: (columns,), of the penalty. Classes that the same samples may have are solved
    together.
    """
    kinds = np.array([part.possible for part in moments])
    patterns, pattern_of = np.unique(kinds, axis=1, return_inverse=True)
    result = np.zeros((len(strength) + 1, kinds.shape[1]))
    for number, pattern in enumerate(patterns.T):
        classes = np.flatnonzero(pattern_of == number)
        parts = [part for part, taking in zip(moments, pattern, strict=True) if taking]
        if not any(part.product[-1, -1] > 0 for part in parts):
            continue  # no sample counts that may have these classes
        product = _total(part.product for part in parts)
        product[np.diag_indices(len(strength))] += strength.astype(np.float32)
        size = np.sqrt(np.diagonal(product))  # by which rounding is made the same for all columns
        product /= size
        product /= size[:, None]
        target = _total(part.target[:, classes] for part in parts) / size[:, None]
        found = solve(product, target, assume_a="pos", overwrite_a=True)
        result[:, classes] = found / size[:, None]
    result *= LOGIT_SCALE
    return result[:-1].T, result[-1]


def _total(arrays: Iterable[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Add arrays up, with memory for one more."""
    found = iter(arrays)
    total = next(found).copy()
    for array in found:
        total += array
    return total
