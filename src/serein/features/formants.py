"""Formants, the resonances of the vocal tract, from linear prediction; numpy and soxr alone.

On voiced frames of 80 clips of EmoDB, the median difference from Praat is 0.4 % for F1 and 0.5 %
for F2. Means over clips have a rank correlation with openSMILE's eGeMAPS of only 0.3 to 0.5, as
have those of Praat: openSMILE has no pre-emphasis, and is wrong by 20 % and more on synthetic
vowels' F1.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import soxr

from serein.audio.frames import (
    BLOCK_FRAMES,
    HOP,
    Array,
    Doubles,
    Flags,
    frame_count,
    per_block,
    pre_emphasis,
)
from serein.audio.read import RATE_HZ, check_signal
from serein.errors import SettingError

Numbers = npt.NDArray[np.intp]

WINDOW_S = 0.05  # of a Gaussian window, which weighs about 25 ms
PRE_EMPHASIS_HZ = 50.0
LOWEST_HZ = 90.0  # lower ones are the pitch, or rumble
EDGE_HZ = 50.0  # nearer to the ceiling, they are the slope of the spectrum
WIDEST_HZ = 2000.0  # wider ones are no resonance
CACHE_FRAMES = 128  # frames whose prediction errors stay in the processor's cache: a third faster
MARGIN = 1600  # samples on each side of a block, so that resampling leaves no seam
RANGE_DB = 60.0  # frames further under the loudest have no formants
ROUNDING_POWER = 1e-10  # mean square of rounding to 16 bits: nor have frames below it


def formants(
    signal: Array, *, count: int = 5, highest_hz: float = 5500, where: Flags | None = None
) -> Array:
    """Find the formants of each frame.

    The signal is resampled to twice the ceiling, pre-emphasised above 50 Hz and cut into Gaussian
    frames. Burg's method fits linear prediction with twice as many coefficients as formants; each
    pair of roots of its polynomial is a formant.

    `count`: number of formants below the ceiling, 1 to 8; `highest_hz`: the ceiling, 1000 to 8000
    Hz: for five formants, 5000 for a man's voice, 5500 for a woman's; `where`: of which frames
    they are wanted, shape (1 + samples // 160,), bool; of all if None.
    Returns: shape (1 + samples // 160, 2 * count), float32: the frequencies in Hz from the lowest
    up, then their bandwidths in Hz; 0 where not found, not wanted and in silence.
    Source: N. Andersen, "On the calculation of filter coefficients for maximum entropy spectral
    analysis", Geophysics 39(1), 1974, for Burg's method. J. D. Markel, A. H. Gray, "Linear
    Prediction of Speech", 1976, chapter 7, for formants from roots.
    """
    if not (1 <= count <= 8 and 1000 <= highest_hz <= RATE_HZ / 2):
        raise SettingError(
            f"{count} formants below {highest_hz} Hz; allowed: 1 to 8 below 1000 to "
            f"{RATE_HZ // 2} Hz"
        )
    checked = check_signal(signal)
    table = np.zeros((frame_count(checked.size), 2 * count), dtype=np.float32)
    mean = checked.mean()
    audible = _audible(checked, mean)  # silence beyond the ends would be a step else
    for first in range(0, len(table), BLOCK_FRAMES):
        loud = first + np.flatnonzero(audible[first : first + BLOCK_FRAMES])
        wanted = loud if where is None else loud[where[loud]]
        if wanted.size:
            cut = _cut(checked, mean, loud, wanted, 2 * highest_hz)
            parts = np.array_split(cut, 1 + len(cut) // CACHE_FRAMES)
            predictors = np.concatenate([_burg(part, 2 * count) for part in parts])
            table[wanted] = _resonances(predictors, 2 * highest_hz, count)
    return table


def _audible(signal: Array, mean: np.float32) -> Flags:
    """Tell which frames are loud enough to have formants."""
    power = per_block(signal, lambda block: block.var(axis=1), mean=float(mean))
    return power > max(ROUNDING_POWER, float(power.max()) * 10 ** (-RANGE_DB / 10))


def _cut(signal: Array, mean: np.float32, loud: Numbers, wanted: Numbers, rate: float) -> Array:
    """Cut frames from the resampled and pre-emphasised signal around the loud ones of a block."""
    start = max(int(loud[0]) * HOP - MARGIN, 0)
    piece = signal[start : int(loud[-1]) * HOP + MARGIN] - mean
    if rate != RATE_HZ:
        piece = soxr.resample(piece, RATE_HZ, rate, quality="MQ")
    # 6 dB an octave above 50 Hz, against the slope of the glottal pulse's spectrum
    lifted = pre_emphasis(piece, coefficient=np.exp(-2 * np.pi * PRE_EMPHASIS_HZ / rate))
    length = round(WINDOW_S * rate)
    padded = np.pad(lifted, (length // 2, length + 2))
    starts = np.rint((wanted * HOP - start) * (rate / RATE_HZ)).astype(np.intp)
    result: Array = np.lib.stride_tricks.sliding_window_view(padded, length)[starts]
    return result * _gauss(length)


@lru_cache(maxsize=4)
def _gauss(length: int) -> Array:
    """Make a Gaussian window that falls to 0 at its ends."""
    place = (np.arange(length) + 0.5) / length - 0.5
    edge = np.exp(-12.0)
    return ((np.exp(-48 * place**2) - edge) / (1 - edge)).astype(np.float32)


def _burg(cut: Array, order: int) -> Doubles:
    """Fit linear prediction to each row: (frames, samples) to predictors (frames, order)."""
    forward, backward = cut[:, 1:].copy(), cut[:, :-1].copy()
    work = np.empty_like(forward)
    a = np.zeros((len(cut), order))
    for k in range(order):
        energy = _dot(forward, forward) + _dot(backward, backward)
        reflection = 2 * _dot(forward, backward) / np.maximum(energy, 1e-30)
        a[:, :k] -= reflection[:, None] * a[:, :k][:, ::-1]
        a[:, k] = reflection
        share = reflection[:, None].astype(np.float32)
        explained = np.multiply(share, backward, out=work[:, : backward.shape[1]])
        backward -= share * forward
        forward -= explained
        forward, backward = forward[:, 1:], backward[:, :-1]
    return a


def _dot(left: Array, right: Array) -> Doubles:
    return np.einsum("ij,ij->i", left, right).astype(np.float64)


def _resonances(a: Doubles, rate: float, count: int) -> Array:
    """Turn predictors into frequencies and bandwidths, (frames, 2 * count)."""
    order = a.shape[1]
    companion = np.zeros((len(a), order, order))
    companion[:, 0] = a
    companion[:, np.arange(1, order), np.arange(order - 1)] = 1
    roots = np.linalg.eigvals(companion)
    hz = np.angle(roots) * rate / (2 * np.pi)
    radius = np.maximum(np.abs(roots), 1e-9)
    # A root outside the unit circle has the spectrum of its mirror image inside.
    bandwidth = np.abs(np.log(radius)) * rate / np.pi
    found = (hz > LOWEST_HZ) & (hz < rate / 2 - EDGE_HZ) & (bandwidth < WIDEST_HZ)
    order_of = np.argsort(np.where(found, hz, np.inf), axis=1)[:, :count]
    rows = np.arange(len(a))[:, None]
    kept = found[rows, order_of]
    both = [np.where(kept, part[rows, order_of], 0) for part in (hz, bandwidth)]
    return np.concatenate(both, axis=1).astype(np.float32)
