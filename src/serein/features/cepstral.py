"""Cepstra and linear prediction: MFCC, LPC, LPCC, PLP, and the deltas of any series.

Series are (time, column), float32, on the frame grid of `serein.audio.frames`: 25 ms every 10 ms,
silence beyond the ends. A row depends on its own frame only.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial

import numpy as np
import numpy.typing as npt

from serein.audio.frames import (
    FRAME,
    Array,
    Doubles,
    per_block,
    power_spectra,
    pre_emphasis,
    window,
)
from serein.audio.read import check_signal
from serein.errors import SettingError, check_range
from serein.features.spectral import (
    BANDS,
    BINS,
    BINS_HZ,
    MIN_POWER,
    equal_loudness,
    mel_filters,
)

DITHER = 1e-12  # white noise 120 dB under the frame keeps the model of a pure tone stable
BARK_BANDS = 21  # 0 to 8000 Hz is 19.7 Bark; bands lie 0.98 Bark apart


def mfcc(signal: Array, *, count: int = 13, bands: int = BANDS) -> Array:
    """Compute mel-frequency cepstral coefficients.

    The cosine transform of mel power in dB, at least -100 dB. librosa's default is at least 80 dB
    under the recording's peak, so that a row would depend on the rest of the recording.

    `count`: coefficients, 1 to `bands`; `bands`: mel bands, 1 to 201.
    Returns: shape (1 + samples // 160, count), in dB; the first column is the overall level.
    Source: S. Davis, P. Mermelstein, "Comparison of parametric representations for monosyllabic
    word recognition in continuously spoken sentences", IEEE Transactions on Acoustics, Speech, and
    Signal Processing 28(4), 1980.
    """
    check_range("bands", bands, 1, BINS)
    check_range("count", count, 1, bands)
    filters, cosines = mel_filters(bands), _cosines(bands, count)

    def analyse(cut: Array) -> Array:
        mel = power_spectra(cut) @ filters
        return 10 * np.log10(np.maximum(mel, np.float32(MIN_POWER))) @ cosines

    return per_block(check_signal(signal), analyse)


@lru_cache(maxsize=8)
def _cosines(bands: int, count: int) -> Array:
    """Build the orthonormal cosine transform (DCT-II), shape (bands, count)."""
    phase = np.pi * np.outer(np.arange(bands) + 0.5, np.arange(count)) / bands
    scaled = np.cos(phase) * np.sqrt(2 / bands)
    scaled[:, 0] = np.sqrt(1 / bands)
    return scaled.astype(np.float32)


def deltas(series: Array, *, order: int = 1, width: int = 9) -> Array:
    """Compute the derivative of a polynomial fitted to the frames around each.

    Near the ends, the first and last full windows are used, so a straight line keeps its slope. In
    a series shorter than `width`, the window is its largest odd length; too short a series gives 0.

    `series`: shape (time, columns); `order`: of the derivative and of the polynomial: 1 for
    velocity, 2 for acceleration; `width`: length of the window in frames, odd, more than `order`.
    Returns: shape (time, columns), change per frame, or per frame to the power of `order`.
    Source: S. Furui, "Speaker-independent isolated word recognition using dynamic features of
    speech spectrum", IEEE Transactions on Acoustics, Speech, and Signal Processing 34(1), 1986; A.
    Savitzky, M. J. E. Golay, Analytical Chemistry 36(8), 1964.
    """
    if series.ndim != 2:
        raise SettingError(f"series has {series.ndim} dimensions; allowed: 2, (time, columns)")
    if order < 1 or width % 2 == 0 or width <= order:
        raise SettingError(
            f"order is {order}, width {width}; allowed: 1 up, and odd above the order"
        )
    length = min(width, len(series) - 1 + len(series) % 2)
    if length <= order:
        return np.zeros(series.shape, np.float32)
    weights = _derivative(order, length)
    full = len(series) - length + 1
    inner = sum(weight * series[k : k + full] for k, weight in enumerate(weights))
    half = length // 2
    return np.pad(inner, ((half, half), (0, 0)), mode="edge").astype(np.float32, copy=False)


@lru_cache(maxsize=8)
def _derivative(order: int, length: int) -> tuple[float, ...]:
    """Compute the weights of a window's frames: least-squares polynomial, highest derivative."""
    powers = np.vander(np.arange(length) - length // 2, order + 1, increasing=True)
    weights: list[float] = (factorial(order) * np.linalg.pinv(powers)[order]).tolist()
    return tuple(weights)


def levinson(autocorrelation: npt.NDArray[np.floating]) -> tuple[Doubles, Doubles]:
    """Solve the normal equations of linear prediction: (…, lags) to predictors and errors.

    J. Makhoul, "Linear prediction: a tutorial review", Proceedings of the IEEE 63(4), 1975,
    equations 38a to 38e.
    """
    lags = np.asarray(autocorrelation, dtype=np.float64)
    coefficients = np.zeros((*lags.shape[:-1], lags.shape[-1] - 1))
    error = np.maximum(lags[..., 0], 0.0)
    least = np.maximum(1e-14 * error, np.finfo(np.float64).tiny)
    for k in range(coefficients.shape[-1]):
        known = coefficients[..., :k]
        left = lags[..., k + 1] - (known * lags[..., k:0:-1]).sum(axis=-1)
        reflection = np.divide(left, error, out=np.zeros_like(left), where=error > least)
        coefficients[..., :k] = known - reflection[..., None] * known[..., ::-1]
        coefficients[..., k] = reflection
        error = error * np.maximum(1 - reflection**2, 0.0)
    return coefficients, error


def lpc(signal: Array, *, order: int = 16) -> Array:
    """Compute linear prediction coefficients by the autocorrelation method.

    With pre-emphasis by 0.97 and Hamming windows.

    `order`: number of coefficients, 1 to 100.
    Returns: shape (1 + samples // 160, order); column k is a_k of A(z) = 1 - sum a_k z^-k, in which
    k is from 1; 0 in silence.
    Source: J. Makhoul, "Linear prediction: a tutorial review", Proceedings of the IEEE 63(4), 1975.
    """
    check_range("order", order, 1, 100)
    lifted = pre_emphasis(check_signal(signal))
    return per_block(lifted, lambda cut: _predictor(cut, order).astype(np.float32))


def _predictor(cut: Array, order: int) -> Doubles:
    """Fit linear prediction to frames: (frames, 400) to (frames, order)."""
    windowed = (cut * window("hamming", FRAME)).astype(np.float64)
    lags = [
        np.einsum("tn,tn->t", windowed[:, k:], windowed[:, : FRAME - k]) for k in range(order + 1)
    ]
    lags[0] *= 1 + DITHER
    return levinson(np.stack(lags, axis=1))[0]


def lpcc(signal: Array, *, order: int = 16, count: int = 13) -> Array:
    """Compute the cepstrum of the all-pole model that `lpc` fits.

    `order`: number of coefficients, 1 to 100; `count`: coefficients, 1 to 100; the zeroth, level,
    is left out.
    Returns: shape (1 + samples // 160, count), in nepers; 0 in silence.
    Source: L. Rabiner, B.-H. Juang, "Fundamentals of Speech Recognition", 1993, equations 3.83b, c.
    """
    check_range("order", order, 1, 100)
    check_range("count", count, 1, 100)
    lifted = pre_emphasis(check_signal(signal))
    return per_block(lifted, lambda cut: _cepstrum(_predictor(cut, order), count))


def _cepstrum(coefficients: Doubles, count: int) -> Array:
    """Turn predictors into the cepstra of 1 / A(z): (frames, order) to (frames, count)."""
    order = coefficients.shape[1]
    cepstrum = np.zeros((len(coefficients), count))
    for n in range(1, count + 1):
        k = np.arange(max(1, n - order), n)
        known = cepstrum[:, k - 1] * coefficients[:, n - k - 1] * (k / n)
        cepstrum[:, n - 1] = known.sum(axis=1) + (coefficients[:, n - 1] if n <= order else 0)
    return cepstrum.astype(np.float32)


def plp(signal: Array, *, order: int = 12, count: int = 13) -> Array:
    """Compute perceptual linear prediction (PLP) cepstra.

    Hamming windows; power in critical bands; equal loudness; cube root; all-pole model; cepstrum.

    `order`: of the all-pole model, 1 to 19; `count`: coefficients, 1 to 100; the zeroth, level, is
    left out.
    Returns: shape (1 + samples // 160, count), in nepers; 0 in silence.
    Source: H. Hermansky, "Perceptual linear predictive (PLP) analysis of speech", Journal of the
    Acoustical Society of America 87(4), 1990, equations 1 to 8.
    """
    check_range("order", order, 1, BARK_BANDS - 2)
    check_range("count", count, 1, 100)
    return per_block(check_signal(signal), lambda cut: _plp(cut, order, count))


def _plp(cut: Array, order: int, count: int) -> Array:
    """Turn frames into PLP cepstra."""
    loudness = np.cbrt(power_spectra(cut, shape="hamming").astype(np.float64) @ _critical_bands())
    loudness[:, 0], loudness[:, -1] = loudness[:, 1], loudness[:, -2]  # as in the paper
    lags = np.fft.irfft(loudness, axis=1)[:, : order + 1]
    lags[:, 0] *= 1 + DITHER
    return _cepstrum(levinson(lags)[0], count)


@lru_cache(maxsize=1)
def _critical_bands() -> Doubles:
    """Build critical bands, weighted by equal loudness, shape (201, bands)."""
    bark = 6 * np.arcsinh(BINS_HZ.astype(np.float64) / 600)
    centres = np.linspace(0, bark[-1], BARK_BANDS)
    apart = centres - bark[:, None]  # a tone reaches further up than down
    slopes = np.minimum(10 ** np.minimum(2.5 * (apart + 0.5), 0), 10 ** -np.maximum(apart - 0.5, 0))
    bands = np.where((apart >= -1.3) & (apart <= 2.5), slopes, 0.0)
    hz = 600 * np.sinh(centres / 6)
    above_5_khz = 1 / ((2 * np.pi * hz) ** 6 + 9.58e26)
    return bands * equal_loudness(hz) * above_5_khz
