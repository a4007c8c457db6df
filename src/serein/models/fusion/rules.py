"""Rules that make one answer of what several modalities say, learnt on held-out answers."""

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

Answers = npt.NDArray[np.float64]  # (modalities, samples, classes), log probabilities

NEAR_ONE = 0.5  # of their squared logarithms, beside the sum of losses: keeps exponents by 1
DOUBT = -8.0  # log probabilities below this tell a stacked rule nothing more
STRENGTHS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # C of a stacked rule, tried in folds of speakers


@dataclass(frozen=True)
class HeldOut:
    """What the classifiers answered for speakers that they did not learn from."""

    answers: Answers
    truth: Indices
    weight: Floats
    groups: Rows
    log_prior: Floats

    def among(self, modalities: Sequence[int]) -> HeldOut:
        """Keep the answers of some modalities, for the samples that all of them answered."""
        answers = self.answers[list(modalities)]
        rows = ~np.isnan(answers[:, :, 0]).any(axis=0) & (self.weight > 0)
        told = (self.truth[rows], self.weight[rows], self.groups[rows])
        return HeldOut(answers[:, rows], *told, self.log_prior)

    def loss(self, log_probabilities: Floats) -> float:
        """Return the mean log loss of fused answers."""
        picked = log_probabilities[np.arange(len(self.truth)), self.truth]
        return float(-np.average(picked, weights=self.weight))


class Rule(Protocol):
    """Makes one answer of several."""

    def __call__(self, answers: Answers) -> Floats:
        """Return log probabilities, (samples, classes), not normalised."""


@dataclass(frozen=True)
class WeightedMean:
    """A linear opinion pool: the mean of the probabilities by learnt weights, sharpened.

    A mean of calibrated probabilities is less sure than it is right, so it is raised to a power
    that is learnt with the weights; without it, they lean on the surest modality.

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
            return held.loss(log_softmax(made(free)(held.answers), axis=1))

        return made(minimize(loss, np.zeros(len(held.answers) + 1)).x)

    def __call__(self, answers: Answers) -> Floats:
        """Return log probabilities up to a constant a sample, shape (samples, classes)."""
        result: Floats = self.power * logsumexp(answers, axis=0, b=self.weights[:, None, None])
        return result


@dataclass(frozen=True)
class Product:
    """A product of experts: each speaks by how far it moves the prior, with an exponent."""

    exponents: Floats
    log_prior: Floats

    @classmethod
    def plain(cls, held: HeldOut) -> Rule:
        """Take all exponents as 1."""
        return cls(np.ones(len(held.answers)), held.log_prior)

    @classmethod
    def learn(cls, held: HeldOut) -> Rule:
        """Find the exponents that make the true classes likeliest, not far from 1."""

        def loss(logs: Floats) -> float:
            fused = log_softmax(cls(np.exp(logs), held.log_prior)(held.answers), axis=1)
            return held.loss(fused) + NEAR_ONE / len(held.truth) * float(logs @ logs)

        return cls(np.exp(minimize(loss, np.zeros(len(held.answers))).x), held.log_prior)

    def __call__(self, answers: Answers) -> Floats:
        """Return log probabilities up to a constant a sample, shape (samples, classes)."""
        moved = answers - self.log_prior
        result: Floats = self.log_prior + np.tensordot(self.exponents, moved, axes=1)
        return result


@dataclass(frozen=True)
class Stacked:
    """A logistic regression on the log probabilities of all modalities."""

    regression: LogisticRegression

    @classmethod
    def learn(cls, held: HeldOut) -> Rule:
        """Fit it on held-out answers; a product, where they lack a class."""
        classes = held.answers.shape[2]
        if len(np.unique(held.truth)) < classes:
            return Product.plain(held)
        inputs = cls._inputs(held.answers)
        C = _strength(inputs, held)
        return cls(_regression(C).fit(inputs, held.truth, sample_weight=held.weight))

    def __call__(self, answers: Answers) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        result: Floats = self.regression.predict_log_proba(self._inputs(answers))
        return result

    @staticmethod
    def _inputs(answers: Answers) -> Floats:
        return np.hstack(list(np.maximum(answers, DOUBT)))


def _regression(C: float) -> LogisticRegression:
    return LogisticRegression(C=C, class_weight="balanced", max_iter=1000)


def _strength(inputs: Floats, held: HeldOut) -> float:
    """Choose C by the log loss in folds of speakers."""
    folds = min(5, len(np.unique(held.groups)))
    if folds < 2:
        return STRENGTHS[len(STRENGTHS) // 2]
    losses = np.zeros(len(STRENGTHS))
    for train, test in GroupKFold(folds).split(inputs, held.truth, held.groups):
        if len(np.unique(held.truth[train])) < held.answers.shape[2]:
            continue
        for number, C in enumerate(STRENGTHS):
            part = _regression(C).fit(inputs[train], held.truth[train], held.weight[train])
            log_p = part.predict_log_proba(inputs[test])
            picked = log_p[np.arange(len(test)), held.truth[test]]
            losses[number] -= held.weight[test] @ picked
    return STRENGTHS[int(losses.argmin())]


RULES: dict[str, Callable[[HeldOut], Rule]] = {
    "weighted": WeightedMean.learn,
    "stacked": Stacked.learn,
    "product": Product.learn,
    "plain_product": Product.plain,
}
"""Name -> how a rule is learnt from held-out answers."""
