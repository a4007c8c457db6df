"""Rules that combine the predictions of several modalities, learnt on held-out predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from serein.models.fusion.modalities import Floats, Indices, Rows

LogP = npt.NDArray[np.float64]  # (modalities, samples, classes), log probabilities

EXPONENT_PENALTY = 0.5  # of their squared logarithms, beside the sum of losses: near 1
LOG_FLOOR = -8.0  # log probabilities below this are raised to it for a stacked rule
STACKED_C = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # tried in folds of speakers


@dataclass(frozen=True)
class HeldOut:
    """Predictions of the classifiers for speakers that they were not trained on."""

    log_p: LogP
    truth: Indices
    weight: Floats
    groups: Rows
    log_prior: Floats

    def among(self, modalities: Sequence[int]) -> HeldOut:
        """Keep the predictions of some modalities, for the samples that have all of these."""
        log_p = self.log_p[list(modalities)]
        rows = ~np.isnan(log_p[:, :, 0]).any(axis=0) & (self.weight > 0)
        kept = (self.truth[rows], self.weight[rows], self.groups[rows])
        return HeldOut(log_p[:, rows], *kept, self.log_prior)

    def loss(self, log_probabilities: Floats) -> float:
        """Return the mean log loss of fused predictions."""
        picked = log_probabilities[np.arange(len(self.truth)), self.truth]
        return float(-np.average(picked, weights=self.weight))


class Rule(Protocol):
    """Makes one prediction of several."""

    def __call__(self, log_p: LogP) -> Floats:
        """Return log probabilities, (samples, classes), not normalised."""


@dataclass(frozen=True)
class WeightedMean:
    """A linear opinion pool: the mean of the probabilities by learnt weights, sharpened.

    A mean of calibrated probabilities is underconfident, so it is raised to a power that is learnt
    with the weights.

    R. Ranjan, T. Gneiting, "Combining probability forecasts", Journal of the Royal Statistical
    Society B 72(1), 2010.
    """

    weights: Floats
    power: float

    @classmethod
    def learn(cls, held: HeldOut) -> Rule:
        """Find weights and power that make the true classes likeliest."""

        def made(free: Floats) -> WeightedMean:
            return cls(np.exp(log_softmax(free[:-1])), float(np.exp(free[-1])))

        def loss(free: Floats) -> float:
            return held.loss(log_softmax(made(free)(held.log_p), axis=1))

        return made(minimize(loss, np.zeros(len(held.log_p) + 1)).x)

    def __call__(self, log_p: LogP) -> Floats:
        """Return log probabilities up to a constant a sample, shape (samples, classes)."""
        result: Floats = self.power * logsumexp(log_p, axis=0, b=self.weights[:, None, None])
        return result


@dataclass(frozen=True)
class Product:
    """A product of experts: how far each moves the log prior, times an exponent of its own."""

    exponents: Floats
    log_prior: Floats

    @classmethod
    def plain(cls, held: HeldOut) -> Rule:
        """Take all exponents as 1."""
        return cls(np.ones(len(held.log_p)), held.log_prior)

    @classmethod
    def learn(cls, held: HeldOut) -> Rule:
        """Find the exponents that make the true classes likeliest, not far from 1."""

        def loss(logs: Floats) -> float:
            fused = log_softmax(cls(np.exp(logs), held.log_prior)(held.log_p), axis=1)
            return held.loss(fused) + EXPONENT_PENALTY / len(held.truth) * float(logs @ logs)

        return cls(np.exp(minimize(loss, np.zeros(len(held.log_p))).x), held.log_prior)

    def __call__(self, log_p: LogP) -> Floats:
        """Return log probabilities up to a constant a sample, shape (samples, classes)."""
        moved = log_p - self.log_prior
        result: Floats = self.log_prior + np.tensordot(self.exponents, moved, axes=1)
        return result


@dataclass(frozen=True)
class Stacked:
    """A logistic regression on the log probabilities of all modalities."""

    regression: LogisticRegression

    @classmethod
    def learn(cls, held: HeldOut) -> Rule:
        """Fit it on held-out predictions; a product, where they lack a class."""
        if len(np.unique(held.truth)) < held.log_p.shape[2]:
            return Product.plain(held)
        inputs = cls._inputs(held.log_p)
        regression = _regression(_choose_c(inputs, held))
        return cls(regression.fit(inputs, held.truth, sample_weight=held.weight))

    def __call__(self, log_p: LogP) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        result: Floats = self.regression.predict_log_proba(self._inputs(log_p))
        return result

    @staticmethod
    def _inputs(log_p: LogP) -> Floats:
        return np.hstack(list(np.maximum(log_p, LOG_FLOOR)))


def _regression(C: float) -> LogisticRegression:
    return LogisticRegression(C=C, class_weight="balanced", max_iter=1000)


def _choose_c(inputs: Floats, held: HeldOut) -> float:
    """Choose C by the log loss in folds of speakers."""
    folds = min(5, len(np.unique(held.groups)))
    if folds < 2:
        return STACKED_C[len(STACKED_C) // 2]
    losses = np.zeros(len(STACKED_C))
    for train, test in GroupKFold(folds).split(inputs, held.truth, held.groups):
        if len(np.unique(held.truth[train])) < held.log_p.shape[2]:
            continue
        for number, C in enumerate(STACKED_C):
            part = _regression(C).fit(inputs[train], held.truth[train], held.weight[train])
            log_p = part.predict_log_proba(inputs[test])
            losses[number] -= held.weight[test] @ log_p[np.arange(len(test)), held.truth[test]]
    return STACKED_C[int(losses.argmin())]


RULES: dict[str, Callable[[HeldOut], Rule]] = {
    "weighted": WeightedMean.learn,
    "stacked": Stacked.learn,
    "product": Product.learn,
    "plain_product": Product.plain,
}
"""Name -> how a rule is learnt from held-out predictions."""
