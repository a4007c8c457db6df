"""The log-mel spectrogram: transformers' Whisper front end as oracle, and sines."""

import functools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from serein.audio.read import RATE_HZ
from serein.features.spectral import hz_from_mel, log_mel, mel_filters, mel_from_hz

Array = npt.NDArray[np.float32]


def sine(hz: float, seconds: float = 1.0) -> Array:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def noise(samples: int) -> Array:
    return 0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)


@functools.cache
def whispers_own(bands: int = 80) -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=bands)


@pytest.mark.parametrize("bands", [80, 128])
def test_filters_equal_whispers(bands: int):
    theirs = whispers_own(bands).mel_filters
    np.testing.assert_allclose(mel_filters(bands), theirs, atol=1e-7)
    assert theirs.max() > 0.01


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("samples", [1600, 16_000, 16_079, 40_123])
def test_log_mel_equals_whispers(samples: int, bands: int):
    """Without padding: both reflect at the edges, and drop the frame centred on the end."""
    signal = noise(samples) + sine(440, 3)[:samples]
    theirs = whispers_own(bands)(signal, sampling_rate=RATE_HZ, padding=False)
    expected = np.asarray(theirs["input_features"][0]).T
    ours = log_mel(signal, bands=bands)
    assert ours.shape == expected.shape == (samples // 160, bands)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_thirty_seconds_equal_whispers_padded_input():
    signal = noise(48_000) + sine(1000, 3)
    theirs = whispers_own()(signal, sampling_rate=RATE_HZ, return_tensors="np")
    padded = np.zeros(30 * RATE_HZ, dtype=np.float32)
    padded[:48_000] = signal
    np.testing.assert_allclose(log_mel(padded), theirs["input_features"][0].T, atol=1e-4)


@settings(deadline=None)
@given(st.floats(0, RATE_HZ / 2))
def test_mel_and_hz_are_inverse(hz: float):
    assert float(hz_from_mel(mel_from_hz(hz))) == pytest.approx(hz, rel=1e-9, abs=1e-9)


def test_the_mel_scale_by_hand():
    """Slaney: 15 mel a kilohertz up to 1 kHz; then 27 mel for each factor of 6.4."""
    np.testing.assert_allclose(mel_from_hz([0.0, 200.0, 1000.0, 6400.0]), [0.0, 3.0, 15.0, 42.0])
    assert (np.diff(mel_from_hz(np.arange(0, 8000, 10))) > 0).all()


@pytest.mark.parametrize("hz", [200, 440, 1000, 2345, 4000, 6000, 7500])
def test_a_sine_peaks_in_its_band(hz: int):
    edges = hz_from_mel(np.linspace(0, float(mel_from_hz(RATE_HZ / 2)), 82))
    nearest = int(np.abs(edges[1:-1] - hz).argmin())
    peaks = log_mel(sine(hz))[5:-5].argmax(axis=1)
    assert np.abs(peaks - nearest).max() <= 1


def test_a_click_is_heard_when_it_sounds():
    signal = np.zeros(RATE_HZ, dtype=np.float32)
    signal[8000] = 1.0
    level = log_mel(signal).mean(axis=1)
    assert level.argmax() == 50
    assert set(np.flatnonzero(level > level.min() + 0.1)) == {49, 50, 51}


def test_ten_times_louder_is_half_a_step_up():
    signal = noise(RATE_HZ)
    np.testing.assert_allclose(log_mel(10 * signal), log_mel(signal) + 0.5, atol=1e-5)


def test_what_is_80_db_down_is_cut_off():
    signal = sine(1000)
    signal[8000:] = 0.0
    found = log_mel(signal)
    assert found.max() - found.min() == pytest.approx(2.0)


def test_silence_is_finite_and_level():
    np.testing.assert_allclose(log_mel(np.zeros(RATE_HZ, dtype=np.float32)), -1.5, rtol=1e-6)


def test_the_filters_that_are_shared_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        mel_filters()[0, 0] = 1.0
