"""Pitch, intensity and rhythm: tones and vowels of known pitch, and Praat on real voices."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serein.audio.read import RATE_HZ, read_audio
from serein.errors import AudioError
from serein.features.feature_sets import SETS
from serein.features.pitch import f0, intensity, pauses, speaking_rate

Array = npt.NDArray[np.float32]


def tone(hz: float, seconds: float = 0.5) -> Array:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def vowel(hz: float, seconds: float = 0.5) -> Array:
    """A glottal pulse train, in phase to a fraction of a sample, through two resonators.

    It is summed from its partials, each with the gain of the resonators: no partial folds back.
    """
    partials = np.arange(1, int(7000 / hz)) * hz
    z = np.exp(-2j * np.pi * partials / RATE_HZ)
    gain = np.ones_like(z)
    for formant_hz, width_hz in ((600, 80), (1200, 100)):
        pole = np.exp((-np.pi * width_hz + 2j * np.pi * formant_hz) / RATE_HZ)
        gain = gain / ((1 - pole * z) * (1 - pole.conj() * z))
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    waves = np.exp(2j * np.pi * np.outer(time, partials)) @ (gain / partials)
    return (0.5 * waves.real / np.abs(waves.real).max()).astype(np.float32)


def noise(seconds: float = 2.0) -> Array:
    samples = round(seconds * RATE_HZ)
    return 0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)


def beats(syllables: int, seconds: float) -> Array:
    """A vowel that swells and fades away so many times."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return vowel(120, seconds) * np.sin(np.pi * syllables * time / seconds).astype(np.float32) ** 2


@pytest.mark.parametrize("voice", [tone, vowel])
@pytest.mark.parametrize("hz", [77, 100, 133.3, 200, 261.6, 350, 440, 500])
def test_the_pitch_of_a_steady_sound(voice: Callable[[float], Array], hz: float):
    found = f0(voice(hz))
    assert found.shape == (51, len(SETS["f0"].columns))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[3:-3, 0], hz, rtol=0.005)
    assert found[3:-3, 1].min() > 0.98


@settings(deadline=None, max_examples=25)
@given(st.floats(80, 500), st.floats(-80, 0))
def test_the_pitch_does_not_hang_on_the_level(hz: float, level_db: float):
    quiet = (vowel(hz) * 10 ** (level_db / 20)).astype(np.float32)
    np.testing.assert_allclose(f0(quiet)[3:-3, 0], hz, rtol=0.005)


def test_a_chirp_is_followed():
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    chirp = np.sin(2 * np.pi * (100 * time + 75 * time**2)).astype(np.float32)
    found = f0(chirp)[5:-5, 0]
    np.testing.assert_allclose(found, 100 + 150 * np.arange(5, 196) / 100, rtol=0.005)


def test_voicing_tells_how_much_noise_there_is():
    """Noise of a quarter of the power: the autocorrelation at the period is 4/5."""
    voice = tone(150, 2)
    found = f0(voice + noise() * (np.sqrt(0.125 / 4) / 0.1).astype(np.float32))
    assert found[5:-5, 1].mean() == pytest.approx(0.8, abs=0.03)
    np.testing.assert_allclose(np.median(found[5:-5, 0]), 150, rtol=0.005)


@pytest.mark.parametrize(
    "silence", [np.zeros(8000, np.float32), np.full(8000, 0.3, np.float32), noise()]
)
def test_nothing_voiced_has_no_pitch(silence: Array):
    found = f0(silence)
    assert np.count_nonzero(found[:, 0]) == 0
    assert found[:, 1].max() < 0.5


def test_a_clipped_voice_keeps_its_pitch():
    np.testing.assert_allclose(f0(np.clip(4 * vowel(180), -1, 1))[3:-3, 0], 180, rtol=0.005)


def test_the_range_is_kept_to():
    both = f0(vowel(110), lowest_hz=150, highest_hz=500)[:, 0]
    assert np.all((both == 0) | ((both >= 150) & (both <= 500)))
    assert f0(vowel(60), lowest_hz=50)[20, 0] == pytest.approx(60, rel=0.005)


