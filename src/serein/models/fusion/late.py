"""Late fusion: a calibrated classifier a modality, and a rule that makes one answer of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from itertools import combinations
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted

from serein.errors import unknown_name
from serein.models.calibration import fit_temperature
from serein.models.fusion.classifier import TINY, FusionClassifier, fitted, log_proba
from serein.models.fusion.modalities import Flags, Floats, Modalities, Told
from serein.models.fusion.rules import RULES, Answers, HeldOut, Product, Rule
from serein.models.linear import MaskedLogisticRegression


class LateFusion(FusionClassifier):
    """A classifier a modality, and one rule over their calibrated probabilities.

    `fit` lets each classifier answer for training speakers that it did not learn from (inner folds
    of speakers, the same for all modalities). Those answers set each one's temperature, as
    `TemperatureScaled` does, and teach the rule. Each set of modalities that a sample may have gets
    a rule of its own, learnt on the samples that have at least these; a single modality answers by
    itself.

    Parameters
    ----------
    estimators : classifier or mapping of str to classifier, optional
        For all modalities, or by name; `MaskedLogisticRegression` where none is given.
    rule : str
        A key of `RULES`: ``weighted``, a mean of probabilities with learnt weights; ``stacked``, a
        logistic regression on log probabilities, its penalty chosen in folds of speakers;
        ``product``, a product of experts with learnt exponents; ``plain_product``, all exponents 1.
    folds : int
        Inner folds, at least 2; no more are made than there are groups.

    Attributes
    ----------
    estimators_ : dict of str to classifier
        Fitted on all training samples that have the modality.
    temperatures_ : dict of str to float
        Log probabilities are divided by this.
    held_out_ : HeldOut
        What they answered for training speakers that they had not heard, copies left out.
    rules_ : dict of tuple of str to rule
        Modalities -> `WeightedMean`, `Stacked` or `Product`.
    classes_, modalities_, widths_, prior_
        As `FusionClassifier` has them.

    References
    ----------
    J. Kittler, M. Hatef, R. Duin, J. Matas, "On combining classifiers", TPAMI 20(3), 1998; D. H.
    Wolpert, "Stacked generalization", Neural Networks 5(2), 1992; C. Genest, J. Zidek, "Combining
    probability distributions", Statistical Science 1(1), 1986 (linear and logarithmic pools); G.
    Hinton, "Products of experts", ICANN 1999.

    Examples
    --------
    >>> X = {"voice": [[0.0], [0.1], [1.0], [1.1]] * 3, "face": [[3.0], [3.0], [5.0], [5.0]] * 3}
    >>> fusion = LateFusion(rule="product").fit(X, ["calm", "calm", "fear", "fear"] * 3)
    >>> fusion.predict({"face": [[5.0]]}).tolist()
    ['fear']
    """

    def __init__(self, estimators: Any = None, *, rule: str = "product", folds: int = 5) -> None:
        self.estimators = estimators
        self.rule = rule
        self.folds = folds

    def _learn(self, samples: Modalities, told: Told) -> None:
        self._check(samples.names)
        present = samples.present
        held = np.full((len(self.modalities_), len(told), len(self.classes_)), np.nan)
        self.estimators_, self.temperatures_ = {}, {}
        for number, (name, array) in enumerate(samples.items()):
            mine = np.flatnonzero(present[:, number])
            X, part, estimator = array[mine], told.rows(mine), self._estimator(name)
            raw, heard = self._held_out(estimator, X, part)
            if not heard.any():
                raise ValueError(
                    f"{name} needs a class that at least 2 speakers have, to weigh it; got none"
                )
            use = part.rows(heard)
            temperature = fit_temperature(raw[heard], use.index, use.weight)
            held[number, mine[heard]] = _cooled(raw[heard], temperature)
            self.estimators_[name] = fitted(estimator, X, part)
            self.temperatures_[name] = temperature
        own = told.rows(~told.is_augmented)
        log_prior = np.log(np.maximum(self.prior_, TINY))
        self.held_out_ = HeldOut(
            held[:, ~told.is_augmented], own.index, own.weight, own.groups, log_prior
        )
        self._learn_rules()

    def _held_out(self, estimator: Any, X: Floats, told: Told) -> tuple[Floats, Flags]:
        """Answer for samples by classifiers that did not learn from their speakers."""
        answers = np.full((len(told), len(self.classes_)), np.nan)
        heard = np.zeros(len(told), bool)
        count = min(self.folds, len(np.unique(told.groups)))
        if count < 2:
            raise ValueError("late fusion needs at least 2 speakers in the training data; got 1")
        for train, held in GroupKFold(count).split(X, told.labels, told.groups):
            test = held[~told.is_augmented[held]]
            if not len(test) or len(np.unique(told.labels[train])) < 2:
                continue
            part = fitted(estimator, X[train], told.rows(train))
            answers[test] = log_proba(part, X[test], self.classes_)
            heard[test] = np.isin(told.labels[test], part.classes_)
        return answers, heard

    def _learn_rules(self) -> None:
        """Learn the rule of each set of modalities."""
        numbers = range(len(self.modalities_))
        self.rules_: dict[tuple[str, ...], Rule] = {}
        for size in range(2, len(self.modalities_) + 1):
            for subset in combinations(numbers, size):
                known = self.held_out_.among(subset)
                names = tuple(self.modalities_[number] for number in subset)
                self.rules_[names] = (RULES[self.rule] if len(known.truth) else Product.plain)(
                    known
                )

    def with_rule(self, rule: str) -> Self:
        """Make a fitted copy with the same classifiers, and another rule over them.

        Parameters
        ----------
        rule : str
            A key of `RULES`.

        Returns
        -------
        LateFusion
            Fitted.

        Raises
        ------
        ValueError
            If the rule is unknown.
        """
        check_is_fitted(self)
        other = copy(self).set_params(rule=rule)
        other._check(self.modalities_)
        other._learn_rules()
        return other

    def _log_proba(self, samples: Modalities) -> Floats:
        answers, present = self._answers(samples), samples.present
        result = np.empty((len(samples), len(self.classes_)))
        for pattern in np.unique(present, axis=0):
            rows = (present == pattern).all(axis=1)
            subset = np.flatnonzero(pattern)
            if len(subset) == 1:
                result[rows] = answers[subset[0], rows]
            else:
                rule = self.rules_[tuple(self.modalities_[number] for number in subset)]
                result[rows] = log_softmax(rule(answers[np.ix_(subset, rows)]), axis=1)
        return result

    def answers(self, X: Mapping[str, npt.ArrayLike]) -> dict[str, Floats]:
        """Return what each modality says by itself.

        Parameters
        ----------
        X : mapping of array_like
            Name -> (samples, features).

        Returns
        -------
        dict of numpy.ndarray
            Name -> (samples, classes): calibrated probabilities, NaN where it is missing.
        """
        samples = self._read(X)
        return dict(zip(self.modalities_, np.exp(self._answers(samples)), strict=True))

    def _answers(self, samples: Modalities) -> Answers:
        result = np.full((len(self.modalities_), len(samples), len(self.classes_)), np.nan)
        for number, (name, array) in enumerate(samples.items()):
            there = ~np.isnan(array[:, 0])
            if there.any():
                raw = log_proba(self.estimators_[name], array[there], self.classes_)
                result[number, there] = _cooled(raw, self.temperatures_[name])
        return result

    def _estimator(self, name: str) -> Any:
        given = self.estimators
        chosen = given.get(name) if isinstance(given, Mapping) else given
        return MaskedLogisticRegression() if chosen is None else chosen

    def _check(self, names: tuple[str, ...]) -> None:
        if self.rule not in RULES:
            raise ValueError(unknown_name("rule", self.rule, RULES))
        if not isinstance(self.folds, int | np.integer) or self.folds < 2:
            raise ValueError(f"folds is {self.folds!r}; need a whole number, at least 2")
        for name in self.estimators if isinstance(self.estimators, Mapping) else ():
            if name not in names:
                raise ValueError(unknown_name("modality of estimators", name, names))


def _cooled(log_probabilities: Floats, temperature: float) -> Floats:
    result: Floats = log_softmax(log_probabilities / temperature, axis=1)
    return result
