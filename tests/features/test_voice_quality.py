"""Jitter, shimmer and harmonics over noise: trains of known cycles, and Praat on real voices."""

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
from serein.features.pitch import f0
from serein.features.voice_quality import COLUMNS, voice_quality

Array = npt.NDArray[np.float32]
JITTER, SHIMMER, HNR, HNR_ACF = range(4)


def cycles(
    jitter: float = 0, shimmer_db: float = 0, *, hz: float = 120, drawn: bool = False
) -> Array:
    """A second of damped waves at 700 Hz, one a cycle, at times and levels between the samples.

    Periods and levels alternate about their mean by half of what neighbours shall differ; or they
    are drawn from a normal distribution with that mean difference.
    """
    count = int(hz) + 20
    sign = (-1.0) ** np.arange(count)
    if drawn:
        sign = np.random.default_rng(3).standard_normal(count)
        sign *= 2 / np.abs(np.diff(sign)).mean()
    starts = np.cumsum((1 + jitter / 2 * sign) / hz) - 10 / hz
    levels = 10 ** (shimmer_db / 2 * np.roll(sign, 7) / 20)
    time = np.arange(RATE_HZ) / RATE_HZ
    signal = np.zeros(RATE_HZ)
    for start, level in zip(starts, levels, strict=True):
        since = np.maximum(time - start, 0)
        signal += level * since * np.exp(-1200 * since) * np.sin(2 * np.pi * 700 * since)
    return (0.5 * signal / np.abs(signal).max()).astype(np.float32)


def middle(signal: Array) -> npt.NDArray[np.float64]:
    """Means of the columns, away from the ends."""
    return voice_quality(signal)[10:-10].astype(np.float64).mean(axis=0)


def test_a_steady_voice_has_none():
    jitter, shimmer_db, hnr_db, _ = middle(cycles())
    assert jitter < 0.0005
    assert shimmer_db < 0.02
    assert hnr_db > 24  # of pulses, the correction for the window leaves no more


@pytest.mark.parametrize("hz", [90, 120, 200])
@pytest.mark.parametrize("jitter", [0.005, 0.01, 0.02])
def test_jitter_is_measured(jitter: float, hz: float):
    assert middle(cycles(jitter, hz=hz, drawn=True))[JITTER] == pytest.approx(jitter, rel=0.08)


@pytest.mark.parametrize("hz", [90, 120, 200])
@pytest.mark.parametrize("shimmer_db", [0.2, 0.5, 1.0])
def test_shimmer_is_measured(shimmer_db: float, hz: float):
    signal = cycles(0, shimmer_db, hz=hz, drawn=True)
    assert middle(signal)[SHIMMER] == pytest.approx(shimmer_db, rel=0.08)


def test_jitter_and_shimmer_are_told_apart():
    steady, jittered, shimmered = middle(cycles()), middle(cycles(0.02)), middle(cycles(0, 0.8))
    assert jittered[JITTER] > 10 * max(steady[JITTER], shimmered[JITTER])
    assert shimmered[SHIMMER] > 3 * jittered[SHIMMER]


@pytest.mark.parametrize("snr_db", [5, 10, 20])
def test_noise_lowers_the_ratio_to_what_it_is(snr_db: float):
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    voice = sum(np.sin(2 * np.pi * k * 150 * time) for k in (1, 2, 3, 4))
    noise = np.random.default_rng(1).standard_normal(len(time))
    noise *= np.sqrt(2 / 10 ** (snr_db / 10))  # four sines have a mean square of 2
    found = middle((0.05 * (voice + noise)).astype(np.float32))
    assert found[HNR] == pytest.approx(snr_db, abs=1.0)
    assert found[HNR_ACF] < found[HNR]


@settings(deadline=None, max_examples=10)
@given(st.floats(-60, 0), st.floats(-0.3, 0.3), st.sampled_from([-1, 1]))
def test_neither_level_nor_offset_nor_polarity_matters(level_db: float, offset: float, sign: int):
    signal = cycles(0.01, 0.4, drawn=True)
    other = (signal * sign * 10 ** (level_db / 20) + offset).astype(np.float32)
    np.testing.assert_allclose(middle(other)[:2], middle(signal)[:2], rtol=0.1)


