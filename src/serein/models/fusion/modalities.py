"""Samples of several modalities, any of which a sample may lack, and their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.class_weight import compute_sample_weight

from serein.errors import SettingError, check_name
from serein.training.contract import check_weights, class_index

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Rows = npt.NDArray[Any]
Weights = npt.ArrayLike | str | None
BALANCED = "balanced"  # in place of weights: all classes count the same


@dataclass(frozen=True)
class Modalities:
    """Samples of several modalities: their columns side by side, a block of NaN for a gap."""

    columns: Floats
    widths: dict[str, int]

    @classmethod
    def read(cls, X: Any, widths: Mapping[str, int] | None = None) -> Modalities:
        """Check a mapping of modalities; with `widths`, order and complete it as in training."""
        if isinstance(X, Modalities):
            return X if X.widths == (widths or X.widths) else cls.read(dict(X.items()), widths)
        if not isinstance(X, Mapping) or not X:
            kind = "empty" if isinstance(X, Mapping) else f"of type {type(X).__name__}"
            raise SettingError(
                f"X is {kind}; need a mapping of modality name to array, such as "
                '{"voice": voice, "face": face}'
            )
        arrays = {str(name): _matrix(str(name), values) for name, values in X.items()}
        counts = {name: len(array) for name, array in arrays.items()}
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise SettingError(
                f"modalities differ in samples: {found}; give a row of NaN for a gap"
            )
        if widths is not None:
            arrays = _as_trained(arrays, widths)
        found_widths = {name: array.shape[1] for name, array in arrays.items()}
        return cls(np.hstack(list(arrays.values())), found_widths)

    @classmethod
    def split(cls, X: npt.ArrayLike, widths: Mapping[str, int]) -> Modalities:
        """Check one array of all columns."""
        columns = np.asarray(X, dtype=np.float64)
        if columns.ndim != 2 or columns.shape[1] != sum(widths.values()):
            raise SettingError(
                f"X has shape {columns.shape}; need (samples, {sum(widths.values())}): the columns "
                f"of {', '.join(widths)} side by side"
            )
        samples = cls(columns, dict(widths))
        for name, array in samples.items():
            _matrix(name, array)
        return samples

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities, in order."""
        return tuple(self.widths)

    @property
    def present(self) -> Flags:
        """Which modalities each sample has, shape (samples, modalities)."""
        return np.column_stack([~np.isnan(array[:, 0]) for _, array in self.items()])

    def items(self) -> list[tuple[str, Floats]]:
        """Return names and arrays."""
        ends = np.cumsum(list(self.widths.values()))[:-1]
        return list(zip(self.widths, np.split(self.columns, ends, axis=1), strict=True))

    def rows(self, which: npt.NDArray[Any]) -> Modalities:
        """Keep some samples, by index or mask."""
        return Modalities(self.columns[which], self.widths)

    def some(self, names: Sequence[str]) -> Modalities:
        """Keep some modalities."""
        arrays = dict(self.items())
        kept = {name: self.widths[name] for name in names}
        return Modalities(np.hstack([arrays[name] for name in names]), kept)

    def only(self, keep: Flags) -> Modalities:
        """Take modalities away, where `keep`, of shape (samples, modalities), is false."""
        wide = np.repeat(keep, list(self.widths.values()), axis=1)
        return Modalities(np.where(wide, self.columns, np.nan), self.widths)

    def joined(self, others: Modalities) -> Modalities:
        """Put more samples behind these."""
        return Modalities(np.concatenate([self.columns, others.columns]), self.widths)


@dataclass(frozen=True)
class Targets:
    """What is known of training samples beside their features, an entry a sample."""

    classes: Rows
    index: Indices  # of the class; -1 for a sample without a label
    weight: Floats
    groups: Rows
    is_augmented: Flags

    @classmethod
    def read(
        cls,
        samples: int,
        y: npt.ArrayLike,
        sample_weight: Weights,
        groups: npt.ArrayLike | None,
        is_augmented: npt.ArrayLike | None,
    ) -> Self:
        """Check labels and what is given beside them; None or "" marks one without a label."""
        given = _column(y, samples, "y")
        known = np.array([label is not None and label != "" for label in given], dtype=bool)
        if not known.any():
            raise SettingError(f"none of {samples} samples has a label")
        labels = np.array(given[known].tolist())
        classes, numbers = class_index(labels)
        index = np.full(samples, -1)
        index[known] = numbers
        weight = np.ones(samples)
        if isinstance(sample_weight, str) and sample_weight == BALANCED:
            weight[known] = compute_sample_weight("balanced", labels)
        elif sample_weight is not None:
            weight = check_weights(sample_weight, samples)
        speakers = np.arange(samples) if groups is None else _column(groups, samples, "groups")
        augmented = (
            np.zeros(samples)
            if is_augmented is None
            else _column(is_augmented, samples, "is_augmented")
        )
        return cls(classes, index, weight, speakers, augmented.astype(bool))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def labels(self) -> Rows:
        """The label of each sample, where all have one."""
        return self.classes[self.index]

    def rows(self, which: npt.NDArray[Any]) -> Targets:
        """Keep some samples, by index or mask."""
        names = ("index", "weight", "groups", "is_augmented")
        return replace(self, **{name: getattr(self, name)[which] for name in names})


def _column(values: npt.ArrayLike, samples: int, name: str) -> Rows:
    array = np.asarray(values)
    if array.shape != (samples,):
        raise SettingError(f"{name} has shape {array.shape}; need one entry for each of {samples}")
    return array


def _matrix(name: str, values: npt.ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise SettingError(f"{name} has shape {array.shape}; need (samples, features)")
    gaps = np.isnan(array)
    partly = gaps.any(axis=1) & ~gaps.all(axis=1)
    if partly.any():
        raise SettingError(
            f"{name} is NaN in part of row {partly.argmax()}; a sample without {name} is NaN in "
            "the whole row, and other gaps must be filled first"
        )
    if np.isinf(array).any():
        raise SettingError(
            f"{name} has infinite values in row {np.isinf(array).any(axis=1).argmax()}"
        )
    return array


def _as_trained(arrays: dict[str, Floats], widths: Mapping[str, int]) -> dict[str, Floats]:
    """Order modalities as in training, with NaN for those that are not there."""
    for name, array in arrays.items():
        check_name("modality", name, widths)
        if array.shape[1] != widths[name]:
            raise SettingError(
                f"{name} has {array.shape[1]} features; the model was trained on {widths[name]}"
            )
    samples = len(next(iter(arrays.values())))
    return {
        name: arrays.get(name, np.full((samples, width), np.nan)) for name, width in widths.items()
    }