def test_voice_begins_and_ends_when_it_does():
    silence = np.zeros(RATE_HZ // 2, np.float32)
    voiced = np.flatnonzero(f0(np.concatenate([silence, vowel(200), silence]))[:, 0])
    assert abs(voiced[0] - 50) <= 2
    assert abs(voiced[-1] - 100) <= 2
    assert np.all(np.diff(voiced) == 1)


def test_blocks_leave_no_seam():
    """A block is 30 s."""
    long = np.tile(vowel(125, 1.0), 33)
    np.testing.assert_allclose(f0(long)[5:-5, 0], 125, rtol=0.005)


@pytest.mark.parametrize("limits", [(30, 600), (200, 300), (75, 1200), (float("nan"), 600)])
def test_a_range_that_is_none(limits: tuple[float, float]):
    with pytest.raises(ValueError, match="allowed: 40 to 1000 Hz"):
        f0(tone(100), lowest_hz=limits[0], highest_hz=limits[1])


@pytest.mark.parametrize("function", [f0, intensity, speaking_rate, pauses])
def test_what_is_no_signal(function: Callable[[Array], object]):
    with pytest.raises(AudioError, match="need at least"):
        function(np.zeros(1, np.float32))
    with pytest.raises(AudioError, match="NaN"):
        function(np.full(8000, np.nan, np.float32))


def test_the_intensity_of_a_tone():
    """A sine of amplitude 0.5 has a mean square of 1/8: 84.9 dB above 2e-5."""
    level = intensity(tone(200, 1.0))
    assert level.shape == (101, len(SETS["intensity"].columns))
    np.testing.assert_allclose(level[6:-6, 0], 10 * np.log10(0.125 / 4e-10), atol=0.01)
    np.testing.assert_allclose(intensity(0.1 * tone(200, 1.0))[6:-6], level[6:-6] - 20, atol=0.01)


def test_silence_has_no_intensity_and_an_offset_none_either():
    assert intensity(np.zeros(8000, np.float32)).max() == 0
    assert intensity(np.full(8000, 0.5, np.float32))[6:-6].max() == 0


@pytest.mark.parametrize("syllables", [2, 5, 8])
def test_syllables_are_counted(syllables: int):
    found = speaking_rate(beats(syllables, 2.0))
    assert found["syllables_per_s"] == pytest.approx(syllables / 2)
    assert found["syllables_per_voiced_s"] >= found["syllables_per_s"]


def test_noise_has_no_syllables():
    assert speaking_rate(noise()) == {"syllables_per_s": 0.0, "syllables_per_voiced_s": 0.0}


def test_pauses_are_measured():
    """Two pauses of 0.4 s in 2.3 s of speech; 0.1 s is none, nor is silence at the ends."""
    gap, short, end = (np.zeros(round(s * RATE_HZ), np.float32) for s in (0.4, 0.1, 1.0))
    voice = vowel(120)
    signal = np.concatenate([end, voice, gap, voice, short, voice[:3200], gap, voice[:3200], end])
    found = pauses(signal)
    assert found["pauses_per_s"] == pytest.approx(2 / 2.3, rel=0.05)
    assert found["pause_mean_s"] == pytest.approx(0.4, abs=0.06)  # the window is 85 ms long
    assert found["pause_share"] == pytest.approx(0.8 / 2.3, abs=0.05)
    assert pauses(voice) == {"pauses_per_s": 0.0, "pause_mean_s": 0.0, "pause_share": 0.0}


def test_f0_and_intensity_agree_with_praat(corpus_dir: Callable[[str], Path]):
    """20 clips of EmoDB, cut to whole hops so that Praat's frames are ours."""
    praat = pytest.importorskip("parselmouth")
    folder = corpus_dir("emodb")
    with (folder / "index.csv").open(newline="") as table:
        names = [row["file"] for row in csv.DictReader(table)][3::27][:20]
    ours, theirs, level_off = [], [], []
    for name in names:
        signal = read_audio(folder / name)
        signal = signal[: signal.size // 160 * 160]
        sound = praat.Sound(signal.astype(np.float64), RATE_HZ)
        pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=75, pitch_ceiling=600)
        ours.append(f0(signal)[np.rint(pitch.xs() * 100).astype(int), 0])
        theirs.append(pitch.selected_array["frequency"])
        level = sound.to_intensity(minimum_pitch=75, time_step=0.005)
        at = level.xs() * 100
        same = np.abs(at - np.rint(at)) < 1e-6
        mine = intensity(signal)[np.rint(at[same]).astype(int), 0]
        level_off.append(np.abs(mine - level.values[0][same]))
    mine, praats = np.concatenate(ours), np.concatenate(theirs)
    both = (mine > 0) & (praats > 0)
    off = np.abs(mine[both] / praats[both] - 1)
    assert np.median(off) < 0.001
    assert np.mean(off > 0.2) < 0.005
    assert np.mean((mine > 0) == (praats > 0)) > 0.96
    assert np.percentile(np.concatenate(level_off), 99) < 0.1