@pytest.mark.parametrize("silent", [0.0, 0.4])
def test_silence_has_nothing_to_measure(silent: float):
    table = voice_quality(np.full(8000, silent, np.float32))
    assert table.shape == (51, 4) == (51, len(COLUMNS))
    assert table.dtype == np.float32
    assert not table.any()


def test_only_voiced_frames_have_values():
    silence = np.zeros(RATE_HZ // 2, np.float32)
    signal = np.concatenate([silence, cycles(0.01, 0.3), silence])
    table, pitch = voice_quality(signal), f0(signal)
    assert np.isfinite(table).all()
    assert not table[pitch[:, 0] == 0].any()
    assert table[60:140].all()


def test_a_clipped_voice_is_finite():
    assert np.isfinite(voice_quality(np.clip(8 * cycles(0.02, 1), -1, 1))).all()


def test_the_pitch_may_be_given():
    signal = cycles(0.01, 0.3)
    np.testing.assert_array_equal(voice_quality(signal, f0(signal)), voice_quality(signal))
    with pytest.raises(ValueError, match=r"need \(101, 2\)"):
        voice_quality(signal, f0(signal)[:50])


def test_a_range_that_is_none():
    with pytest.raises(ValueError, match="allowed: 40 to 1000 Hz"):
        voice_quality(cycles(), lowest_hz=10)


def test_what_is_no_signal():
    with pytest.raises(AudioError, match="need at least"):
        voice_quality(np.zeros(1, np.float32))
    with pytest.raises(AudioError, match="NaN"):
        voice_quality(np.full(8000, np.nan, np.float32))


def ranks_together(ours: list[float], theirs: list[float]) -> float:
    """Spearman's rank correlation."""
    order = [np.argsort(np.argsort(values)) for values in (ours, theirs)]
    return float(np.corrcoef(*order)[0, 1])


def test_voices_rank_as_by_praat_and_gemaps(corpus_dir: Callable[[str], Path]):
    """Means of 40 clips of EmoDB. GeMAPS' own jitter ranks unlike Praat's (0.4), so unlike ours."""
    praat = pytest.importorskip("parselmouth")
    smile = pytest.importorskip("opensmile").Smile("eGeMAPSv02", "func")
    folder = corpus_dir("emodb")
    with (folder / "index.csv").open(newline="") as table:
        names = [row["file"] for row in csv.DictReader(table)][3::13][:40]
    ours, praats, gemaps = [], [], []
    for name in names:
        signal = read_audio(folder / name)
        table = voice_quality(signal)
        ours.append(table[table[:, HNR] != 0].mean(axis=0))
        praats.append(by_praat(praat, signal))
        row = smile.process_signal(signal, RATE_HZ).iloc[0]
        gemaps.append([row[f"{part}_sma3nz_amean"] for part in ("shimmerLocaldB", "HNRdBACF")])
    own, other, third = (np.array(rows).T for rows in (ours, praats, gemaps))
    assert ranks_together(own[JITTER], other[0]) > 0.9
    assert ranks_together(own[SHIMMER], other[1]) > 0.75
    assert ranks_together(own[HNR], other[2]) > 0.75
    assert ranks_together(own[SHIMMER], third[0]) > 0.5
    assert ranks_together(own[HNR_ACF], third[1]) > 0.9


def by_praat(praat, signal: Array) -> list[float]:
    """Local jitter, local shimmer in dB and harmonicity of a voice."""
    sound = praat.Sound(signal.astype(np.float64), RATE_HZ)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=75, pitch_ceiling=600)
    call = praat.praat.call
    marks = call([sound, pitch], "To PointProcess (cc)")
    span = (0, 0, 0.0001, 0.02, 1.3)
    level = sound.to_harmonicity_cc(time_step=0.01, minimum_pitch=75).values
    return [
        call(marks, "Get jitter (local)", *span),
        call([sound, marks], "Get shimmer (local_dB)", *span, 1.6),
        level[level > -100].mean(),
    ]
