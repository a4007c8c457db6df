"""Early fusion: the modalities side by side in one vector, on an equal footing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from serein.errors import unknown_name
from serein.models.calibration import TemperatureScaled
from serein.models.fusion.classifier import FusionClassifier, fitted, log_proba
from serein.models.fusion.modalities import Flags, Floats, Modalities, Told
from serein.models.linear import MaskedRidge


class BlockRidge(MaskedRidge):
    """`MaskedRidge` that keeps the columns' scales, since they say what a block weighs."""

    def _checked(self, *given: Any) -> Any:
        scaled, *rest = super()._checked(*given)
        columns = scaled * self.scale_
        self.scale_ = np.ones_like(self.scale_)
        return columns, *rest


@dataclass
class Blocks:
    """Each modality scaled, reduced, and given its weight: a block of columns each."""

    reduction: Any = None
    footing: Mapping[str, float] = field(default_factory=dict)
    random_state: int = 0

    def fit(self, samples: Modalities) -> Blocks:
        """Learn from the samples that have a modality; return itself."""
        for kind, given in (("footing", self.footing), ("reduction", self.reduction)):
            for name in given if isinstance(given, Mapping) else ():
                if name not in samples.names:
                    raise ValueError(unknown_name(f"modality of {kind}", name, samples.names))
        self.steps_: dict[str, list[Any]] = {}
        self.mean_: dict[str, Floats] = {}
        self.scale_: dict[str, float] = {}
        for name, array in samples.items():
            values = array[~np.isnan(array[:, 0])]
            self.steps_[name] = [StandardScaler(), *self._reduce(name)]
            for step in self.steps_[name]:
                values = step.fit_transform(values)
            self.mean_[name] = values.mean(axis=0)
            self.scale_[name] = max(float(np.sqrt(values.var(axis=0).mean())), 1e-12)
        columns = np.array([len(mean) for mean in self.mean_.values()])
        weights = np.array([self._weight(name) for name in samples.names])
        footing = np.sqrt(weights / weights.sum() * columns.sum() / columns)
        self.factor_ = dict(zip(samples.names, footing.tolist(), strict=True))
        return self

    def transform(self, samples: Modalities, *, weighted: bool = True) -> Floats:
        """Lay the blocks side by side, shape (samples, columns); 0 where a modality is missing.

        With `weighted` the blocks' variances are as their footing, and a column's mean variance is
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
                factor = self.factor_[name] if weighted else 1.0
                block[there] = (values - self.mean_[name]) * (factor / self.scale_[name])
            blocks.append(block)
        return np.hstack(blocks)

    def _weight(self, name: str) -> float:
        weight = float(self.footing.get(name, 1.0))
        if not 0 < weight < np.inf:
            raise ValueError(f"footing of {name} is {weight}; need a number above 0")
        return weight

    def _reduce(self, name: str) -> list[Any]:
        asked = self.reduction.get(name) if isinstance(self.reduction, Mapping) else self.reduction
        if asked is None:
            return []
        if hasattr(asked, "fit_transform"):
            return [clone(asked)]
        whole = isinstance(asked, int) and not isinstance(asked, bool) and asked > 0
        if whole or (isinstance(asked, float) and 0 < asked < 1):
            solver = "auto" if whole else "full"  # a share needs all components
            return [PCA(asked, svd_solver=solver, random_state=self.random_state)]
        raise ValueError(
            f"reduction of {name} is {asked!r}; need a number of components above 0, a share of "
            "variance between 0 and 1, a transformer, or None"
        )


class EarlyFusion(FusionClassifier):
    """One classifier of all modalities side by side.

    Each modality is standardised and, if asked, reduced; then its block of columns is scaled so
    that many columns do not drown few: by default all blocks have the same total variance. A
    missing modality is a block of zeros, which is its mean.

    Parameters
    ----------
    estimator : classifier, optional
        Must give `predict_proba`, and must not scale its columns itself, or the footing is lost;
        `TemperatureScaled` around `BlockRidge`, if not given. `TemperatureScaled` finds its
        temperature in folds of speakers; scaling and reduction, which know no labels, have then
        seen the held-out speakers.
    reduction : int, float, transformer or mapping, optional
        Number of principal components, or the share of variance that they keep, or a transformer;
        or a mapping of modality to one of these. None reduces nothing.
    footing : mapping of str to float, optional
        What each modality's total variance counts, 1 for one that is not named.
    dropout : float
        Modality dropout: from this share of the samples that have several modalities a copy is
        learnt from as well, in which one of them, drawn at random, is missing. 0 to 1.
    random_state : int, RandomState or None
        Seed of the dropout.

    Attributes
    ----------
    estimator_ : classifier
        Fitted.
    blocks_ : Blocks
        Scaling and reduction of the modalities.
    classes_, modalities_, widths_, prior_
        As `FusionClassifier` has them.

    References
    ----------
    Modality dropout: N. Neverova, C. Wolf, G. Taylor, F. Nebout, "ModDrop: adaptive multi-modal
    gesture recognition", TPAMI 38(8), 2016. Equal footing of blocks: J. A. Westerhuis, T. Kourti,
    J. F. MacGregor, "Analysis of multiblock and hierarchical PCA and PLS models", Journal of
    Chemometrics 12, 1998.

    Examples
    --------
    >>> X = {"voice": [[0.0], [0.1], [1.0], [1.1]] * 3, "face": [[3.0], [3.0], [5.0], [5.0]] * 3}
    >>> fusion = EarlyFusion().fit(X, ["calm", "calm", "fear", "fear"] * 3)
    >>> fusion.predict({"voice": [[1.05]]}).tolist()
    ['fear']
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        reduction: Any = None,
        footing: Mapping[str, float] | None = None,
        dropout: float = 0.0,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.estimator = estimator
        self.reduction = reduction
        self.footing = footing
        self.dropout = dropout
        self.random_state = random_state

    def _learn(self, samples: Modalities, told: Told) -> None:
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout is {self.dropout}; need a share from 0 to 1")
        random = check_random_state(self.random_state)
        self.blocks_ = Blocks(self.reduction, self.footing or {}, int(random.randint(2**31 - 1)))
        self.blocks_.fit(samples)
        chosen, keep = drop(samples.present, self.dropout, random)
        rows = np.concatenate([np.arange(len(told)), chosen])
        whole = samples.joined(samples.rows(chosen).only(keep)) if len(chosen) else samples
        more = told.rows(rows)
        more = replace(more, is_augmented=more.is_augmented | (np.arange(len(rows)) >= len(told)))
        estimator = TemperatureScaled(BlockRidge()) if self.estimator is None else self.estimator
        self.estimator_ = fitted(estimator, self.blocks_.transform(whole), more)

    def _log_proba(self, samples: Modalities) -> Floats:
        return log_proba(self.estimator_, self.blocks_.transform(samples), self.classes_)


def drop(
    present: Flags, share: float, random: np.random.RandomState
) -> tuple[npt.NDArray[np.intp], Flags]:
    """Choose samples, and a modality to take from each."""
    several = np.flatnonzero(present.sum(axis=1) > 1)
    count = round(share * len(several))
    chosen = np.sort(random.permutation(several)[:count])
    keep = present[chosen]
    gone = np.where(keep, random.random_sample(keep.shape), -1.0).argmax(axis=1)
    keep[np.arange(len(chosen)), gone] = False
    return chosen, keep
