"""Vocal bursts: tells laughs, cries and sighs from speech and other sounds, and from each other.

Two linear classifiers on the features that a recognizer's encoder gives anyway. numpy alone, so
that a bundle's recognizer needs no more.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serein.archives import read_arrays
from serein.errors import SettingError
from serein.models.baseline import log_softmax

Array = npt.NDArray[np.float32]

ARRAYS = ("weight", "bias")
KINDS = ("burst", "sound", "speech")
MAX_NUMBER = 1e6  # so that no vector makes logits infinite


@dataclass(frozen=True, eq=False)
class BurstHeads:
    """What a bundle holds for vocal bursts beside its graph.

    `labels`: emotions of bursts; `threshold`: least log odds of a burst, against speech and sounds;
    `weight`: (3 + labels, columns), first the logits of `KINDS`, then those of the labels; `bias`:
    (3 + labels,).
    """

    labels: tuple[str, ...]
    threshold: float
    weight: Array
    bias: Array

    def __post_init__(self) -> None:
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise SettingError(f"labels of bursts are {self.labels}; need one or more, each once")
        if not np.isfinite(self.threshold):
            raise SettingError(f"threshold of bursts is {self.threshold}; need a number")
        rows = len(KINDS) + len(self.labels)
        if self.weight.ndim != 2 or len(self.weight) != rows or self.bias.shape != (rows,):
            raise SettingError(f"weight and bias of bursts need {rows} rows")
        if not (np.abs(np.concatenate([self.weight.ravel(), self.bias])) < MAX_NUMBER).all():
            raise SettingError(f"numbers must be from -{MAX_NUMBER:g} to {MAX_NUMBER:g}")

    def predict(self, vector: Array) -> Array | None:
        """Return the probability of each label, (labels,); None where there is no burst."""
        logits = np.asarray(self.weight @ vector.astype(np.float64) + self.bias, np.float64)[None]
        if log_odds(logits[:, : len(KINDS)])[0] < self.threshold:
            return None
        return np.exp(log_softmax(logits[:, len(KINDS) :])[0]).astype(np.float32)

    def to_bytes(self) -> bytes:
        """Write the arrays as NumPy's npz, without pickle; labels and threshold are not in it."""
        file = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ARRAYS}
        np.savez(file, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, labels: Any, threshold: Any) -> Self:
        """Read what `to_bytes` wrote; whatever is wrong with untrusted bytes is a SettingError."""
        try:
            read = read_arrays(content)
            arrays = {name: np.asarray(read[name], np.float32) for name in ARRAYS}
            named = tuple(map(str, labels))
            return cls(named, float(threshold), **arrays)
        except SettingError:
            raise
        except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds
            raise SettingError(f"not the arrays of vocal bursts: {error}") from error


def log_odds(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the log odds of a burst, (clips,), from the logits of `KINDS`, (clips, 3)."""
    burst = KINDS.index("burst")
    others = np.logaddexp.reduce(np.delete(logits, burst, axis=1), axis=1)
    return np.asarray(logits[:, burst] - others)
