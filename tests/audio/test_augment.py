"""What was drawn is what is heard, and the same draw is the same sound."""

import json
import sys
from typing import Any

import numpy as np
import pytest

from serein.audio.augment import (
    Augmentation,
    Cut,
    Gain,
    Noise,
    Overlay,
    Pitch,
    Reverb,
    Shuffle,
    Speed,
    Stretch,
)
from serein.audio.chain import AUGMENTATIONS, Chain, draw
from serein.audio.nonspeech import NOISES
from serein.audio.read import RATE_HZ
from serein.errors import AudioError, MissingExtraError, SettingError

names = pytest.mark.parametrize("name", AUGMENTATIONS)
FIXED = ("telephone",)  # draws nothing
NEEDS = {"overlay": {"start_s": (0.0, 0.05)}}


def sine(hz: float, seconds: float, peak: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (peak * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def rough(seconds: float = 1.0, seed: int = 5, scale: float = 0.05) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return (scale * noise).astype(np.float32)


def pitch_hz(signal: np.ndarray) -> float:
    """Frequency of the strongest partial in the middle half, to a fraction of a hertz."""
    middle = signal[signal.size // 4 : -signal.size // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size), 2**18))
    return float(spectrum.argmax() * RATE_HZ / 2**18)


def power_db(signal: np.ndarray) -> float:
    return float(10 * np.log10(np.square(signal, dtype=np.float64).mean()))


def drawn(name: str, seed: int) -> Augmentation:
    options: dict[str, Any] = dict(NEEDS.get(name, {}))
    if name == "overlay":
        options["other"] = rough(0.3, seed=99)
    return draw(np.random.default_rng(seed), name, **options)


@names
def test_the_same_seed_is_the_same_sound(name: str):
    signal = sine(220, 1.0) + rough()
    one, same, other = drawn(name, 7), drawn(name, 7), drawn(name, 8)
    assert one == same
    assert (one == other) is (name in FIXED)
    heard = one.apply(signal)
    assert heard.tobytes() == one.apply(signal).tobytes() == same.apply(signal).tobytes()
    assert (heard.tobytes() == other.apply(signal).tobytes()) is (name in FIXED)


@names
def test_applying_draws_nothing_and_leaves_the_input(name: str):
    signal = sine(220, 0.5) + rough(0.5)
    before, augmentation = signal.copy(), drawn(name, 7)
    np.random.seed(1)
    heard = augmentation.apply(signal)
    np.random.seed(2)
    np.testing.assert_array_equal(heard, augmentation.apply(signal))
    np.testing.assert_array_equal(signal, before)
    assert not np.shares_memory(heard, signal)


@names
def test_the_numbers_survive_json(name: str):
    signal = sine(220, 0.5) + rough(0.5)
    one = drawn(name, 3)
    numbers = json.loads(json.dumps(one.to_dict()))
    material = {"other": rough(0.3, seed=99)} if name == "overlay" else {}
    again = AUGMENTATIONS[name](**numbers, **material)
    assert again == one
    np.testing.assert_array_equal(again.apply(signal), one.apply(signal))


@names
@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(1600, np.float32),
        np.zeros(16_001, np.float32),
        rough(0.1),
        np.full(8000, 0.5, np.float32),
        np.sign(sine(200, 0.5)).astype(np.float32),
        8 * np.sign(sine(200, 0.5)).astype(np.float32),
        np.full(8000, 1e-38, np.float32),
    ],
    ids=["short silent", "silent", "short", "constant", "clipped", "too loud", "tiny"],
)
def test_odd_signals_stay_signals(name: str, signal: np.ndarray):
    for seed in range(3):
        heard = drawn(name, seed).apply(signal)
        assert heard.dtype == np.float32
        assert heard.ndim == 1
        assert heard.size >= 1600
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() <= max(1.0, np.abs(signal).max())
        if not signal.any():
            assert not heard.any()


@names
@pytest.mark.parametrize(
    "signal",
    [np.zeros(1, np.float32), np.full(1600, np.nan, np.float32), np.zeros((2, 1600), np.float32)],
    ids=["one sample", "NaN", "stereo"],
)
def test_what_is_no_signal(name: str, signal: np.ndarray):
    with pytest.raises(AudioError):
        drawn(name, 0).apply(signal)


def test_every_limit_is_survived():
    signal = sine(220, 0.3) + rough(0.3)
    extremes = [
        *(Noise(snr_db) for snr_db in (-40, 100)),
        *(Overlay(snr_db, 0.0, other=rough(0.2)) for snr_db in (-40, 100)),
        *(Stretch(rate) for rate in (0.25, 1.0, 4.0)),
        *(Speed(rate) for rate in (0.25, 1.0, 4.0)),
        *(Pitch(semitones) for semitones in (-24, 0, 24)),
        *(Gain(gain_db) for gain_db in (-120, 120)),
        *(Shuffle(frame_s, 1_000_000) for frame_s in (0.001, 60)),
        *(Reverb(rt60_s, direct_db) for rt60_s in (0.02, 10) for direct_db in (-40, 60)),
    ]
    for extreme in extremes:
        heard = extreme.apply(signal)
        assert np.isfinite(heard).all()
        assert 0 < np.abs(heard).max() <= 1


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 7.3, 30.0])
@pytest.mark.parametrize("kind", ["white", "pink", *NOISES, "babble"])
def test_noise_has_the_ratio_asked(kind: str, snr_db: float):
    signal = sine(300, 0.7, peak=0.02)
    voices = [rough(seconds, seed=8) for seconds in (0.3, 1.1)]
    noise = Noise(snr_db, kind, seed=4, voices=voices).apply(signal) - signal
    assert power_db(signal) - power_db(noise) == pytest.approx(snr_db, abs=0.1)


