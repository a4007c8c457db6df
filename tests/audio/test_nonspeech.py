"""Sounds made from numbers: the same draw is the same sound, and no seed makes a broken one."""

import math

import numpy as np
import pytest

from serein.audio.nonspeech import NOISES, Sound, draw
from serein.audio.read import RATE_HZ

kinds = pytest.mark.parametrize("kind", NOISES)


def assert_sound(sound: Sound) -> None:
    signal = sound.signal()
    assert signal.dtype == np.float32
    assert signal.shape == (round(sound.seconds * RATE_HZ),)
    assert np.isfinite(signal).all()
    assert np.abs(signal).max() == pytest.approx(sound.peak, rel=1e-5)
    assert signal.std() > 0


@kinds
def test_the_same_draw_is_the_same_sound(kind: str):
    one, same = (draw(np.random.default_rng(7), kind) for _ in range(2))
    other = draw(np.random.default_rng(8), kind)
    assert one == same
    assert one != other
    np.testing.assert_array_equal(one.signal(), same.signal())
    np.testing.assert_array_equal(one.signal(), one.signal())


@kinds
def test_the_seed_makes_the_sound(kind: str):
    one, other = (Sound(kind, 1.0, 0.5, seed).signal() for seed in (1, 2))
    assert not np.array_equal(one, other)


@kinds
def test_every_seed_makes_a_sound(kind: str):
    generator = np.random.default_rng(0)
    for _ in range(15):
        assert_sound(draw(generator, kind))


@kinds
@pytest.mark.parametrize(("seconds", "seeds"), [(0.5, 40), (6.0, 4)])
def test_the_shortest_and_the_longest(kind: str, seconds: float, seeds: int):
    for seed in range(seeds):
        assert_sound(Sound(kind, seconds, (0.001, 1.0)[seed % 2], seed))


@kinds
def test_the_peak_scales_and_the_sound_stays(kind: str):
    quiet, loud = (Sound(kind, 0.7, peak, 3).signal() for peak in (0.01, 1.0))
    np.testing.assert_allclose(100 * quiet, loud, atol=1e-5)


def test_draws_cover_their_ranges():
    generator = np.random.default_rng(0)
    drawn = [draw(generator, "hum") for _ in range(500)]
    seconds = [sound.seconds for sound in drawn]
    decades = [math.log10(sound.peak) for sound in drawn]
    assert 0.5 <= min(seconds) < 0.6
    assert 5.9 < max(seconds) <= 6.0
    assert -3 <= min(decades) < -2.9
    assert -0.1 < max(decades) <= 0
    assert np.mean(decades) == pytest.approx(-1.5, abs=0.1)
    assert len({sound.seed for sound in drawn}) == 500


def test_a_tone_is_a_tone():
    """By construction: nearly all the power lies within one bin of its peak."""
    for seed in range(5):
        spectrum = np.abs(np.fft.rfft(Sound("tone", 1.0, 0.5, seed).signal() * np.hanning(16_000)))
        peak = int(spectrum.argmax())
        assert 79 <= peak <= 6001
        around = spectrum[max(0, peak - 3) : peak + 4]
        assert np.square(around).sum() > 0.999 * np.square(spectrum).sum()


def test_hum_comes_from_the_mains():
    for seed in range(5):
        spectrum = np.abs(np.fft.rfft(Sound("hum", 2.0, 0.5, seed).signal()))
        assert (int(spectrum.argmax()) / 2) % 10 == 0


def test_a_room_is_noise_that_falls_with_frequency():
    for seed in range(5):
        power = np.square(np.abs(np.fft.rfft(Sound("room", 2.0, 0.5, seed).signal())))
        assert power[: 2 * 500].mean() > 3 * power[2 * 4000 :].mean()
