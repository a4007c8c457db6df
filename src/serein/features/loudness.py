"""Loudness, and the balance of energy over frequency, of each frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array, per_block, power_spectra
from serein.audio.read import check_signal
from serein.features.spectral import BINS_HZ, MIN_POWER, equal_loudness, mel_filters

BALANCE = ("alpha_ratio_db", "hammarberg_db", "slope_0_500_db_khz", "slope_500_1500_db_khz")
BANDS = 26
COMPRESSION = 0.33  # Stevens's power law: perceived loudness is about the cube root of power


def loudness(signal: Array) -> Array:
    """Measure perceived loudness: mel bands, weighted by equal loudness, compressed and summed.

    Returns: shape (1 + samples // 160, 1), float32, at least 0; comparable between recordings of
    equal gain.
    Source: H. Hermansky, "Perceptual linear predictive (PLP) analysis of speech", Journal of the
    Acoustical Society of America 87(4), 1990, equations 4 to 6.
    """
    weights = _weighted_filters()

    def of_power(power: Array) -> Array:
        return np.sum((power @ weights) ** COMPRESSION, axis=1, keepdims=True, dtype=np.float32)

    return _from_power(signal, of_power)


def balance(signal: Array) -> Array:
    """Measure how the energy is spread over the frequencies.

    Returns: shape (1 + samples // 160, 4), float32; columns are alpha ratio (energy of 50 to 1000
    Hz over 1 to 5 kHz, dB), Hammarberg index (strongest peak under 2 kHz over the one from 2 to 5
    kHz, dB), and slopes of the straight line through the spectrum from 0 to 500 and 500 to 1500 Hz
    (dB/kHz). 0 in silence.
    Source: F. Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice
    research and affective computing", IEEE Transactions on Affective Computing 7(2), 2016.
    """

    def of_power(power: Array) -> Array:
        level_db = 10 * np.log10(np.maximum(power, MIN_POWER))
        columns = [
            _level_db(power, 50, 1000) - _level_db(power, 1000, 5000),
            level_db[:, _between(0, 2000)].max(axis=1)
            - level_db[:, _between(2000, 5000)].max(axis=1),
            level_db[:, _between(0, 500)] @ _slope_weights(0, 500),
            level_db[:, _between(500, 1500)] @ _slope_weights(500, 1500),
        ]
        sounding = power.max(axis=1, keepdims=True) > MIN_POWER
        return np.where(sounding, np.stack(columns, axis=1), 0).astype(np.float32)

    return _from_power(signal, of_power)


def _from_power(signal: Array, of_power: Callable[[Array], Array]) -> Array:
    return per_block(check_signal(signal), lambda cut: of_power(power_spectra(cut)))


@lru_cache(maxsize=1)
def _weighted_filters() -> Array:
    """Build mel filters, each weighted by the equal loudness at its centre."""
    filters = mel_filters(BANDS)
    centres_hz = (BINS_HZ @ filters) / filters.sum(axis=0)
    return (filters * equal_loudness(centres_hz)).astype(np.float32)


def _between(low_hz: float, high_hz: float) -> npt.NDArray[np.bool_]:
    return (low_hz <= BINS_HZ) & (high_hz >= BINS_HZ)


def _level_db(power: Array, low_hz: float, high_hz: float) -> Array:
    energy = power[:, _between(low_hz, high_hz)].sum(axis=1)
    return 10 * np.log10(np.maximum(energy, MIN_POWER))


def _slope_weights(low_hz: float, high_hz: float) -> npt.NDArray[np.float32]:
    """Make the weights that turn a spectrum into its slope in dB per kHz."""
    khz = BINS_HZ[_between(low_hz, high_hz)] / 1000
    centred = khz - khz.mean()
    return (centred / (centred @ centred)).astype(np.float32)