def test_the_voices_of_babble_are_equally_loud_to_the_end_of_the_signal():
    """Each voice a tone: every second of the noise has all of them, whatever their level was."""
    signal = np.full(4 * RATE_HZ, 0.01, np.float32)
    voices = [sine(hz, 0.7, peak) for hz, peak in ((300, 0.9), (500, 0.01), (700, 0.1))]
    noise = Noise(10.0, "babble", seed=3, voices=voices).apply(signal) - signal
    for second in np.split(noise, 4):
        powers = np.square(np.abs(np.fft.rfft(second * np.hanning(second.size))))
        found = [powers[hz - 9 : hz + 10].sum() for hz in (300, 500, 700)]
        assert max(found) < 1.3 * min(found)
        assert sum(found) > 0.95 * powers.sum()


def test_babble_starts_each_voice_where_its_seed_says():
    signal, voices = sine(300, 1.0), [rough(1.0, seed) for seed in range(4)]
    one, same, other = (
        Noise(0.0, "babble", seed, voices=voices).apply(signal) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01
    assert Noise(0.0, "babble", 1, voices=voices).to_dict() == {
        **{"snr_db": 0.0, "kind": "babble", "seed": 1}
    }


def test_babble_without_voices_says_where_they_come_from():
    babble = draw(np.random.default_rng(0), "noise", kind="babble")
    with pytest.raises(SettingError, match=r"Noise\(…, voices=\[…\]\); a recipe takes those"):
        babble.apply(sine(300, 1.0))


def test_a_silent_voice_adds_nothing_to_babble():
    signal, silence = sine(300, 1.0), np.zeros(8000, np.float32)
    np.testing.assert_array_equal(Noise(0.0, "babble", voices=[silence]).apply(signal), signal)


def test_too_loud_a_sum_is_turned_down_as_a_whole():
    signal = sine(300, 1.0, peak=0.9)
    heard = Noise(-10.0, seed=4).apply(signal).astype(np.float64)
    assert np.abs(heard).max() == pytest.approx(1.0, abs=1e-5)
    assert np.mean(np.abs(heard) > 0.999) < 0.001  # not clipped
    share = heard @ signal / (signal @ signal)
    ratio_db = power_db(share * signal) - power_db(heard - share * signal)
    assert ratio_db == pytest.approx(-10.0, abs=0.1)


@pytest.mark.parametrize(("kind", "octave_db"), [("white", 0.0), ("pink", -3.01)])
def test_the_colour_of_noise(kind: str, octave_db: float):
    signal = sine(300, 10.0, peak=0.1)
    spectrum = np.abs(np.fft.rfft(Noise(20.0, kind).apply(signal) - signal))
    low, high = (np.square(spectrum[10 * hz : 20 * hz]).mean() for hz in (500, 4000))
    assert 10 * np.log10(high / low) / 3 == pytest.approx(octave_db, abs=0.3)


def test_long_noise_repeats_rather_than_grows():
    noise = Noise(0.0).apply(np.full(61 * RATE_HZ, 0.01, np.float32)) - np.float32(0.01)
    np.testing.assert_array_equal(noise[60 * RATE_HZ :], noise[:RATE_HZ])
    assert not np.array_equal(noise[30 * RATE_HZ : 31 * RATE_HZ], noise[:RATE_HZ])


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5])
def test_a_second_voice_where_and_as_loud_as_asked(snr_db: float):
    signal, other = sine(300, 1.0, peak=0.05), rough(0.25)
    added = Overlay(snr_db, 0.5, other=other).apply(signal) - signal
    assert not added[:8000].any()
    assert not added[12_000:].any()
    there = added[8000:12_000]
    assert np.corrcoef(there, other)[0, 1] > 0.9999
    assert power_db(signal) - power_db(there) == pytest.approx(snr_db, abs=0.1)


