"""Late fusion: a calibrated classifier a modality, and a rule that combines their predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.utils.validation import check_is_fitted

from serein.errors import SettingError, check_name
from serein.models.calibration import TemperatureScaled
from serein.models.fusion.classifier import (
    TINY,
    FusionClassifier,
    fitted,
    log_proba,
    on_classes,
)
from serein.models.fusion.modalities import Floats, Modalities, Targets
from serein.models.fusion.rules import RULES, HeldOut, LogP, Product, Rule
from serein.models.linear import MaskedLogisticRegression
from serein.models.shapley import subsets


class LateFusion(FusionClassifier):
    """A classifier a modality, and one rule over their calibrated probabilities.

    `fit` wraps each classifier in `TemperatureScaled`: its held-out predictions for training
    speakers set its temperature, and those of all modalities teach the rule. Each set of modalities
    that a sample may have gets a rule of its own, learnt on the samples that have at least these; a
    single modality needs none.

    `estimators`: for all modalities, or by name; `MaskedLogisticRegression` where none is given;
    `rule`: A key of `RULES`: ``weighted``, a mean of probabilities with learnt weights;
    ``stacked``, a logistic regression on log probabilities, its C chosen in folds of speakers;
    ``product``, a product of experts with learnt exponents; ``plain_product``, all exponents 1;
    `folds`: inner folds, at least 2; no more are made than there are groups; `estimators_`: fitted
    on all training samples that have the modality; `held_out_`: their predictions for training
    speakers in folds without these; augmented data left out; `rules_`: modalities ->
    `WeightedMean`, `Stacked` or `Product`; `classes_, modalities_, widths_, prior_`: as
    `FusionClassifier` has them.
    Source: J. Kittler, M. Hatef, R. Duin, J. Matas, "On combining classifiers", TPAMI 20(3), 1998;
    D. H. Wolpert, "Stacked generalization", Neural Networks 5(2), 1992; C. Genest, J. Zidek,
    "Combining probability distributions", Statistical Science 1(1), 1986 (linear and logarithmic
    pools); G. Hinton, "Products of experts", ICANN 1999.
    """

    def __init__(self, estimators: Any = None, *, rule: str = "product", folds: int = 5) -> None:
        self.estimators = estimators
        self.rule = rule
        self.folds = folds

    def _learn(self, samples: Modalities, targets: Targets) -> None:
        present = samples.present
        held = np.full((len(samples.names), len(targets), len(self.classes_)), np.nan)
        self.estimators_: dict[str, TemperatureScaled] = {}
        for number, (name, array) in enumerate(samples.items()):
            mine = np.flatnonzero(present[:, number])
            estimator = self._estimator(name)
            calibrated = TemperatureScaled(estimator, folds=self.folds)
            calibrated = fitted(calibrated, array[mine], targets.rows(mine), inside=estimator)
            found = on_classes(calibrated.held_out_, calibrated.classes_, self.classes_)
            held[number, mine] = found
            self.estimators_[name] = calibrated
        own = ~targets.is_augmented
        part = targets.rows(own)
        log_prior = np.log(np.maximum(self.prior_, TINY))
        self.held_out_ = HeldOut(held[:, own], part.index, part.weight, part.groups, log_prior)
        self._learn_rules()

    def _learn_rules(self) -> None:
        """Learn the rule of each set of modalities."""
        self.rules_: dict[tuple[str, ...], Rule] = {}
        for names in subsets(self.modalities_):
            if len(names) > 1:
                known = self.held_out_.among([self.modalities_.index(name) for name in names])
                learn = RULES[self.rule] if len(known.truth) else Product.plain
                self.rules_[names] = learn(known)

    def with_rule(self, rule: str) -> Self:
        """Return a fitted copy with the same classifiers and another rule, a key of `RULES`."""
        check_is_fitted(self)
        other = copy(self).set_params(rule=rule)
        other.check(self.modalities_)
        other._learn_rules()
        return other

    def _log_proba(self, samples: Modalities) -> Floats:
        log_p, present = self._each(samples), samples.present
        result = np.empty((len(samples), len(self.classes_)))
        for pattern in np.unique(present, axis=0):
            rows = (present == pattern).all(axis=1)
            subset = np.flatnonzero(pattern)
            if len(subset) == 1:
                result[rows] = log_p[subset[0], rows]
            else:
                rule = self.rules_[tuple(self.modalities_[number] for number in subset)]
                result[rows] = log_softmax(rule(log_p[np.ix_(subset, rows)]), axis=1)
        return result

    def modality_probabilities(self, X: Mapping[str, npt.ArrayLike]) -> dict[str, Floats]:
        """Return each modality's own calibrated probabilities: name -> (samples, classes).

        They are NaN where a sample lacks the modality.
        """
        samples = self._read(X)
        return dict(zip(self.modalities_, np.exp(self._each(samples)), strict=True))

    def _each(self, samples: Modalities) -> LogP:
        result = np.full((len(self.modalities_), len(samples), len(self.classes_)), np.nan)
        for number, (name, array) in enumerate(samples.items()):
            there = ~np.isnan(array[:, 0])
            if there.any():
                estimator = self.estimators_[name]
                result[number, there] = log_proba(estimator, array[there], self.classes_)
        return result

    def _estimator(self, name: str) -> Any:
        given = self.estimators
        chosen = given.get(name) if isinstance(given, Mapping) else given
        return MaskedLogisticRegression() if chosen is None else chosen

    def check(self, names: Sequence[str]) -> None:
        """Raise `SettingError` if the rule, folds or a name of `estimators` is not allowed."""
        check_name("rule", self.rule, RULES)
        if not isinstance(self.folds, int | np.integer) or self.folds < 2:
            raise SettingError(f"folds is {self.folds!r}; need a whole number, at least 2")
        for name in self.estimators if isinstance(self.estimators, Mapping) else ():
            check_name("modality of estimators", name, names)
