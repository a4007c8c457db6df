"""Early fusion: the modalities side by side in one vector, their blocks scaled alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from serein.errors import SettingError, check_name, check_range, renamed
from serein.models.calibration import TemperatureScaled
from serein.models.fusion.classifier import FusionClassifier, fitted, log_proba
from serein.models.fusion.modalities import Flags, Floats, Indices, Modalities, Targets
from serein.models.ridge import MaskedRidge

RBF_COMPONENTS = 300  # of the Nyström features that reduction "rbf" takes, at most


class BlockRidge(MaskedRidge):
    """`MaskedRidge` that keeps the columns' scales, since they are the weights of the blocks."""

    def _checked(self, *given: Any) -> Any:
        scaled, *rest = super()._checked(*given)
        columns = scaled * self.scale_
        self.scale_ = np.ones_like(self.scale_)
        return columns, *rest


@dataclass
class Blocks:
    """Each modality scaled, reduced, and weighted: a block of columns each."""

    reduction: Any = None
    weights: Mapping[str, float] = field(default_factory=dict)
    random_state: int = 0

    def fit(self, samples: Modalities) -> Blocks:
        """Learn from the samples that have a modality; return itself."""
        self.steps_: dict[str, list[Any]] = {}
        self.mean_: dict[str, Floats] = {}
        self.scale_: dict[str, float] = {}
        for name, array in samples.items():
            values = array[~np.isnan(array[:, 0])]
            self.steps_[name] = [StandardScaler(), *self._reduce(name, *values.shape)]
            for step in self.steps_[name]:
                values = step.fit_transform(values)
            self.mean_[name] = values.mean(axis=0)
            self.scale_[name] = max(float(np.sqrt(values.var(axis=0).mean())), 1e-12)
        columns = np.array([len(mean) for mean in self.mean_.values()])
        weights = np.array([self.weights.get(name, 1.0) for name in samples.names])
        factors = np.sqrt(weights / weights.sum() * columns.sum() / columns)
        self.factor_ = dict(zip(samples.names, factors.tolist(), strict=True))
        return self

    def transform(self, samples: Modalities, *, weighted: bool = True) -> Floats:
        """Lay the blocks side by side, shape (samples, columns); 0 where a modality is missing.

        With `weighted` the blocks' variances are as their weights, and a column's mean variance is
        1; without, the mean variance is 1 in each block.
        """
        blocks = []
        for name, array in samples.items():
            there = ~np.isnan(array[:, 0])
            block = np.zeros((len(array), len(self.mean_[name])))
            if there.any():
                values = array[there]
                for step in self.steps_[name]:
                    values = step.transform(values)
                block[there] = (values - self.mean_[name]) * self.gain(name, weighted=weighted)
            blocks.append(block)
        return np.hstack(blocks)

    def gain(self, name: str, *, weighted: bool = True) -> float:
        """Return what the reduced, centred columns of a modality are multiplied by."""
        return (self.factor_[name] if weighted else 1.0) / self.scale_[name]

    def check(self, names: Sequence[str]) -> None:
        """Raise `SettingError` if a weight or reduction is not allowed, or of another modality."""
        for kind, given in (("weights", self.weights), ("reduction", self.reduction)):
            for name in given if isinstance(given, Mapping) else ():
                check_name(f"modality of {kind}", name, names)
        for name, weight in self.weights.items():
            if not 0 < weight < np.inf:
                raise SettingError(f"weight of {name} is {weight}; need a number above 0")
        for name in names:
            self._reduce(name, 1, 1)

    def _reduce(self, name: str, samples: int, width: int) -> list[Any]:
        asked = self.reduction.get(name) if isinstance(self.reduction, Mapping) else self.reduction
        if asked is None:
            return []
        if hasattr(asked, "fit_transform"):
            return [clone(asked)]
        if asked == "rbf":
            count = min(RBF_COMPONENTS, samples)
            return [Nystroem(gamma=0.5 / width, n_components=count, random_state=self.random_state)]
        whole = isinstance(asked, int) and not isinstance(asked, bool) and asked > 0
        if whole or (isinstance(asked, float) and 0 < asked < 1):
            solver = "auto" if whole else "full"  # a share needs all components
            return [PCA(asked, svd_solver=solver, random_state=self.random_state)]
        raise SettingError(
            f"reduction of {name} is {asked!r}; need a number of components above 0, a share of "
            'variance between 0 and 1, "rbf", a transformer, or None'
        )


