"""A fusion estimator over one array: the columns of all modalities side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from serein.models.fusion.modalities import BALANCED, Modalities
from serein.training.contract import WrappedClassifier


@dataclass(frozen=True)
class Unlabelled:
    """Samples without labels, and who speaks."""

    X: npt.NDArray[Any]
    groups: npt.NDArray[Any]


class ColumnFusion(WrappedClassifier):
    """A fusion estimator for whatever takes one array: cross-validation, calibration, search.

    The columns of the modalities stand side by side, as wide and in the order that `widths` says; a
    block is NaN where its modality is missing. With `class_weights` all classes count the same.
    """

    def __init__(
        self,
        estimator: Any,
        widths: Mapping[str, int],
        *,
        class_weights: bool = False,
        unlabelled: Unlabelled | None = None,
    ) -> None:
        self.estimator = estimator
        self.widths = widths
        self.class_weights = class_weights
        self.unlabelled = unlabelled

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        is_augmented: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        labelled: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from samples, of which only the `labelled` ones, all if not given, show a label."""
        samples, labels = Modalities.split(X, self.widths), np.asarray(y)
        if labelled is not None:
            labels = labels.astype(object)
            labels[~np.asarray(labelled, bool)] = None
        rows: dict[str, Any] = {"groups": groups, "is_augmented": is_augmented}
        if self.unlabelled is not None:
            more = len(self.unlabelled.X)
            samples = samples.joined(Modalities.split(self.unlabelled.X, self.widths))
            labels = np.concatenate([labels.astype(object), [None] * more])
            rows["groups"] = np.concatenate([np.asarray(groups), self.unlabelled.groups])
            if is_augmented is not None:
                rows["is_augmented"] = np.concatenate([np.asarray(is_augmented), np.zeros(more)])
        rows["sample_weight"] = BALANCED if self.class_weights else sample_weight
        self.estimator_ = clone(self.estimator).fit(samples, labels, **rows)
        self.classes_ = self.estimator_.classes_
        return self

    def _inputs(self, X: npt.ArrayLike) -> Any:
        return Modalities.split(X, self.widths)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
