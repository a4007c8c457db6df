"""What a line, a codec or a room does is what its standard or its number says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serein.audio import channel
from serein.audio.augment import Augmentation, Gain
from serein.audio.channel import (
    Clipped,
    Coded,
    Equaliser,
    Highpass,
    Lowpass,
    Offset,
    Overdriven,
    Resampled,
    Telephone,
    Tilt,
    Tone,
)
from serein.audio.read import RATE_HZ

MIDDLE = slice(RATE_HZ // 4, -RATE_HZ // 4)


def sine(hz: float, seconds: float = 1.0, peak: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (peak * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def rough(seconds: float = 1.0, seed: int = 5) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return (0.05 * noise).astype(np.float32)


def voice(seconds: float = 1.5, seed: int = 3) -> np.ndarray:
    """Bursts of harmonics: something that a speech codec was made for."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch = 130 * (1 + 0.1 * np.sin(2 * np.pi * 1.3 * time + seed))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    tones = sum(np.cos(k * phase) / (1 + (k - 5) ** 2 / 9) for k in range(1, 25))
    breath = 0.1 * np.random.default_rng(seed).standard_normal(time.size)
    return (0.05 * (tones + breath) * np.clip(np.sin(19 * time), 0, 1)).astype(np.float32)


def level_db(changed: np.ndarray, signal: np.ndarray) -> float:
    """Level of the changed sound over that of the signal, ends left out."""
    powers = [np.square(part[MIDDLE], dtype=np.float64).mean() for part in (changed, signal)]
    return float(10 * np.log10((powers[0] + 1e-20) / powers[1]))


def gain_at_db(change: Augmentation, hz: float) -> float:
    return level_db(change.apply(sine(hz)), sine(hz))


def lag(signal: np.ndarray, changed: np.ndarray) -> int:
    size = 2 * signal.size
    product = np.fft.rfft(changed, size) * np.conj(np.fft.rfft(signal, size))
    best = int(np.fft.irfft(product, size).argmax())
    return best if best < signal.size else best - size


def test_a_telephone_keeps_1_khz_and_removes_6_khz_and_the_lows() -> None:
    assert gain_at_db(Telephone(), 1000) == pytest.approx(0, abs=0.3)
    assert gain_at_db(Telephone(), 3300) == pytest.approx(0, abs=0.5)
    for hz in (50, 150, 3800, 6000):
        assert gain_at_db(Telephone(), hz) < -45


def mu_law(sample: float) -> float:
    """One sample through G.711's mu-law, from the Recommendation's segments: 14 bits, bias 33."""
    magnitude = min(int(abs(sample) * 8192), 8158) + 33
    segment = magnitude.bit_length() - 6
    step = (magnitude >> (segment + 1)) & 15
    decoded = (((2 * step + 33) << segment) - 33) / 8192
    return decoded if sample >= 0 else -decoded


def test_companding_is_that_of_g711() -> None:
    line = np.linspace(-0.99, 0.99, 4001).astype(np.float32)
    expected = np.array([mu_law(float(sample)) for sample in line])
    apart = np.abs(channel._companded(line) - expected)
    assert np.mean(apart < 1e-6) > 0.97
    assert apart.max() <= 1 / 32  # a sample on the edge may be rounded to the next step


@pytest.mark.parametrize("peak_db", [-3, -20, -35])
def test_noise_of_mu_law_follows_the_level(peak_db: float) -> None:
    """Some 38 dB under the signal, over a range in which 8 linear bits would lose 32 dB."""
    line = sine(700, peak=10 ** (peak_db / 20))
    noise = channel._companded(line) - line
    assert 33 < -10 * np.log10(np.square(noise).mean() / np.square(line).mean()) < 42


@pytest.mark.parametrize(
    ("codec", "kbps"),
    [
        *(("mp3", 8), ("mp3", 16), ("mp3", 32), ("mp3", 64), ("mp3", 160)),
        *(("opus", 8), ("opus", 16), ("opus", 64), ("vorbis", 24), ("vorbis", 64)),
    ],
)
def test_coding_keeps_length_and_place(codec: str, kbps: float) -> None:
    signal = voice()[: 16_001 + int(kbps)]
    heard = Coded(codec, kbps).apply(signal)
    assert heard.shape == signal.shape
    assert heard.dtype == np.float32
    assert abs(lag(signal, heard)) <= 2
    assert heard.tobytes() == Coded(codec, kbps).apply(signal).tobytes()
    assert abs(level_db(heard, signal)) < 3


@pytest.mark.parametrize(("codec", "rates"), [("mp3", (16, 48)), ("opus", (8, 32, 128))])
def test_a_higher_rate_is_closer(codec: str, rates: tuple[float, ...]) -> None:
    signal = voice()
    wrong = [level_db(Coded(codec, rate).apply(signal) - signal, signal) for rate in rates]
    assert sorted(wrong, reverse=True) == wrong
    assert wrong[-1] < -10


