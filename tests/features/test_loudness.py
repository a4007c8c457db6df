"""Loudness and spectral balance by construction."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from serein.audio.read import RATE_HZ
from serein.errors import AudioError
from serein.features.loudness import BALANCE, balance, loudness

TIME_S = np.arange(RATE_HZ) / RATE_HZ
NOISE = (0.1 * np.random.default_rng(0).standard_normal(4 * RATE_HZ)).astype(np.float32)


def tone(hz: float, gain: float = 0.1) -> np.ndarray:
    return (gain * np.sin(2 * np.pi * hz * TIME_S)).astype(np.float32)


def means(signal: np.ndarray) -> dict[str, float]:
    return dict(zip(BALANCE, balance(signal)[5:-5].mean(axis=0).tolist(), strict=True))


def test_loudness_grows_with_the_cube_root_of_power() -> None:
    ratio = loudness(tone(1000, 0.1))[50] / loudness(tone(1000, 0.01))[50]
    assert ratio == pytest.approx(100**0.33, rel=0.02)


def test_the_ear_hears_3_khz_better_than_100_hz() -> None:
    assert loudness(tone(3000))[50] > 2 * loudness(tone(100))[50]


def test_silence_is_0() -> None:
    silence = np.zeros(RATE_HZ, np.float32)
    assert not loudness(silence).any()
    assert not balance(silence).any()


def test_alpha_ratio_compares_two_tones() -> None:
    both = tone(500, 0.1) + tone(2000, 0.01)
    assert means(both)["alpha_ratio_db"] == pytest.approx(20, abs=0.3)
    assert means(both)["hammarberg_db"] == pytest.approx(20, abs=2)


def test_white_noise_is_flat_and_red_noise_falls() -> None:
    flat = means(NOISE)
    assert flat["slope_0_500_db_khz"] == pytest.approx(0, abs=3)
    assert flat["slope_500_1500_db_khz"] == pytest.approx(0, abs=1)
    octave_db = means(scipy.signal.lfilter([1], [1, -0.99], NOISE).astype(np.float32))
    # from 500 to 1500 Hz at 6 dB an octave: 9.5 dB, by least squares over a convex curve a bit less
    assert octave_db["slope_500_1500_db_khz"] == pytest.approx(-9, abs=1)
    assert octave_db["alpha_ratio_db"] > flat["alpha_ratio_db"] + 10


def test_balance_does_not_depend_on_gain() -> None:
    assert means(0.05 * NOISE) == pytest.approx(means(NOISE), abs=0.05)


@pytest.mark.parametrize("measure", [loudness, balance])
def test_what_is_no_signal_is_refused(measure: object) -> None:
    with pytest.raises(AudioError, match=r"need at least 0\.1 s"):
        measure(np.zeros(3, np.float32))
