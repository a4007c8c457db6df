"""SETS: every feature set by its name; one or several computed for a signal; groups of columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from serein.audio.frames import Array
from serein.audio.read import check_signal
from serein.features import cepstral, descriptors, expert, formants, loudness, pitch, voice_quality
from serein.features.descriptors import numbered
from serein.features.functionals import normalise_utterance, pool
from serein.features.spectral import (
    BANDS,
    BINS_HZ,
    MIN_POWER,
    mel_spectrogram,
    power_spectrogram,
)


@dataclass(frozen=True)
class FeatureSet:
    """A feature set: the names of its columns, and the function that computes it."""

    columns: tuple[str, ...]  # names with units
    series: Callable[[Array], Array] | None = None  # signal to (time, feature), 100 frames a second
    vector: Callable[[Array], Array] | None = None  # signal to (feature,), of a whole recording
    zeros_are_gaps: bool = False  # whether 0 means that there was nothing to measure in a frame


def _mfcc_deltas(order: int) -> Callable[[Array], Array]:
    return lambda signal: cepstral.deltas(cepstral.mfcc(signal), order=order)


def _rhythm(signal: Array) -> Array:
    measures = pitch.speaking_rate(signal) | pitch.pauses(signal)
    return np.array(list(measures.values()), np.float32)


def _log10(power: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda signal: np.log10(np.maximum(power(signal), MIN_POWER))


_BINS = tuple(f"power_{round(hz)}_hz" for hz in BINS_HZ)
_MELS = numbered("mel", BANDS)
_MFCC = numbered("mfcc", 13)
_RHYTHM = (
    *("syllables_per_s", "syllables_per_voiced_s"),
    *("pauses_per_s", "pause_mean_s", "pause_share"),
)
_FORMANTS = tuple(f"{kind}{k}_hz" for kind in "fb" for k in range(1, 6))  # and their bandwidths

SETS: dict[str, FeatureSet] = {
    **{name: FeatureSet(columns) for name, columns in descriptors.COLUMNS.items()},
    "power": FeatureSet(_BINS, power_spectrogram),
    "mel": FeatureSet(_MELS, mel_spectrogram),
    "log_power": FeatureSet(tuple(f"log_{name}" for name in _BINS), _log10(power_spectrogram)),
    "log_mel": FeatureSet(tuple(f"log_{name}" for name in _MELS), _log10(mel_spectrogram)),
    "mfcc": FeatureSet(_MFCC, cepstral.mfcc),
    "mfcc_delta": FeatureSet(tuple(f"{name}_delta" for name in _MFCC), _mfcc_deltas(1)),
    "mfcc_delta2": FeatureSet(tuple(f"{name}_delta2" for name in _MFCC), _mfcc_deltas(2)),
    "lpc": FeatureSet(numbered("lpc", 16), cepstral.lpc),
    "lpcc": FeatureSet(numbered("lpcc", 13), cepstral.lpcc),
    "plp": FeatureSet(numbered("plp", 13), cepstral.plp),
    "f0": FeatureSet(("f0_hz", "voicing"), pitch.f0, zeros_are_gaps=True),
    "intensity": FeatureSet(("intensity_db",), pitch.intensity),
    "formants": FeatureSet(_FORMANTS, formants.formants, zeros_are_gaps=True),
    "voice_quality": FeatureSet(
        voice_quality.COLUMNS, voice_quality.voice_quality, zeros_are_gaps=True
    ),
    "loudness": FeatureSet(("loudness",), loudness.loudness),
    "balance": FeatureSet(loudness.BALANCE, loudness.balance),
    "rhythm": FeatureSet(_RHYTHM, vector=_rhythm),
    "expert": FeatureSet(tuple(f"expert_{name}" for name in expert.COLUMNS), vector=expert.expert),
}
"""Name -> feature set; those of `descriptors` share one spectrogram."""


def series(signal: Array, names: Sequence[str]) -> dict[str, Array]:
    """Compute feature sets of a signal.

    `names`: keys of `SETS`.
    Returns: arrays in the order of the names, of shape (1 + samples // 160, columns), or (columns,)
    for sets that describe whole recordings.
    """
    signal = check_signal(signal)
    shared = descriptors.describe(signal, [name for name in names if name in descriptors.COLUMNS])
    found = {}
    for name in names:
        compute = SETS[name].vector or SETS[name].series
        found[name] = shared[name] if compute is None else compute(signal)
    return found


def describe(
    signal: Array,
    names: Sequence[str],
    *,
    functionals: Sequence[str] | None = None,
    utterance_normalisation: bool = False,
) -> Array:
    """Put feature sets of a signal side by side, as a series or pooled to one vector.

    `names`: keys of `SETS`; `functionals`: how series are pooled; not pooled if None. Sets that
    describe whole recordings are vectors already; `utterance_normalisation`: whether each column of
    a series is first brought to mean 0 and variance 1.
    Returns: shape (time, feature), or (feature,) if `functionals` are given.
    """

    def prepared(name: str, values: Array) -> Array:
        gaps = SETS[name].zeros_are_gaps
        if SETS[name].vector is not None:
            return values
        if utterance_normalisation:
            values = normalise_utterance(values, zeros_are_gaps=gaps)
        if functionals is None:
            return values
        return pool(values, functionals=functionals, zeros_are_gaps=gaps)

    computed = series(signal, names).items()
    return np.concatenate([prepared(name, values) for name, values in computed], axis=-1)


GROUPS = {  # group -> start of a column's name; the first match counts
    "rhythm and pauses": r"syllables|pause|(un)?voiced_s|loudness_peaks",
    "pitch (F0)": r"f0_",
    "voicing": r"voicing",
    "loudness": r"loudness|intensity|rms_energy",
    "jitter": r"jitter",
    "shimmer": r"shimmer",
    "harmonics to noise": r"hnr",
    "harmonics, formant levels": r"h1_|f\d_level",
    "formants": r"f\d_hz",
    "formant bandwidths": r"b\d_hz",
    "spectral balance": r"alpha_ratio|hammarberg|slope_",
    "spectral change": r"(spectral_)?flux",
    "spectral contrast": r"spectral_contrast",
    "spectral shape": r"spectral_|zero_crossing_rate",
    "changes of MFCC": r"mfcc_\d+_delta",
    "MFCC": r"mfcc_",
    "linear prediction": r"lpcc?_",
    "perceptual prediction": r"plp_",
    "chroma": r"chroma",
    "spectrum": r"(log_)?(power|mel)_",
}


def group_columns(sets: Sequence[str], functionals: Sequence[str]) -> dict[str, list[int]]:
    """Group the columns of a vector of feature sets: group -> their numbers."""
    columns: list[str] = []
    for name in sets:
        times = 1 if SETS[name].vector is not None else len(functionals)
        columns += SETS[name].columns * times
    groups: dict[str, list[int]] = {}
    for number, column in enumerate(columns):
        groups.setdefault(_group(column.removeprefix("expert_")), []).append(number)
    return groups


def _group(column: str) -> str:
    return next((name for name, words in GROUPS.items() if re.match(words, column)), column)
