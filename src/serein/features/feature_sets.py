"""Every feature set by its name: what its columns are, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from serein.audio.frames import Array
from serein.audio.read import check_signal
from serein.features import cepstral, descriptors, expert, formants, loudness, pitch, voice_quality
from serein.features.functionals import normalise_utterance, pool

MEL_BANDS = 40


@dataclass(frozen=True)
class FeatureSet:
    """What is known of a feature set.

    Attributes
    ----------
    columns : tuple of str
        Names with units.
    series : callable, optional
        Signal to (time, feature), 100 frames a second.
    vector : callable, optional
        Signal to (feature,), for sets that describe whole recordings.
    zeros_are_gaps : bool
        Whether 0 in a frame means that there was nothing to measure.
    """

    columns: tuple[str, ...]
    series: Callable[[Array], Array] | None = None
    vector: Callable[[Array], Array] | None = None
    zeros_are_gaps: bool = False


def _mfcc_change(order: int) -> Callable[[Array], Array]:
    return lambda signal: cepstral.deltas(cepstral.mfcc(signal), order=order)


def _rhythm(signal: Array) -> Array:
    return np.array(
        [*pitch.speaking_rate(signal).values(), *pitch.pauses(signal).values()], np.float32
    )


def _decades(power: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Take the logarithm to base 10 of a power series, 100 dB deep."""
    return lambda signal: np.log10(np.maximum(power(signal), 1e-10))


_RHYTHM = (
    *("syllables_per_s", "syllables_per_voiced_s"),
    *("pauses_per_s", "pause_mean_s", "pause_share"),
)
_MFCC = tuple(cepstral.COLUMNS["mfcc"])

SETS: dict[str, FeatureSet] = {
    **{name: FeatureSet(columns) for name, columns in descriptors.COLUMNS.items()},
    "power": FeatureSet(
        tuple(f"power_{round(hz)}_hz" for hz in descriptors.BINS_HZ), descriptors.power_spectrogram
    ),
    "mel": FeatureSet(
        tuple(f"mel_{k}" for k in range(1, MEL_BANDS + 1)), descriptors.mel_spectrogram
    ),
    "log_power": FeatureSet(
        tuple(f"log_power_{round(hz)}_hz" for hz in descriptors.BINS_HZ),
        _decades(descriptors.power_spectrogram),
    ),
    "log_mel": FeatureSet(
        tuple(f"log_mel_{k}" for k in range(1, MEL_BANDS + 1)),
        _decades(descriptors.mel_spectrogram),
    ),
    "mfcc": FeatureSet(_MFCC, cepstral.mfcc),
    "mfcc_delta": FeatureSet(tuple(f"{name}_delta" for name in _MFCC), _mfcc_change(1)),
    "mfcc_delta2": FeatureSet(tuple(f"{name}_delta2" for name in _MFCC), _mfcc_change(2)),
    "lpc": FeatureSet(tuple(cepstral.COLUMNS["lpc"]), cepstral.lpc),
    "lpcc": FeatureSet(tuple(cepstral.COLUMNS["lpcc"]), cepstral.lpcc),
    "plp": FeatureSet(tuple(cepstral.COLUMNS["plp"]), cepstral.plp),
    "f0": FeatureSet(tuple(pitch.COLUMNS["f0"]), pitch.f0, zeros_are_gaps=True),
    "intensity": FeatureSet(tuple(pitch.COLUMNS["intensity"]), pitch.intensity),
    "formants": FeatureSet(
        tuple(formants.COLUMNS["formants"]), formants.formants, zeros_are_gaps=True
    ),
    "voice_quality": FeatureSet(
        tuple(voice_quality.COLUMNS["voice_quality"]),
        voice_quality.voice_quality,
        zeros_are_gaps=True,
    ),
    "loudness": FeatureSet(loudness.COLUMNS["loudness"], loudness.loudness),
    "balance": FeatureSet(loudness.COLUMNS["balance"], loudness.balance),
    "rhythm": FeatureSet(_RHYTHM, vector=_rhythm),
    "expert": FeatureSet(tuple(f"expert_{name}" for name in expert.COLUMNS), vector=expert.expert),
}
"""Name -> what it is; those of `descriptors` share one spectrogram."""


def series(signal: Array, names: Sequence[str]) -> dict[str, Array]:
    """Compute feature sets of a signal.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz.
    names : sequence of str
        Keys of `SETS`.

    Returns
    -------
    dict of str to numpy.ndarray
        In the order of the names: shape (1 + samples // 160, columns), or (columns,) for sets that
        describe whole recordings.

    Raises
    ------
    AudioError
        If the signal is not one.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32)
    >>> {name: values.shape for name, values in series(tone, ["f0", "spectral_flux"]).items()}
    {'f0': (101, 2), 'spectral_flux': (101, 1)}
    """
    signal = check_signal(signal)
    shared = descriptors.describe(signal, [name for name in names if name in descriptors.COLUMNS])
    found = {}
    for name in names:
        about = SETS[name]
        compute = about.vector or about.series
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

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz.
    names : sequence of str
        Keys of `SETS`.
    functionals : sequence of str, optional
        How series are pooled; a series is given if there are none. Sets that describe whole
        recordings stay as they are.
    utterance_normalisation : bool
        Whether each column of a series is first brought to mean 0 and variance 1.

    Returns
    -------
    numpy.ndarray
        Shape (time, feature), or (feature,) if `functionals` are given.

    Raises
    ------
    AudioError
        If the signal is not one.
    """
    parts = []
    for name, values in series(signal, names).items():
        about = SETS[name]
        if about.vector is None:
            gaps = about.zeros_are_gaps
            rows = (
                normalise_utterance(values, zeros_are_gaps=gaps)
                if utterance_normalisation
                else values
            )
            if functionals is not None:
                rows = pool(rows, functionals=functionals, zeros_are_gaps=gaps)
            parts.append(rows)
        else:
            parts.append(values)
    return np.concatenate(parts, axis=-1)