def test_a_background_repeats_to_the_end():
    signal, other = sine(300, 1.0, peak=0.05), rough(0.3)
    added = Overlay(6.0, repeat=True, other=other).apply(signal) - signal
    np.testing.assert_allclose(added[4800:9600], added[:4800], atol=1e-6)
    np.testing.assert_allclose(added[14_400:], added[:1600], atol=1e-6)
    assert power_db(signal) - power_db(added) == pytest.approx(6.0, abs=0.1)


def test_an_overlay_that_is_not_heard_changes_nothing():
    signal = sine(300, 0.5)
    for quiet in (
        Overlay(0.0, 0.5, other=rough()),
        Overlay(0.0, 9.0, repeat=True, other=rough()),
        Overlay(0.0, other=np.zeros(1600, np.float32)),
    ):
        np.testing.assert_array_equal(quiet.apply(signal), signal)


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.0, 1.25, 2.0])
@pytest.mark.parametrize("hz", [150.0, 440.0])
def test_stretching_changes_the_length_and_not_the_pitch(rate: float, hz: float):
    heard = Stretch(rate).apply(sine(hz, 2.0))
    assert heard.size == pytest.approx(2 * RATE_HZ / rate, abs=2)
    assert pitch_hz(heard) == pytest.approx(hz, rel=0.01)
    assert power_db(heard) == pytest.approx(power_db(sine(hz, 2.0)), abs=1.0)


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_stretching_keeps_the_order_of_events(rate: float):
    signal = np.zeros(2 * RATE_HZ, np.float32)
    signal[16_000:17_600] = rough(0.1)
    heard = np.square(Stretch(rate).apply(signal), dtype=np.float64)
    centre = (np.arange(heard.size) * heard).sum() / heard.sum()
    assert centre == pytest.approx(16_800 / rate, abs=0.02 * RATE_HZ)