def test_a_share_of_the_samples_is_clipped() -> None:
    signal = rough()
    heard = Clipped(share=0.1).apply(signal)
    assert np.mean(heard != signal) == pytest.approx(0.1, abs=0.001)
    assert np.mean(np.abs(heard) == np.abs(heard).max()) == pytest.approx(0.1, abs=0.001)
    np.testing.assert_array_equal(Clipped(share=0.0).apply(signal), signal)


def test_what_gain_turns_down_overdriving_clips() -> None:
    signal = sine(220, peak=0.5)
    loud = Overdriven(20).apply(signal)
    assert np.mean(np.abs(loud) == 1) > 0.8
    assert np.mean(np.abs(Gain(20).apply(signal)) > 0.999) < 0.1
    np.testing.assert_allclose(Overdriven(6).apply(0.1 * signal), 10**0.3 * 0.1 * signal, rtol=1e-6)


def test_resampling_removes_what_is_over_half_the_rate() -> None:
    assert gain_at_db(Resampled(8000), 3000) == pytest.approx(0, abs=0.1)
    assert gain_at_db(Resampled(8000), 5000) < -80
    assert Resampled(8000).apply(rough()[:9_999]).size == 9_999


def test_offsets_move_the_start() -> None:
    signal = rough()
    np.testing.assert_array_equal(Offset(cut_s=0.25).apply(signal), signal[4000:])
    later = Offset(silence_s=0.5).apply(signal)
    assert not later[:8000].any()
    np.testing.assert_array_equal(later[8000:], signal)
    assert Offset(cut_s=5).apply(signal).size == 1600  # filled up with silence


def test_a_tone_is_added_so_far_under_the_peak() -> None:
    signal = sine(220)
    added = Tone(hz=6000, snr_db=40).apply(signal) - signal
    assert np.abs(added).max() == pytest.approx(0.01 * np.abs(signal).max(), rel=0.01)
    assert np.abs(np.fft.rfft(added)).argmax() == 6000


def test_filters_are_3_db_down_at_their_cutoff() -> None:
    for hz in (100, 1000, 6500):
        assert gain_at_db(Lowpass(hz), hz) == pytest.approx(-3.01, abs=0.1)
        assert gain_at_db(Highpass(hz), hz) == pytest.approx(-3.01, abs=0.1)
    assert gain_at_db(Highpass(800), 100) == pytest.approx(-18, abs=0.5)  # 6 dB an octave
    assert gain_at_db(Lowpass(1000), 100) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("tilt_db", [-20.0, 20.0])
def test_a_tilt_is_straight_and_keeps_the_power(tilt_db: float) -> None:
    signal = rough(4.0)
    heard = Tilt(tilt_db).apply(signal)
    assert abs(level_db(heard, signal)) < 0.2
    ratio_db = 20 * np.log10(np.abs(np.fft.rfft(heard)) / np.abs(np.fft.rfft(signal)))
    hz = np.fft.rfftfreq(signal.size, 1 / RATE_HZ)
    slope, _ = np.polyfit(hz[100:-100], ratio_db[100:-100], 1)
    assert slope * RATE_HZ / 2 == pytest.approx(tilt_db, rel=0.02)


@pytest.mark.parametrize(
    ("kind", "numbers", "message"),
    [
        (Coded, {"codec": "aac", "kbps": 16}, "unknown codec 'aac'; known:"),
        (Coded, {"codec": "vorbis", "kbps": 8}, "vorbis does 24 to 100 kbit/s"),
        (Coded, {"codec": "mp3", "kbps": 1000}, "kbps is 1000; allowed: 6 to 256"),
        (Clipped, {"share": 1.5}, "share is 1.5; allowed: 0 to 1"),
        (Resampled, {"rate_hz": 48_000}, "rate_hz is 48000; allowed: 4000 to 16000"),
        (Offset, {"cut_s": -1}, "cut_s is -1; allowed"),
    ],
)
def test_wrong_numbers_are_refused(
    kind: type[Augmentation], numbers: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**numbers)


# --- equaliser ---


def test_an_equaliser_of_0_db_changes_nothing():
    np.testing.assert_allclose(Equaliser(0.0, seed=3).apply(rough()), rough(), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_an_equaliser_colours_gently_and_within_what_its_parts_may_add(seed: int):
    octaves = [125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 7500.0]
    gains = np.array([gain_at_db(Equaliser(6.0, seed), hz) for hz in octaves])
    assert np.ptp(gains) > 1
    assert np.abs(gains).max() <= 4 * 6 + 0.1
    half = np.array([gain_at_db(Equaliser(3.0, seed), hz) for hz in octaves])
    np.testing.assert_allclose(half, gains / 2, atol=0.1)


def test_another_seed_is_another_microphone():
    gains = [gain_at_db(Equaliser(6.0, seed), 3000) for seed in range(10)]
    assert np.std(gains) > 2
