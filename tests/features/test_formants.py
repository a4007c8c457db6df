"""Formants: vowels of known resonances, and Praat on real voices."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serein.audio.read import RATE_HZ, read_audio
from serein.errors import AudioError
from serein.features.feature_sets import SETS
from serein.features.formants import formants
from serein.features.pitch import f0

Array = npt.NDArray[np.float32]


def vowel(*formants_hz: float, f0_hz: float = 100, width_hz: float = 80) -> Array:
    """Half a second of partials that fall by 6 dB an octave, through these resonators."""
    partial = np.arange(1, int(7900 / f0_hz))
    z = np.exp(-2j * np.pi * partial * f0_hz / RATE_HZ)
    gain = 1 / partial.astype(np.complex128)
    for hz in formants_hz:
        pole = np.exp((-np.pi * width_hz + 2j * np.pi * hz) / RATE_HZ)
        gain /= (1 - pole * z) * (1 - pole.conj() * z)
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    waves = (np.exp(2j * np.pi * np.outer(time, partial * f0_hz)) @ gain).real
    return (0.5 * waves / np.abs(waves).max()).astype(np.float32)


def resonances(signal: Array, **options: float) -> tuple[npt.NDArray[np.float64], ...]:
    """The middle frame's formants that are no wider than a formant is, and their widths."""
    table = formants(signal, **options)  # type: ignore[arg-type]
    hz, width_hz = np.split(np.median(table[10:-10], axis=0), 2)
    narrow = (width_hz > 0) & (width_hz < 400)
    return hz[narrow], width_hz[narrow]


VOWELS = [
    (300, 2300),
    (500, 1500),
    (700, 1200),
    (350, 800),
    (300, 2300, 3000),
    (500, 1500, 2500),
    (700, 1200, 2600),
    (350, 800, 2400),
]


@pytest.mark.parametrize("expected", VOWELS, ids=str)
def test_the_formants_of_a_vowel(expected: tuple[float, ...]):
    found, width_hz = resonances(vowel(*expected))
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert width_hz.max() < 150


@pytest.mark.parametrize("f0_hz", [80, 90, 100])
@pytest.mark.parametrize("highest_hz", [4500, 5000, 5500, 8000])
def test_neither_pitch_nor_ceiling_moves_them_far(f0_hz: float, highest_hz: float):
    signal = vowel(500, 1500, 2500, f0_hz=f0_hz)
    found, _ = resonances(signal, count=5 if highest_hz < 8000 else 8, highest_hz=highest_hz)
    np.testing.assert_allclose(found[:3], (500, 1500, 2500), rtol=0.03)


def test_a_wider_resonance_is_found_wider():
    narrow = resonances(vowel(700, 1800, width_hz=60))[1]
    wide = resonances(vowel(700, 1800, width_hz=180))[1]
    assert np.all(wide > 1.5 * narrow)
    np.testing.assert_allclose(wide, 180, rtol=0.35)  # what is left is the window's


@settings(deadline=None, max_examples=20)
@given(st.floats(-60, 6), st.floats(-0.4, 0.4))
@example(-60.0, 0.4)
def test_neither_level_nor_offset_matters(level_db: float, offset: float):
    signal = vowel(500, 1500, 2500)
    other = (signal * 10 ** (level_db / 20) + offset).astype(np.float32)
    np.testing.assert_allclose(resonances(other)[0], resonances(signal)[0], rtol=0.01)


def test_rows_are_sorted_and_within_the_ceiling():
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    table = formants(noise, highest_hz=5000)
    assert table.shape == (101, 10) == (101, len(SETS["formants"].columns))
    assert table.dtype == np.float32
    hz, width_hz = table[:, :5], table[:, 5:]
    assert np.all((hz == 0) | ((hz > 90) & (hz < 5000)))
    assert np.all((np.diff(hz) > 0) | (hz[:, 1:] == 0))
    np.testing.assert_array_equal(hz == 0, width_hz == 0)
    assert formants(noise, count=3).shape == (101, 6)


@pytest.mark.parametrize("silence", [np.zeros(8000, np.float32), np.full(8000, 0.3, np.float32)])
def test_silence_has_none(silence: Array):
    assert not formants(silence).any()


def test_a_pause_has_none_and_the_voice_around_it_has():
    silence = np.zeros(RATE_HZ // 2, np.float32)
    table = formants(np.concatenate([vowel(500, 1500), silence, vowel(500, 1500)]))
    assert not table[54:96].any()
    assert np.all(table[5:45, 0] > 0)
    assert np.all(table[105:145, 0] > 0)


def test_a_clipped_vowel_is_finite_and_near():
    found, _ = resonances(np.clip(3 * vowel(500, 1500, 2500), -1, 1))
    assert np.abs(found - 500).min() < 100


def test_blocks_leave_no_seam():
    """A block is 30 s: the frames at its seam are as in a signal of their own."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(31 * RATE_HZ).astype(np.float32)
    whole = formants(noise)
    alone = formants(noise[29 * RATE_HZ :])
    np.testing.assert_allclose(whole[2950:3050], alone[50:150], rtol=0.01, atol=0.5)


@pytest.mark.parametrize(("count", "highest_hz"), [(0, 5500), (9, 5500), (5, 900), (5, 8001)])
def test_a_count_or_ceiling_that_is_none(count: int, highest_hz: float):
    with pytest.raises(ValueError, match="allowed: 1 to 8 below 1000 to 8000 Hz"):
        formants(vowel(500), count=count, highest_hz=highest_hz)


def test_what_is_no_signal():
    with pytest.raises(AudioError, match="need at least"):
        formants(np.zeros(1, np.float32))
    with pytest.raises(AudioError, match="NaN"):
        formants(np.full(8000, np.nan, np.float32))


@pytest.mark.parametrize("highest_hz", [5000, 5500])
def test_voices_have_the_formants_that_praat_finds(
    corpus_dir: Callable[[str], Path], highest_hz: float
):
    """20 clips of EmoDB, cut so that every other frame of Praat's is ours within 0.25 ms."""
    praat = pytest.importorskip("parselmouth")
    folder = corpus_dir("emodb")
    with (folder / "index.csv").open(newline="") as table:
        names = [row["file"] for row in csv.DictReader(table)][3::27][:20]
    off = []
    for name in names:
        signal = read_audio(folder / name)
        signal = signal[: (signal.size - 8) // 160 * 160 + 8]
        track = praat.Sound(signal.astype(np.float64), RATE_HZ).to_formant_burg(
            time_step=0.005, maximum_formant=highest_hz, window_length=0.025
        )
        ours, voiced = formants(signal, highest_hz=highest_hz), f0(signal)[:, 0] > 0
        frames = np.rint(track.xs() * 100).astype(int)
        same = (np.abs(track.xs() * 100 - frames) < 0.03) & voiced[frames]
        theirs = [[track.get_value_at_time(k, t) for k in (1, 2, 3)] for t in track.xs()[same]]
        off.append(np.abs(ours[frames[same], :3] / np.array(theirs) - 1))
    assert np.all(np.nanmedian(np.concatenate(off), axis=0) < 0.01)