@pytest.mark.parametrize("semitones", [-12.0, -4.0, -0.5, 3.0, 7.0, 12.0])
def test_pitch_moves_by_the_semitones_asked(semitones: float):
    heard = Pitch(semitones).apply(sine(300, 2.0))
    assert heard.size == 2 * RATE_HZ
    assert pitch_hz(heard) == pytest.approx(300 * 2 ** (semitones / 12), rel=0.01)


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_speed_changes_length_and_pitch(rate: float):
    heard = Speed(rate).apply(sine(440, 2.0))
    assert heard.size == pytest.approx(2 * RATE_HZ / rate, abs=1)
    assert pitch_hz(heard) == pytest.approx(440 * rate, rel=0.001)


@pytest.mark.parametrize("place", [0.0, 0.3, 1.0])
def test_a_cut_keeps_a_loud_part(place: float):
    """Here the middle second is loud: any part of 0.4 s within it, or half within, may be kept."""
    quiet = rough(1.0, scale=1e-4)
    signal = np.concatenate([quiet, rough(1.0), quiet])
    heard = Cut(0.4, place).apply(signal)
    start = np.flatnonzero(np.convolve(signal, heard[::-1], "valid") > 0.9 * heard @ heard)[0]
    assert heard.tobytes() == signal[start : start + heard.size].tobytes()
    assert heard.size == round(0.4 * RATE_HZ)
    assert start / RATE_HZ == pytest.approx(0.8 + place, abs=0.1)


def test_what_is_shorter_than_a_cut_is_kept_whole():
    signal = rough(0.3)
    np.testing.assert_array_equal(Cut(0.5).apply(signal), signal)


def test_what_gets_too_short_is_filled_up():
    for faster in (Stretch(4.0), Speed(4.0)):
        heard = faster.apply(rough(0.1))
        assert heard.shape == (1600,)
        assert heard[:400].any()
        assert not heard[410:].any()


@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 0.0, 6.0])
def test_gain(gain_db: float):
    signal = sine(300, 0.5)
    np.testing.assert_allclose(Gain(gain_db).apply(signal), signal * 10 ** (gain_db / 20), 1e-5)


