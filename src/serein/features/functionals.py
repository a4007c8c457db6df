"""From a series to one vector: functionals over time; utterance normalisation of a series.

Where there is nothing to measure in a frame (F0 of a pause, formants of silence), a series has 0;
``zeros_are_gaps`` leaves out those frames, column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from serein.audio.frames import FRAMES_PER_S, Array, Doubles
from serein.errors import check_name


def _percentile(percent: float) -> Callable[[Doubles], Doubles]:
    return lambda series: np.percentile(series, percent, axis=0)


def _moment(series: Doubles, power: int) -> Doubles:
    """Compute the standardised central moment of each column; 0 if it is constant."""
    centred = series - series.mean(axis=0)
    spread = np.sqrt(np.mean(centred**2, axis=0))
    scaled = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
    return np.mean(scaled**power, axis=0)


def _slope(series: Doubles) -> Doubles:
    """Compute the slope of the regression line of each column, per second."""
    time_s = np.arange(len(series)) / FRAMES_PER_S
    centred = time_s - time_s.mean()
    spread = float(centred @ centred)
    return centred @ series / spread if spread else np.zeros(series.shape[1])


FUNCTIONALS: dict[str, Callable[[Doubles], Doubles]] = {
    "mean": lambda series: series.mean(axis=0),
    "std": lambda series: series.std(axis=0),
    "min": lambda series: series.min(axis=0),
    "max": lambda series: series.max(axis=0),
    "p20": _percentile(20),
    "p50": _percentile(50),
    "p80": _percentile(80),
    "range": lambda series: np.ptp(np.percentile(series, (20, 80), axis=0), axis=0),
    "skewness": lambda series: _moment(series, 3),
    "kurtosis": lambda series: _moment(series, 4),
    "slope": _slope,
}
"""Name -> function of (time, feature); "range" is from the 20th to the 80th percentile."""

DEFAULT_FUNCTIONALS = ("mean", "std", "p20", "p80")


def pool(
    series: Array,
    *,
    functionals: Sequence[str] = DEFAULT_FUNCTIONALS,
    zeros_are_gaps: bool = False,
) -> Array:
    """Pool a series over time to one vector.

    `series`: shape (time, feature), 100 frames a second; `functionals`: keys of `FUNCTIONALS`;
    `zeros_are_gaps`: whether 0 means that there was nothing to measure.
    Returns: shape (functionals x features,), float32: all features of the first functional, then of
    the next; 0 where nothing was measured.
    """
    for name in functionals:
        check_name("functional", name, FUNCTIONALS)
    values = series.astype(np.float64)
    if not zeros_are_gaps:
        each = [FUNCTIONALS[name](values) for name in functionals]
        return np.concatenate(each).astype(np.float32)
    rows = np.zeros((len(functionals), series.shape[1]))
    for number, column in enumerate(values.T):
        measured = column[column != 0][:, None]
        if measured.size:
            rows[:, number] = [FUNCTIONALS[name](measured)[0] for name in functionals]
    return rows.astype(np.float32).ravel()


def normalise_utterance(series: Array, *, zeros_are_gaps: bool = False) -> Array:
    """Bring each column of a recording's series to mean 0 and variance 1."""
    measured = series != 0 if zeros_are_gaps else np.ones(series.shape, dtype=bool)
    count = np.maximum(measured.sum(axis=0), 1)
    mean = np.sum(series, axis=0, where=measured, dtype=np.float64) / count
    centred = np.where(measured, series - mean, 0.0)
    spread = np.sqrt(np.sum(centred**2, axis=0) / count)
    scaled = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
    return scaled.astype(np.float32)
