"""Voice quality of each frame: jitter, shimmer and the harmonics-to-noise ratio.

Jitter and shimmer compare each glottal cycle with the next. The cycles are marked one by one: from
the strongest peak of a voiced run outwards, each mark is where the waveform around the last mark
repeats.

Rank correlation of the means over 80 clips of EmoDB: with Praat 0.96 for jitter, 0.87 for shimmer,
0.85 for the ratio; with openSMILE's eGeMAPS 0.45, 0.71, 0.71, and 0.96 for ``hnr_acf_db``, where
Praat's own have 0.41, 0.58, 0.57.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from serein.audio.frames import (
    BLOCK_FRAMES,
    HOP,
    Array,
    Doubles,
    frame_count,
    runs,
    some_frames,
    window,
)
from serein.audio.read import RATE_HZ, check_signal
from serein.errors import SettingError
from serein.features.pitch import f0

COLUMNS = ("jitter_local", "shimmer_db", "hnr_db", "hnr_acf_db")

PERIOD_RANGE = (0.8, 1.25)  # length of a cycle relative to the period of the pitch
MIN_CORRELATION = 0.3  # of two cycles
MAX_PERIOD_RATIO = 1.3  # of two cycles: above it, a mark is missing
MAX_RATIO_DB = 20 * np.log10(1.6)  # of two amplitudes, as in Praat
REACH = 0.04 * RATE_HZ  # samples: a frame measures the cycles within 40 ms of its centre
ACF_WINDOW = 960  # samples: 60 ms
MARGIN = 20  # frames around a voiced run, in which its cycles are looked for


class _Cycles(NamedTuple):
    """Pairs of successive cycles, of which each frame averages those around it."""

    at: Doubles  # samples: the mark between the two
    period: Doubles  # samples: mean of the two
    change: Doubles  # samples: by which the two periods differ
    ratio_db: Doubles  # dB: by which the two amplitudes differ; 0 where they are no pair
    alike: Doubles  # 1 where the amplitudes are a pair, else 0


def voice_quality(
    signal: Array,
    pitch: Array | None = None,
    *,
    lowest_hz: float = 75,
    highest_hz: float = 600,
) -> Array:
    """Measure local jitter, local shimmer and the harmonics-to-noise ratio.

    `pitch`: result of `serein.features.pitch.f0` for the signal, shape (1 + samples // 160, 2);
    computed here if None; `lowest_hz, highest_hz`: search range of `f0`, if it is computed here.
    Returns: shape (1 + samples // 160, 4), float32, 0 where unvoiced: the mean difference of
    neighbouring periods as a share of the period, and that of neighbouring amplitudes in dB, both
    over 80 ms; the harmonics-to-noise ratio in dB, -30 to 50; the same from a plain autocorrelation
    over 60 ms, as in GeMAPS, which is lower for low voices.
    Source: P. Boersma, "Accurate short-term analysis of the fundamental frequency and the
    harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993, equation 4. P. Boersma,
    "Should jitter be measured by peak picking or by waveform matching?", Folia Phoniatrica et
    Logopaedica 61(5), 2009.
    """
    checked = check_signal(signal)
    if pitch is None:
        pitch = f0(checked, lowest_hz=lowest_hz, highest_hz=highest_hz)
    if pitch.shape != (frame_count(checked.size), 2):
        raise SettingError(
            f"pitch has shape {pitch.shape}; need ({frame_count(checked.size)}, 2): what f0 gives "
            "for the same signal"
        )
    voiced = np.flatnonzero(pitch[:, 0])
    jitter, shimmer_db = _around(_pairs(checked, pitch[:, 0]), len(pitch))
    table = np.zeros((len(pitch), 4), dtype=np.float32)
    table[voiced, 0] = jitter[voiced]
    table[voiced, 1] = shimmer_db[voiced]
    table[voiced, 2] = _ratio_db(pitch[voiced, 1])
    table[voiced, 3] = _ratio_db(_plain_autocorrelation(checked, pitch[:, 0])[voiced])
    return table


def _ratio_db(r: Array) -> Doubles:
    """Turn the autocorrelation at the period into the harmonics-to-noise ratio, equation 4."""
    share = np.clip(r.astype(np.float64), 1e-3, 1 - 1e-5)
    return 10 * np.log10(share / (1 - share))


def _plain_autocorrelation(signal: Array, f0_hz: Array) -> Array:
    """Compute the autocorrelation at the period over 60 ms, without a correction, (frames,)."""
    lags = np.rint(RATE_HZ / np.maximum(f0_hz, 1)).astype(np.intp)
    r = np.zeros(len(f0_hz), dtype=np.float32)
    # Frames of equal lag together: a slice shifts them all.
    for lag in np.unique(lags[f0_hz > 0]).tolist():
        at = np.flatnonzero((lags == lag) & (f0_hz > 0))
        for few in np.array_split(at, 1 + len(at) // BLOCK_FRAMES):
            cut = some_frames(signal, few, ACF_WINDOW)
            rows = (cut - cut.mean(axis=1, keepdims=True)) * window("hann", ACF_WINDOW)
            energy = np.einsum("ij,ij->i", rows, rows)
            product = np.einsum("ij,ij->i", rows[:, lag:], rows[:, :-lag])
            r[few] = product / np.maximum(energy, 1e-12)
    return r


def _around(pairs: _Cycles, total: int) -> tuple[Doubles, Doubles]:
    """Average pairs of cycles around each frame: jitter and shimmer."""
    centre = np.arange(total) * HOP
    first = np.searchsorted(pairs.at, centre - REACH)
    last = np.searchsorted(pairs.at, centre + REACH)

    def added(values: Doubles) -> Doubles:
        running = np.concatenate([[0.0], np.cumsum(values)])
        return running[last] - running[first]

    period, alike = added(pairs.period), np.maximum(added(pairs.alike), 1)
    jitter = np.where(period > 0, added(pairs.change) / np.maximum(period, 1), 0)
    return jitter, added(pairs.ratio_db) / alike


def _pairs(signal: Array, f0_hz: Array) -> _Cycles:
    """Mark the cycles of each voiced run and compare neighbours.

    Without the signal's mean, which would count as an amplitude without shimmer.
    """
    mean, found = signal.mean(), []
    for first, end in runs(f0_hz > 0).tolist():
        start = max(0, first - MARGIN)
        piece = signal[start * HOP : (end + MARGIN) * HOP] - mean
        table = _compare(piece, _marks(piece, f0_hz[start:], first - start, end - start))
        table[0] += start * HOP
        found.append(table)
    columns = np.concatenate([np.empty((5, 0)), *found], axis=1)
    return _Cycles(*columns)


def _marks(signal: Array, f0_hz: Array, first: int, end: int) -> Doubles:
    """Mark the cycles of a run of frames from its middle to both ends, in samples."""
    periods = RATE_HZ / f0_hz[first:end].astype(np.float64)
    low, high = max(0, first * HOP - HOP // 2), min(signal.size, end * HOP - HOP // 2)
    half = int(periods[len(periods) // 2] / 2) + 1
    around = (low + high) // 2
    start = max(around - half, 0)
    peak = start + int(np.abs(signal[start : around + half]).argmax())
    sides = []
    for way in (-1, 1):
        side, at = [], float(peak)
        while low <= at < high:
            side.append(at)
            period = float(periods[min(max(round(at / HOP) - first, 0), len(periods) - 1)])
            lag = _next_cycle(signal, round(at), period, way)
            if not lag:
                break
            at += way * lag
        sides.append(side)
    return np.array(sides[0][:0:-1] + sides[1])


def _next_cycle(signal: Array, at: int, period: float, way: int) -> float:
    """Find after how many samples the cycle around a sample repeats; 0 if it does not."""
    half = int(period / 2) + 1
    nearest, farthest = int(PERIOD_RANGE[0] * period), int(PERIOD_RANGE[1] * period) + 1
    first = at - half + (nearest if way > 0 else -farthest)
    if min(at - half, first) < 0 or max(at + half, first + 2 * half + farthest - nearest) >= (
        signal.size
    ):
        return 0.0
    cycle = signal[at - half : at + half]
    others = signal[first : first + 2 * half + farthest - nearest]
    product = np.correlate(others, cycle, "valid")
    energy = np.correlate(others * others, np.ones_like(cycle), "valid")
    match = product / np.sqrt(np.maximum(energy * np.dot(cycle, cycle), 1e-20))
    top = int(match[1:-1].argmax()) + 1
    if match[top] < MIN_CORRELATION:
        return 0.0
    left, middle, right = match[top - 1 : top + 2].tolist()
    offset = 0.5 * (left - right) / min(left - 2 * middle + right, -1e-9)
    place = top + min(max(offset, -1), 1)
    return nearest + place if way > 0 else farthest - place


def _compare(signal: Array, marks: Doubles) -> Doubles:
    """Compare neighbouring cycles: (5, pairs), as in `_Cycles`."""
    if len(marks) < 3:
        return np.empty((5, 0))
    period = np.diff(marks)
    before, after = period[:-1], period[1:]
    good = np.maximum(before, after) < MAX_PERIOD_RATIO * np.minimum(before, after)
    level_db = _levels_db(signal, marks)
    ratio_db = np.abs(np.diff(level_db))
    alike = ratio_db < MAX_RATIO_DB
    change = np.abs(after - before)
    table = np.stack([marks[1:-1], (before + after) / 2, change, ratio_db * alike, alike])
    return table[:, good]


def _levels_db(signal: Array, marks: Doubles) -> Doubles:
    """Measure the level of each cycle in dB: mean square of one period centred on its mark.

    Mean square agrees better with Praat and GeMAPS than peaks do.
    """
    half = np.diff(marks) / 2
    low = max(int(marks[0] - half[0]), 0)
    piece = signal[low : int(marks[-1] + half[-1]) + 2].astype(np.float64)
    energy = np.concatenate([[0.0], np.cumsum(piece**2)])
    places = np.arange(len(energy))
    after = np.interp(marks[:-1] - low + half, places, energy)
    before = np.interp(marks[:-1] - low - half, places, energy)
    return 10 * np.log10(np.maximum((after - before) / (2 * half), 1e-18))