def test_gain_stops_at_full_scale():
    signal = sine(300, 0.5)
    heard = Gain(40.0).apply(signal)
    np.testing.assert_allclose(heard, signal / np.abs(signal).max(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance", [0, 1, 3, 100])
def test_shuffling_keeps_the_samples_and_the_distance(distance: int):
    signal = np.linspace(-0.9, 0.9, 16_100, dtype=np.float32)
    heard = Shuffle(0.05, distance, seed=2).apply(signal)
    np.testing.assert_array_equal(np.sort(heard), signal)
    np.testing.assert_array_equal(heard[16_000:], signal[16_000:])
    came_from = np.searchsorted(signal, heard[:16_000].reshape(20, 800)[:, 0]) // 800
    assert sorted(came_from) == list(range(20))
    moved = np.abs(came_from - np.arange(20))
    assert moved.max() <= distance
    assert moved.max() > 0 or distance == 0
    for row, frame in enumerate(came_from):
        expected = signal[800 * frame : 800 * (frame + 1)]
        np.testing.assert_array_equal(heard[800 * row : 800 * (row + 1)], expected)


@pytest.mark.parametrize("rt60_s", [0.2, 0.5, 1.2])
def test_a_room_decays_in_the_time_asked(rt60_s: float):
    """Schroeder's backward integral from -5 to -35 dB, twice over, is the RT60."""
    click = np.zeros(2 * RATE_HZ, np.float32)
    click[0] = 0.5
    room = Reverb(rt60_s, seed=3).apply(click)[1:]
    decay = np.cumsum(np.square(room[::-1], dtype=np.float64))[::-1]
    decay_db = 10 * np.log10(decay / decay[0] + 1e-20)
    first, last = (np.flatnonzero(decay_db < level)[0] for level in (-5, -35))
    assert 2 * (last - first) / RATE_HZ == pytest.approx(rt60_s, rel=0.1)


@pytest.mark.parametrize("direct_db", [-6.0, 0.0, 10.0])
def test_the_direct_sound_stays_and_the_room_is_as_loud_as_asked(direct_db: float):
    click = np.zeros(RATE_HZ, np.float32)
    click[100] = 0.3
    heard = Reverb(0.4, direct_db).apply(click).astype(np.float64)
    assert np.abs(heard[:100]).max() < 1e-6
    assert heard[100] == pytest.approx(0.3, rel=1e-4)
    ratio_db = 10 * np.log10(heard[100] ** 2 / np.square(heard[101:]).sum())
    assert ratio_db == pytest.approx(direct_db, abs=0.1)


def test_a_chain_applies_in_order():
    signal = sine(300, 0.5)
    one, other = Speed(1.1), Noise(10.0, seed=1)
    heard = Chain((one, other)).apply(signal)
    np.testing.assert_array_equal(heard, other.apply(one.apply(signal)))
    assert not np.array_equal(heard, Chain((other, one)).apply(signal))
    empty = Chain(()).apply(signal)
    np.testing.assert_array_equal(empty, signal)
    assert empty is not signal


def test_a_chain_of_everything_on_the_shortest_and_loudest():
    steps = tuple(drawn(name, seed) for seed in range(3) for name in AUGMENTATIONS)
    heard = Chain(steps).apply(8 * np.sign(rough(0.1)))
    assert np.isfinite(heard).all()
    assert heard.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stretch(0.0), "rate is 0.0; allowed: 0.25 to 4"),
        (lambda: Speed(float("nan")), "rate is nan"),
        (lambda: Pitch(25), "semitones is 25; allowed: -24 to 24"),
        (lambda: Noise(float("inf")), "snr_db is inf"),
        (lambda: Noise(0.0, "withe"), "unknown noise 'withe'; known: white"),
        (lambda: Noise(0.0, "babel"), "unknown noise 'babel'; known: babble"),
        (lambda: Noise(0.0, "babble", voices=[np.zeros(3, np.float32)]), "need at least 0.1 s"),
        (lambda: draw(np.random.default_rng(0), "noise", voices="x"), "unknown option 'voices'"),
        (lambda: Overlay(0.0, -1.0, other=rough()), "start_s is -1.0"),
        (lambda: Overlay(0.0, other=np.zeros(3, np.float32)), "need at least 0.1 s"),
        (lambda: Shuffle(0.0), "frame_s is 0.0"),
        (lambda: Shuffle(0.1, -1), "distance is -1"),
        (lambda: Reverb(0.0), "rt60_s is 0.0; allowed: 0.02 to 10"),
        (lambda: draw(np.random.default_rng(0), "revreb"), "unknown augmentation .*known: reverb"),
        (lambda: draw(np.random.default_rng(0), "gain", db=3), "unknown option 'db'; .*gain_db"),
        (lambda: draw(np.random.default_rng(0), "speed", rate=(2, 1)), "lower number first"),
        (lambda: draw(np.random.default_rng(0), "speed", rate=(0.1, 1)), "rate is 0.1; allowed"),
    ],
)
def test_impossible_numbers(make: Any, message: str):
    with pytest.raises(ValueError, match=message):
        make()


def test_options_are_ranges_or_fixed():
    generator = np.random.default_rng(0)
    rates = [draw(generator, "speed", rate=(0.5, 0.6)).to_dict()["rate"] for _ in range(200)]
    assert 0.5 <= min(rates) < 0.51
    assert 0.59 < max(rates) <= 0.6
    assert draw(generator, "speed", rate=1.5) == Speed(1.5)
    assert draw(generator, "noise", kind="wind").to_dict()["kind"] == "wind"


@pytest.mark.parametrize(
    ("name", "package"),
    [("stretch", "python_stretch"), ("pitch", "python_stretch"), ("reverb", "scipy.signal")],
)
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, name: str, package: str):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"augmentation needs the extra \[sound\]"):
        drawn(name, 0).apply(rough())
