"""How strong the harmonics of a voice are against its first: glottal source, formant strength."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from serein.audio.frames import BLOCK_FRAMES, frames, window
from serein.audio.read import RATE_HZ, check_signal

Array = npt.NDArray[np.float32]

COLUMNS = ("h1_h2_db", "h1_a3_db", "f1_level_db", "f2_level_db", "f3_level_db")
LENGTH = 960  # samples: 60 ms, several periods of the lowest voice
FFT = 2048
HALF_WIDTH = 0.25  # of F0: how far from its place a harmonic is looked for
FLOOR = 1e-10
LOWEST_DB = -100.0


def harmonics(signal: Array, f0_hz: Array, formants_hz: Array) -> Array:
    """Compare the harmonics under F0, its double and the formants with the first.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz.
    f0_hz : numpy.ndarray
        Shape (1 + samples // 160,), 0 where unvoiced.
    formants_hz : numpy.ndarray
        Shape (1 + samples // 160, 3 or more): F1, F2, F3, 0 where not found.

    Returns
    -------
    numpy.ndarray
        Shape (1 + samples // 160, 5), float32, dB: H1 over H2, H1 over the strongest harmonic at
        F3, and the harmonics at F1, F2, F3 over H1; 0 where unvoiced or without the formant.

    Raises
    ------
    AudioError
        If the signal is not one.

    References
    ----------
    H. M. Hanson, "Glottal characteristics of female speakers: acoustic correlates", Journal of the
    Acoustical Society of America 101(1), 1997.
    """
    signal = check_signal(signal)
    result = np.zeros((len(f0_hz), len(COLUMNS)), dtype=np.float32)
    cut = frames(signal, LENGTH)
    voiced = np.flatnonzero(f0_hz)
    for first in range(0, voiced.size, BLOCK_FRAMES):
        rows = voiced[first : first + BLOCK_FRAMES]
        spectrum = np.fft.rfft(cut[rows] * window("hann", LENGTH), FFT, axis=1)
        level_db = 10 * np.log10(spectrum.real**2 + spectrum.imag**2 + FLOOR)
        result[rows] = _compare(level_db, f0_hz[rows], formants_hz[rows, :3])
    return result


def _compare(level_db: Array, f0_hz: Array, formants_hz: Array) -> Array:
    first_db = _peak_db(level_db, f0_hz, f0_hz)
    h1_h2 = first_db - _peak_db(level_db, 2 * f0_hz, f0_hz)
    number = np.maximum(1, np.round(formants_hz / f0_hz[:, None]))
    strongest = [_peak_db(level_db, n * f0_hz, f0_hz) - first_db for n in number.T]
    levels = np.where(formants_hz > 0, np.stack(strongest, axis=1), 0)
    result: Array = np.column_stack([h1_h2, -levels[:, 2], levels]).astype(np.float32)
    return np.maximum(result, LOWEST_DB, out=result)


def _peak_db(level_db: Array, centre_hz: Array, f0_hz: Array) -> Array:
    """Highest level within a quarter of F0 around a frequency, frame by frame."""
    bins = np.arange(level_db.shape[1]) * RATE_HZ / FFT
    near = np.abs(bins - centre_hz[:, None]) <= HALF_WIDTH * f0_hz[:, None]
    near[:, -1] |= ~near.any(axis=1)  # beyond the spectrum: its end
    peak: Array = np.max(level_db, axis=1, where=near, initial=-np.inf)
    return peak