@renamed(footing="weights")
class EarlyFusion(FusionClassifier):
    """One classifier of all modalities side by side.

    Each modality is standardised and, if asked, reduced; then its block of columns is scaled so
    that a modality of many columns does not outweigh one of few: by default all blocks have the
    same total variance. A missing modality is a block of zeros, which is its mean.

    `estimator`: must give `predict_proba`, and must not scale its columns itself, or the weights of
    the blocks are lost; `TemperatureScaled` around `BlockRidge`, if not given. `TemperatureScaled`
    finds its temperature in folds of speakers; scaling and reduction, which use no labels, have
    then been fitted on the held-out speakers too; `reduction`: number of principal components, or
    the share of variance that they keep; "rbf" for the Nyström features of a Gaussian kernel; or a
    transformer; or a mapping of modality to one of these. None reduces nothing; `weights`: total
    variance of each modality's block beside the others, 1 for one that is not named; `dropout`:
    modality dropout: from this share of the samples that have several modalities a copy is trained
    on as well, in which one of them, drawn at random, is missing. 0 to 1; `random_state`: seed of
    the dropout; `estimator_`: fitted; `blocks_`: scaling and reduction of the modalities;
    `classes_, modalities_, widths_, prior_`: as `FusionClassifier` has them.
    Source: Modality dropout: N. Neverova, C. Wolf, G. Taylor, F. Nebout, "ModDrop: adaptive
    multi-modal gesture recognition", TPAMI 38(8), 2016. Block scaling: J. A. Westerhuis, T. Kourti,
    J. F. MacGregor, "Analysis of multiblock and hierarchical PCA and PLS models", Journal of
    Chemometrics 12, 1998. Nyström features: C. Williams, M. Seeger, "Using the Nyström method to
    speed up kernel machines", NIPS 2000.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        reduction: Any = None,
        weights: Mapping[str, float] | None = None,
        dropout: float = 0.0,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.estimator = estimator
        self.reduction = reduction
        self.weights = weights
        self.dropout = dropout
        self.random_state = random_state

    def check(self, names: Sequence[str]) -> None:
        """Raise `SettingError` if dropout, a weight or a reduction is not allowed."""
        check_range("dropout", self.dropout, 0, 1)
        Blocks(self.reduction, self.weights or {}).check(names)

    def _learn(self, samples: Modalities, targets: Targets) -> None:
        random = check_random_state(self.random_state)
        self.blocks_ = Blocks(self.reduction, self.weights or {}, int(random.randint(2**31 - 1)))
        self.blocks_.fit(samples)
        chosen, keep = drop(samples.present, self.dropout, random)
        rows = np.concatenate([np.arange(len(targets)), chosen])
        whole = samples.joined(samples.rows(chosen).only(keep)) if len(chosen) else samples
        more = targets.rows(rows)
        more = replace(
            more, is_augmented=more.is_augmented | (np.arange(len(rows)) >= len(targets))
        )
        estimator = TemperatureScaled(BlockRidge()) if self.estimator is None else self.estimator
        self.estimator_ = fitted(estimator, self.blocks_.transform(whole), more)

    def _log_proba(self, samples: Modalities) -> Floats:
        return log_proba(self.estimator_, self.blocks_.transform(samples), self.classes_)


def drop(present: Flags, share: float, random: np.random.RandomState) -> tuple[Indices, Flags]:
    """Choose samples, and a modality to take from each."""
    several = np.flatnonzero(present.sum(axis=1) > 1)
    count = round(share * len(several))
    chosen = np.sort(random.permutation(several)[:count])
    keep = present[chosen]
    gone = np.where(keep, random.random_sample(keep.shape), -1.0).argmax(axis=1)
    keep[np.arange(len(chosen)), gone] = False
    return chosen, keep
