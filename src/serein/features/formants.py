"""Formants: the resonances of the vocal tract, from linear prediction.

numpy and soxr alone. The polynomial's roots are the eigenvalues of its companion matrix; LAPACK
finds those of a second of frames in 1.3 ms.

On voiced frames of 80 clips of EmoDB the median difference from Praat is 0.4 % for F1 and 0.5 % for
F2. Means over clips rank with openSMILE's eGeMAPS at 0.3 to 0.5 only, and so do Praat's: openSMILE
analyses without pre-emphasis, and misses the first formant of synthetic vowels by 20 % and more.
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

Numbers = npt.NDArray[np.intp]

# What the series holds, column by column, with its unit.
COLUMNS: dict[str, dict[str, str]] = {
    "formants": {f"f{k}_hz": "Hz, 0 where not found" for k in range(1, 6)}
    | {f"b{k}_hz": "bandwidth in Hz, 0 where not found" for k in range(1, 6)}
}

WINDOW_S = 0.05  # a Gaussian's; it weighs about 25 ms
PRE_EMPHASIS_HZ = 50.0
LOWEST_HZ = 90.0  # what lies lower is the voice's own pitch, or rumble
EDGE_HZ = 50.0  # so near to the ceiling it is the slope of the spectrum
WIDEST_HZ = 2000.0  # nor is what is wider a resonance
CACHED = 128  # frames whose prediction errors stay in the processor's cache: a third faster
MARGIN = 1600  # samples: what a block is resampled with on each side, so that none has a seam
QUIET_DB = 60.0  # frames further under the loudest, or under 16-bit noise, have no formants
NOISE = 1e-10  # mean square of rounding to 16 bits


def formants(signal: Array, *, count: int = 5, highest_hz: float = 5500) -> Array:
    """Find the formants of each frame.

    The signal is brought to twice the ceiling, lifted by 6 dB an octave above 50 Hz and cut into
    Gaussian frames; linear prediction by Burg's method of twice as many coefficients as formants
    gives a polynomial; a pair of its roots is a formant.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz.
    count : int
        How many formants lie below the ceiling, 1 to 8.
    highest_hz : float
        That ceiling, 1000 to 8000 Hz: with five formants 5000 suits a man's voice, 5500 a woman's.

    Returns
    -------
    numpy.ndarray
        Shape (1 + samples // 160, 2 * count), float32: the frequencies in Hz from the lowest up,
        then their bandwidths in Hz; 0 where not found, and where silent.

    Raises
    ------
    AudioError
        If it is not a finite mono signal at 16 kHz of at least 0.1 s.
    ValueError
        If the count or the ceiling is not allowed.

    References
    ----------
    N. Andersen, "On the calculation of filter coefficients for maximum entropy spectral analysis",
    Geophysics 39(1), 1974, for Burg's method. J. D. Markel, A. H. Gray, "Linear Prediction of
    Speech", 1976, chapter 7, for formants from roots.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    >>> formants(noise).shape
    (101, 10)
    """
    if not (1 <= count <= 8 and 1000 <= highest_hz <= RATE_HZ / 2):
        raise ValueError(
            f"{count} formants below {highest_hz} Hz; allowed: 1 to 8 below 1000 to "
            f"{RATE_HZ // 2} Hz"
        )
    checked = check_signal(signal)
    table = np.zeros((frame_count(checked.size), 2 * count), dtype=np.float32)
    audible = _audible(checked)
    mean = checked.mean()
    for first in range(0, len(table), BLOCK_FRAMES):
        heard = first + np.flatnonzero(audible[first : first + BLOCK_FRAMES])
        if heard.size:
            cut = _cut(checked, mean, heard, 2 * highest_hz)
            few = [_burg(part, 2 * count) for part in np.array_split(cut, 1 + len(cut) // CACHED)]
            table[heard] = _resonances(np.concatenate(few), 2 * highest_hz, count)
    return table


def _audible(signal: Array) -> Flags:
    """Tell the frames that are loud enough to have formants."""

    def analyse(block: Array) -> Array:
        return block.var(axis=1)

    power = per_block(signal, analyse)
    return power > max(NOISE, float(power.max()) * 10 ** (-QUIET_DB / 10))


def _cut(signal: Array, mean: np.float32, numbers: Numbers, rate: float) -> Array:
    """Cut these frames, at most a block apart, out of the signal resampled and lifted."""
    start = max(int(numbers[0]) * HOP - MARGIN, 0)
    piece = signal[start : int(numbers[-1]) * HOP + MARGIN] - mean
    if rate != RATE_HZ:
        piece = soxr.resample(piece, RATE_HZ, rate, quality="MQ")
    # 6 dB an octave above 50 Hz, against the fall of the glottal pulse's spectrum
    lifted = pre_emphasis(piece, coefficient=np.exp(-2 * np.pi * PRE_EMPHASIS_HZ / rate))
    length = round(WINDOW_S * rate)
    padded = np.pad(lifted, (length // 2, length + 2))
    starts = np.rint((numbers * HOP - start) * (rate / RATE_HZ)).astype(np.intp)
    result: Array = np.lib.stride_tricks.sliding_window_view(padded, length)[starts]
    return result * _gauss(length)


@lru_cache(maxsize=4)
def _gauss(length: int) -> Array:
    """Make a Gaussian window that falls to 0 at its ends."""
    place = (np.arange(length) + 0.5) / length - 0.5
    edge = np.exp(-12.0)
    return ((np.exp(-48 * place**2) - edge) / (1 - edge)).astype(np.float32)


def _burg(cut: Array, order: int) -> Doubles:
    """Fit linear prediction to each row, (frames, order): x[n] is about the sum of a[k] x[n-k]."""
    forward, backward = cut[:, 1:].copy(), cut[:, :-1].copy()
    a = np.zeros((len(cut), order))
    for k in range(order):
        energy = _dot(forward, forward) + _dot(backward, backward)
        reflection = 2 * _dot(forward, backward) / np.maximum(energy, 1e-30)
        a[:, :k] -= reflection[:, None] * a[:, :k][:, ::-1]
        a[:, k] = reflection
        share = reflection[:, None].astype(np.float32)
        forward, backward = (
            (forward - share * backward)[:, 1:],
            (backward - share * forward)[:, :-1],
        )
    return a


def _dot(left: Array, right: Array) -> Doubles:
    return np.einsum("ij,ij->i", left, right).astype(np.float64)


def _resonances(a: Doubles, rate: float, count: int) -> Array:
    """Turn polynomials into frequencies and bandwidths, (frames, 2 * count)."""
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
