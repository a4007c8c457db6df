"""The expert set: by construction, and beside openSMILE's eGeMAPSv02 on EmoDB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from serein.audio.read import RATE_HZ, read_audio
from serein.corpora import Corpus
from serein.features.expert import COLUMNS, expert

TIME_S = np.arange(2 * RATE_HZ) / RATE_HZ

AT_LEAST = {  # openSMILE's counterpart -> rank correlation
    "f0_semitones_mean": ("F0semitoneFrom27.5Hz_sma3nz_amean", 0.95),
    "f0_semitones_p50": ("F0semitoneFrom27.5Hz_sma3nz_percentile50.0", 0.95),
    "loudness_mean": ("loudness_sma3_amean", 0.95),
    "hammarberg_db_voiced_mean": ("hammarbergIndexV_sma3nz_amean", 0.9),
    "mfcc_1_mean": ("mfcc1_sma3_amean", 0.95),
    "hnr_acf_db_mean": ("HNRdBACF_sma3nz_amean", 0.9),
}


def buzz(hz: float | np.ndarray, gain: float | np.ndarray = 0.1) -> np.ndarray:
    phase = np.cumsum(np.broadcast_to(hz, TIME_S.shape)) / RATE_HZ
    return (gain * sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 20))).astype(np.float32)


def measured(signal: np.ndarray) -> dict[str, float]:
    return dict(zip(COLUMNS, expert(signal).tolist(), strict=True))


def test_pitch_is_in_semitones() -> None:
    low, high = measured(buzz(110)), measured(buzz(220))
    assert low["f0_semitones_mean"] == pytest.approx(24, abs=0.1)
    assert high["f0_semitones_mean"] - low["f0_semitones_mean"] == pytest.approx(12, abs=0.1)
    assert low["f0_semitones_range"] < 0.1


def test_a_rising_voice_has_rising_slopes() -> None:
    octave_in_two_seconds = measured(buzz(110 * 2 ** (TIME_S / 2)))
    assert octave_in_two_seconds["f0_semitones_rise_mean"] == pytest.approx(6, rel=0.1)
    assert octave_in_two_seconds["f0_semitones_range"] == pytest.approx(12 * 0.6, rel=0.1)


def test_loudness_follows_the_gain() -> None:
    quiet, loud = measured(buzz(150, 0.02)), measured(buzz(150, 0.2))
    assert loud["loudness_mean"] > 3 * quiet["loudness_mean"]
    assert loud["f0_semitones_mean"] == pytest.approx(quiet["f0_semitones_mean"], abs=0.01)


def test_rhythm_counts_what_is_there() -> None:
    on = (TIME_S % 0.5) < 0.25
    rhythm = measured(buzz(150, 0.1 * on))
    assert rhythm["voiced_stretches_per_s"] == pytest.approx(2, abs=0.1)
    assert rhythm["loudness_peaks_per_s"] == pytest.approx(2, abs=0.6)
    assert rhythm["voiced_stretch_s_mean"] == pytest.approx(0.25, abs=0.05)
    assert rhythm["voiced_share"] == pytest.approx(0.5, abs=0.1)


def test_a_brighter_voice_has_less_energy_below_1_khz() -> None:
    dull, bright = buzz(150), np.diff(buzz(150), prepend=0).astype(np.float32)
    for name in ("alpha_ratio_db_voiced_mean", "hammarberg_db_voiced_mean"):
        assert measured(bright)[name] < measured(dull)[name] - 3


@pytest.mark.parametrize("seconds", [0.1, 2.0])
def test_without_voice_measures_of_the_voice_are_0(seconds: float) -> None:
    silence = measured(np.zeros(round(seconds * RATE_HZ), np.float32))
    assert silence["f0_semitones_mean"] == silence["jitter_local_mean"] == 0
    assert silence["voiced_share"] == silence["loudness_peaks_per_s"] == 0


@pytest.fixture(scope="module")
def beside(corpora_dir: Path) -> Callable[[str, str], float]:
    opensmile = pytest.importorskip("opensmile")
    if not (corpora_dir / "emodb").is_dir():
        pytest.skip(f"emodb corpus not found at {corpora_dir}; set SEREIN_CORPORA")
    files = Corpus.load("emodb", corpora_dir).paths[::9]
    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1
    )
    signals = [read_audio(file) for file in files]
    ours = np.stack([expert(signal) for signal in signals])
    theirs = [smile.process_signal(signal, RATE_HZ).iloc[0] for signal in signals]

    def correlation(column: str, counterpart: str) -> float:
        pair = ours[:, COLUMNS.index(column)], [row[counterpart] for row in theirs]
        return float(scipy.stats.spearmanr(*pair).statistic)

    return correlation


@pytest.mark.filterwarnings("ignore")  # openSMILE's reader warns of its own insides
@pytest.mark.parametrize("column", AT_LEAST)
def test_ranks_clips_as_opensmile_does(beside: Callable[[str, str], float], column: str) -> None:
    counterpart, least = AT_LEAST[column]
    assert beside(column, counterpart) >= least
