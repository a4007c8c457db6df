"""Samples of several modalities, any of which a sample may lack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serein.errors import unknown_name

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Rows = npt.NDArray[Any]


@dataclass(frozen=True)
class Modalities:
    """The same samples as seen by several modalities."""

    arrays: dict[str, Floats]

    @classmethod
    def read(cls, X: Mapping[str, npt.ArrayLike], widths: Mapping[str, int] | None = None) -> Self:
        """Check a mapping of modalities."""
        if not isinstance(X, Mapping) or not X:
            raise ValueError(
                f"X is {_kind(X)}; need a mapping of modality name to array, such as "
                '{"voice": voice, "face": face}'
            )
        arrays = {str(name): _matrix(str(name), values) for name, values in X.items()}
        counts = {name: len(array) for name, array in arrays.items()}
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise ValueError(f"modalities differ in samples: {found}; give a row of NaN for a gap")
        return cls(arrays if widths is None else _as_learnt(arrays, widths))

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities, in order."""
        return tuple(self.arrays)

    @property
    def present(self) -> Flags:
        """Which modalities each sample has, shape (samples, modalities)."""
        return np.column_stack([~np.isnan(array[:, 0]) for array in self.arrays.values()])

    def rows(self, which: npt.NDArray[Any]) -> Modalities:
        """Keep some samples, by index or mask."""
        return Modalities({name: array[which] for name, array in self.arrays.items()})

    def only(self, keep: Flags) -> Modalities:
        """Take modalities away, where `keep`, of shape (samples, modalities), is false."""
        return Modalities(
            {
                name: np.where(column[:, None], array, np.nan)
                for (name, array), column in zip(self.arrays.items(), keep.T, strict=True)
            }
        )

    def joined(self, others: Modalities) -> Modalities:
        """Put more samples behind these."""
        return Modalities(
            {name: np.concatenate([array, others.arrays[name]]) for name, array in self.items()}
        )

    def items(self) -> list[tuple[str, Floats]]:
        """Return names and arrays."""
        return list(self.arrays.items())


@dataclass(frozen=True)
class Told:
    """What is known of training samples beside what they look and sound like, a row a sample."""

    labels: Rows
    index: Indices
    weight: Floats
    groups: Rows
    is_augmented: Flags

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, which: npt.NDArray[Any]) -> Told:
        """Keep some samples, by index or mask."""
        return Told(**{each.name: getattr(self, each.name)[which] for each in fields(self)})


def column(values: npt.ArrayLike, samples: int, name: str) -> npt.NDArray[Any]:
    """Check what is given beside the samples, an entry each."""
    array = np.asarray(values)
    if array.shape != (samples,):
        raise ValueError(f"{name} has shape {array.shape}; need one entry for each of {samples}")
    return array


def _matrix(name: str, values: npt.ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name} has shape {array.shape}; need (samples, features)")
    gaps = np.isnan(array)
    torn = gaps.any(axis=1) & ~gaps.all(axis=1)
    if torn.any():
        raise ValueError(
            f"{name} is NaN in part of row {torn.argmax()}; a sample without {name} is NaN in the "
            "whole row, and other gaps must be filled first"
        )
    if np.isinf(array).any():
        raise ValueError(
            f"{name} has infinite values in row {np.isinf(array).any(axis=1).argmax()}"
        )
    return array


def _as_learnt(arrays: dict[str, Floats], widths: Mapping[str, int]) -> dict[str, Floats]:
    """Order modalities as they were learnt from, with NaN for those that are not there."""
    for name, array in arrays.items():
        if name not in widths:
            raise ValueError(unknown_name("modality", name, widths))
        if array.shape[1] != widths[name]:
            raise ValueError(
                f"{name} has {array.shape[1]} features; the model learnt from {widths[name]}"
            )
    samples = len(next(iter(arrays.values())))
    return {
        name: arrays.get(name, np.full((samples, width), np.nan)) for name, width in widths.items()
    }


def _kind(value: Any) -> str:
    return "empty" if isinstance(value, Mapping) else f"of type {type(value).__name__}"
