"""Hybrid fusion: networks with a token for each modality, and attention between the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import log_softmax, logsumexp
from sklearn.base import clone
from sklearn.utils import check_random_state

from serein.errors import SettingError, check_name
from serein.models.calibration import TemperatureScaled
from serein.models.fusion.classifier import FusionClassifier, fitted
from serein.models.fusion.columns import ColumnFusion
from serein.models.fusion.early import Blocks
from serein.models.fusion.modalities import Floats, Modalities, Targets
from serein.models.fusion.network import ATTENTIONS, HEADS, FusionArchitecture
from serein.models.network_classifier import NetworkClassifier
from serein.training.plan import Training

PLAN: dict[str, Any] = {
    "epochs": 40,
    "batch_size": 64,
    "label_smoothing": 0.1,
    "device": "cpu",
}
"""How the network is trained, where it is not `Training`'s default."""


class HybridFusion(FusionClassifier):
    """A network with a token for each modality, and attention between the tokens.

    `attention`: A key of `ATTENTIONS`; `size`: of a token; for ``cross_modal`` a multiple of 4;
    `dropout`: from 0 to below 1; `modality_dropout`: the chance of each modality of a training
    sample to be missing in a batch, 0 to below 1; `reduction`: as `EarlyFusion` takes it; applied
    before the network; `training`: how it is trained, early stopping on held-out speakers included;
    as `PLAN` says, if not given; `members`: networks that differ
    in their seeds; their probabilities are averaged; `calibration_folds`: inner folds of speakers
    that set the confidence, as `TemperatureScaled` does; 0 for none; `random_state`: seed of
    weights, order and dropout; `networks_`: one a member, on the scaled blocks side by side;
    `blocks_`: scaling and reduction of the modalities; `temperature_`: what log probabilities are
    divided by; 1 without calibration; `classes_, modalities_, widths_, prior_`: as
    `FusionClassifier` has them.
    """

    def __init__(
        self,
        attention: str = "gated",
        *,
        size: int = 64,
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        reduction: Any = None,
        training: Training | None = None,
        members: int = 1,
        calibration_folds: int = 0,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.attention = attention
        self.size = size
        self.dropout = dropout
        self.modality_dropout = modality_dropout
        self.reduction = reduction
        self.training = training
        self.members = members
        self.calibration_folds = calibration_folds
        self.random_state = random_state

    def _learn(self, samples: Modalities, targets: Targets) -> None:
        if self.calibration_folds:
            self._learn_calibrated(samples, targets)
            return
        random = check_random_state(self.random_state)
        seeds = random.randint(2**31 - 1, size=self.members + 1).tolist()
        self.blocks_ = Blocks(self.reduction, {}, seeds.pop()).fit(samples)
        rows = self._rows(samples)
        names = ("attention", "size", "dropout", "modality_dropout")
        settings = {name: getattr(self, name) for name in names}
        widths = tuple(len(mean) for mean in self.blocks_.mean_.values())
        network = NetworkClassifier(
            FusionArchitecture(widths, **settings),
            self._plan(),
            scaling=np.outer([1.0, -1.0], np.ones(rows.shape[1])),  # none: blocks are scaled
        )
        known = {"sample_weight": targets.weight, "groups": targets.groups}
        self.networks_ = [
            clone(network).set_params(random_state=seed).fit(rows, targets.labels, **known)
            for seed in seeds
        ]
        self.temperature_ = 1.0

    def _learn_calibrated(self, samples: Modalities, targets: Targets) -> None:
        """Learn inside `TemperatureScaled`, and take over what it found."""
        plain = ColumnFusion(clone(self).set_params(calibration_folds=0), self.widths_)
        calibrated = TemperatureScaled(plain, folds=self.calibration_folds)
        found = fitted(calibrated, samples.columns, targets)
        hybrid = found.estimator_.estimator_
        self.networks_, self.blocks_ = hybrid.networks_, hybrid.blocks_
        self.temperature_ = found.temperature_

    def _rows(self, samples: Modalities) -> Floats:
        """Lay out blocks, and whether each modality is there, as the network takes them."""
        return np.hstack([self.blocks_.transform(samples, weighted=False), samples.present])

    def _log_proba(self, samples: Modalities) -> Floats:
        rows = self._rows(samples)
        each = [network.predict_log_proba(rows) for network in self.networks_]
        mean = logsumexp(each, axis=0) - np.log(len(each))
        result: Floats = log_softmax(mean / self.temperature_, axis=1)
        return result

    def _plan(self) -> Training:
        return Training(**PLAN) if self.training is None else self.training

    def check(self, names: Sequence[str]) -> None:
        """Raise `SettingError` if a parameter is not allowed."""
        self._plan().check()
        Blocks(self.reduction).check(names)
        check_name("attention", self.attention, ATTENTIONS)
        if self.size < 1 or (self.attention == "cross_modal" and self.size % HEADS):
            raise SettingError(f"size is {self.size}; need one above 0, a multiple of {HEADS}")
        for name in ("dropout", "modality_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}; allowed: 0 to below 1")
        if self.members < 1:
            raise SettingError(f"members is {self.members}; need at least 1")
