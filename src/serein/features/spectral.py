"""Spectrograms: power, mel and log-mel; numpy alone, for inference runs them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.frames import FRAME, HOP, Array, Doubles, frames, per_block, power_spectra
from serein.audio.read import RATE_HZ, check_signal
from serein.errors import check_range

BINS = FRAME // 2 + 1
BINS_HZ = (np.arange(BINS) * RATE_HZ / FRAME).astype(np.float32)
BANDS = 40  # of `mel_spectrogram` and MFCC
MIN_POWER = 1e-10  # librosa's floor under logarithms
FEW_FRAMES = 16
DYNAMIC_RANGE = 8.0  # in log10 of power: 80 dB under the peak


def mel_from_hz(hz: npt.ArrayLike) -> Doubles:
    """Convert frequency to mel on Slaney's scale: linear below 1 kHz, logarithmic above.

    M. Slaney, "Auditory Toolbox, version 2", Interval Research technical report 1998-010.
    """
    frequency = np.asarray(hz, dtype=np.float64)
    linear = frequency * 3 / 200
    above = 15 + 27 * np.log(np.maximum(frequency, 1.0) / 1000) / np.log(6.4)
    return np.where(frequency < 1000, linear, above)


def hz_from_mel(mel: npt.ArrayLike) -> Doubles:
    """Convert mel on Slaney's scale to frequency in Hz; the inverse of `mel_from_hz`."""
    value = np.asarray(mel, dtype=np.float64)
    return np.where(value < 15, value * 200 / 3, 1000 * 6.4 ** ((value - 15) / 27))


@lru_cache(maxsize=8)
def mel_filters(bands: int = 80, fft_size: int = FRAME, rate_hz: int = RATE_HZ) -> Array:
    """Build triangular mel filters of equal area (Slaney's normalisation).

    `bands`: number of filters between 0 Hz and half the rate; `fft_size`: length of the Fourier
    transform in samples; `rate_hz`: sampling rate in Hz.
    Returns: shape (fft_size // 2 + 1, bands), float32, read-only.
    """
    bins_hz = np.arange(fft_size // 2 + 1) * rate_hz / fft_size
    edges_hz = hz_from_mel(np.linspace(0.0, float(mel_from_hz(rate_hz / 2)), bands + 2))
    left, centre, right = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz[:, None] - left) / (centre - left)
    falling = (right - bins_hz[:, None]) / (right - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling)) * 2 / (right - left)
    result: Array = filters.astype(np.float32)
    result.setflags(write=False)
    return result


def power_spectrogram(signal: Array) -> Array:
    """Compute the power spectrogram, shape (frames, BINS)."""
    return per_block(check_signal(signal), power_spectra)


def mel_spectrogram(signal: Array, *, bands: int = BANDS) -> Array:
    """Compute the mel spectrogram (power), shape (frames, bands)."""
    check_range("bands", bands, 1, BINS)
    return per_block(check_signal(signal), lambda cut: power_spectra(cut) @ mel_filters(bands))


def equal_loudness(hz: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Weigh the power at each frequency as the ear does at 40 dB.

    H. Hermansky, "Perceptual linear predictive (PLP) analysis of speech", Journal of the Acoustical
    Society of America 87(4), 1990, equation 4.
    """
    squared = (2 * np.pi * hz) ** 2
    return (squared + 56.8e6) * squared**2 / ((squared + 6.3e6) ** 2 * (squared + 0.38e9))


def log_mel(signal: Array, *, bands: int = 80) -> Array:
    """Compute the log-mel spectrogram as the Whisper encoders expect it.

    Hann windows of 25 ms every 10 ms, with reflected edges; power through mel filters; log10, at
    least 8 (80 dB) under its maximum; plus 4, divided by 4. The signal is not padded to 30 s.

    `bands`: number of mel bands: 80 for all Whisper models but large-v3, which has 128.
    Returns: shape (samples // 160, bands), float32.
    Source: A. Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022,
    2.2.
    """
    power = power_spectra(frames(signal, pad="reflect")[: signal.size // HOP])
    level = np.log10(np.maximum(_mel(power, mel_filters(bands)), MIN_POWER))
    level = np.maximum(level, level.max() - DYNAMIC_RANGE)
    return ((level + 4) / 4).astype(np.float32, copy=False)


def _mel(power: Array, filters: Array) -> Array:
    """Multiply a few frames at a time, which numpy does on one thread: its others would disturb."""
    starts = range(0, len(power), FEW_FRAMES)
    return np.concatenate([power[start : start + FEW_FRAMES] @ filters for start in starts])
