"""Forward algorithm of hidden Markov models, one per emotion, kept as arrays; NumPy alone.

Training and inference both score with this file, so they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from serein.errors import SettingError

Floats = npt.NDArray[np.float64]

SHAPES = {
    "centre": ("features",),
    "scale": ("features",),
    "log_prior": ("emotions",),
    "log_start": ("emotions", "states"),
    "log_transition": ("emotions", "states", "states"),
    "log_weight": ("emotions", "states", "mixtures"),
    "mean": ("emotions", "states", "mixtures", "features"),
    "variance": ("emotions", "states", "mixtures", "features"),
}
"""Array -> its axes."""

LOG_PROBABILITIES = ("log_prior", "log_start", "log_transition", "log_weight")
TOLERANCE = 1e-3  # of a sum of probabilities, so that arrays may be kept as float32


@dataclass(frozen=True, eq=False)
class HmmArrays:
    """Hidden Markov models with Gaussian mixtures of diagonal covariance, one per emotion.

    L. R. Rabiner, "A tutorial on hidden Markov models and selected applications in speech
    recognition", Proceedings of the IEEE 77(2), 1989: equations 19 to 21, 50.
    """

    centre: Floats
    scale: Floats
    log_prior: Floats
    log_start: Floats
    log_transition: Floats
    log_weight: Floats
    mean: Floats
    variance: Floats

    def __post_init__(self) -> None:
        for name in SHAPES:
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        self._check_shapes()
        for name in LOG_PROBABILITIES:
            values = getattr(self, name)
            if not (values <= TOLERANCE).all():  # NaN is not, either
                raise SettingError(f"{name} holds NaN or a value above 0; need log probabilities")
            if np.abs(np.exp(values).sum(axis=-1) - 1).max() > TOLERANCE:
                raise SettingError(f"{name} must be logs of probabilities that sum to 1")
        for name in ("centre", "mean", "scale", "variance"):
            if not np.isfinite(getattr(self, name)).all():
                raise SettingError(f"{name} holds NaN or infinity; need finite values")
        for name in ("scale", "variance"):
            if getattr(self, name).min() <= 0:
                raise SettingError(f"{name} holds a value of 0 or below; need positive values")

    def _check_shapes(self) -> None:
        sizes: dict[str, int] = {}
        for name, axes in reversed(SHAPES.items()):  # the array with all axes comes first
            shape = getattr(self, name).shape
            if len(shape) != len(axes) or 0 in shape:
                raise SettingError(f"{name} has shape {shape}; need ({', '.join(axes)})")
            for axis, size in zip(axes, shape, strict=True):
                if sizes.setdefault(axis, size) != size:
                    raise SettingError(
                        f"{name} has shape {shape}; need ({', '.join(axes)}) with "
                        f"{sizes[axis]} {axis}"
                    )

    def to_arrays(self) -> dict[str, Floats]:
        """Return the arrays by name, to be stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.ArrayLike]) -> Self:
        """Take stored arrays back."""
        if set(arrays) != set(SHAPES):
            raise SettingError(
                f"arrays are {', '.join(sorted(arrays)) or 'none'}; need {', '.join(SHAPES)}"
            )
        return cls(**{name: np.asarray(values, np.float64) for name, values in arrays.items()})

    def log_likelihood(self, series: npt.ArrayLike) -> Floats:
        """Return the log-likelihood of a series under each emotion's model: forward algorithm."""
        emission = self._emission(self._scaled(series))
        state: Floats = self.log_start + emission[0]
        for frame in emission[1:]:
            paths = state[:, :, None] + self.log_transition
            state = np.logaddexp.reduce(paths, axis=1) + frame
        return np.logaddexp.reduce(state, axis=1)

    def log_probabilities(self, series: npt.ArrayLike) -> Floats:
        """Return each emotion's log probability, from the mean log-likelihood of a frame.

        The mean, not the sum: neighbouring frames are correlated, so the sum would be
        overconfident, the more so the longer the series.
        """
        score = self.log_likelihood(series) / len(np.asarray(series)) + self.log_prior
        return score - np.logaddexp.reduce(score)

    def _scaled(self, series: npt.ArrayLike) -> Floats:
        frames = np.asarray(series, dtype=np.float64)
        if frames.ndim != 2 or len(frames) == 0 or frames.shape[1] != len(self.centre):
            raise SettingError(
                f"series has shape {frames.shape}; need (time, {len(self.centre)}) with at least 1 "
                "frame"
            )
        if not np.isfinite(frames).all():
            raise SettingError("series holds NaN or infinity; need finite frames")
        return (frames - self.centre) / self.scale

    def _emission(self, frames: Floats) -> Floats:
        """Return log densities, shape (time, emotions, states)."""
        features = frames.shape[1]
        precision = (1 / self.variance).reshape(-1, features)
        mean = self.mean.reshape(-1, features)
        # (x - m)² p = x² p - 2 x m p + m² p: two products of matrices for all mixtures at once
        distance = np.square(frames) @ precision.T - 2 * frames @ (mean * precision).T
        constant = np.square(mean) * precision + np.log(2 * np.pi / precision)
        density = -0.5 * (distance + constant.sum(axis=1)) + self.log_weight.ravel()
        mixtures = density.reshape(len(frames), *self.log_weight.shape)
        return np.logaddexp.reduce(mixtures, axis=3)
