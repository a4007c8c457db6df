"""The expert set: some hundred measures of a voice, each with a name and a meaning.

Like eGeMAPS (F. Eyben et al., IEEE Transactions on Affective Computing 7(2), 2016), it has few
measures, chosen for what is known of emotion in voices. It is written anew, under this project's
licence, and gives other numbers; `bench/expert.py` compares the two.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from serein.audio.frames import (
    FRAMES_PER_S,
    Array,
    Flags,
    power_spectra,
    runs,
    some_frames,
)
from serein.audio.read import RATE_HZ, check_signal
from serein.features import cepstral, loudness, voice_quality
from serein.features.descriptors import describe
from serein.features.formants import formants
from serein.features.functionals import pool
from serein.features.pitch import f0
from serein.features.spectral import MIN_POWER

HARMONICS = ("h1_h2_db", "h1_a3_db", "f1_level_db", "f2_level_db", "f3_level_db")
LENGTH = 960  # samples: 60 ms, several periods of the lowest voice
FFT_SIZE = 2048
CACHE_FRAMES = 64  # frames whose spectra stay in the processor's cache
SEARCH_WIDTH = 0.25  # of F0, on each side of a harmonic
MIN_LEVEL_DB = -100.0
SEMITONE_ZERO_HZ = 27.5  # A0, the lowest key of a piano
LEVELS = ("mean", "std", "p20", "p50", "p80", "range")
SLOPES = ("rise_mean", "rise_std", "fall_mean", "fall_std")
SPREAD = ("mean", "std")
MFCC_COUNT = 12
MIN_DIP = 0.05  # of the greatest loudness, between two peaks

FORMANTS = tuple(f"{kind}{k}_hz" for kind in "fb" for k in (1, 2, 3))
VOICE = (*voice_quality.COLUMNS, *HARMONICS, *FORMANTS)
SPECTRUM = (*loudness.BALANCE, "flux")
CEPSTRUM = tuple(f"mfcc_{k}" for k in range(1, MFCC_COUNT + 1))
RHYTHM = (
    "loudness_peaks_per_s",
    "voiced_stretches_per_s",
    "voiced_stretch_s_mean",
    "voiced_stretch_s_std",
    "unvoiced_stretch_s_mean",
    "unvoiced_stretch_s_std",
    "voiced_share",
)


def _named(columns: tuple[str, ...], words: tuple[str, ...], where: str = "") -> tuple[str, ...]:
    return tuple(f"{column}{where}_{word}" for word in words for column in columns)


COLUMNS = (
    *_named(("f0_semitones",), LEVELS + SLOPES),
    *_named(("loudness",), LEVELS + SLOPES),
    *_named(VOICE, SPREAD),
    *_named(SPECTRUM, SPREAD, "_voiced"),
    *_named(SPECTRUM, SPREAD, "_unvoiced"),
    *_named(CEPSTRUM, SPREAD),
    *_named(CEPSTRUM, ("delta_std",)),
    *RHYTHM,
)
"""Names of the columns, in order."""


def harmonics(signal: Array, f0_hz: Array, formants_hz: Array) -> Array:
    """Compute `HARMONICS`, levels of harmonics relative to the first, (frames, 5); 0 if unvoiced.

    H. M. Hanson, "Glottal characteristics of female speakers: acoustic correlates", Journal of the
    Acoustical Society of America 101(1), 1997.
    """
    signal = check_signal(signal)
    result = np.zeros((len(f0_hz), len(HARMONICS)), dtype=np.float32)
    voiced = np.flatnonzero(f0_hz)
    for first in range(0, voiced.size, CACHE_FRAMES):
        rows = voiced[first : first + CACHE_FRAMES]
        power = power_spectra(some_frames(signal, rows, LENGTH), fft_size=FFT_SIZE)
        result[rows] = _relative_levels(power, f0_hz[rows], formants_hz[rows, :3])
    return result


def _relative_levels(power: Array, f0_hz: Array, formants_hz: Array) -> Array:
    first_db = _peak_db(power, f0_hz, f0_hz)
    h1_h2 = first_db - _peak_db(power, 2 * f0_hz, f0_hz)
    number = np.maximum(1, np.round(formants_hz / f0_hz[:, None]))
    strongest = [_peak_db(power, n * f0_hz, f0_hz) - first_db for n in number.T]
    levels = np.where(formants_hz > 0, np.stack(strongest, axis=1), 0)
    result: Array = np.column_stack([h1_h2, -levels[:, 2], levels]).astype(np.float32)
    return np.maximum(result, MIN_LEVEL_DB, out=result)


def _peak_db(power: Array, centre_hz: Array, f0_hz: Array) -> Array:
    """Find the highest level within a quarter of F0 around a frequency, (frames,)."""
    bin_hz, last = RATE_HZ / FFT_SIZE, power.shape[1] - 1
    reach = int(SEARCH_WIDTH * float(f0_hz.max()) / bin_hz) + 1
    around = np.rint(centre_hz / bin_hz).astype(np.intp)[:, None] + np.arange(-reach, reach + 1)
    near = np.abs(around * bin_hz - centre_hz[:, None]) <= SEARCH_WIDTH * f0_hz[:, None]
    near &= (around >= 0) & (around <= last)
    values = np.take_along_axis(power, np.clip(around, 0, last), axis=1)
    highest = np.max(values, axis=1, where=near, initial=0)
    highest = np.where(near.any(axis=1), highest, power[:, -1])  # above the spectrum: its last bin
    level: Array = 10 * np.log10(highest + np.float32(MIN_POWER))
    return level


def expert(signal: Array) -> Array:
    """Compute the expert set of a recording.

    Returns: shape (len(COLUMNS),), float32. Measures of the voice are 0 if nothing is voiced. F0 is
    in semitones above 27.5 Hz, slopes are per second.
    """
    signal = check_signal(signal)
    pitch = f0(signal)
    voiced = pitch[:, 0] > 0
    loud = loudness.loudness(signal)
    spectrum = np.hstack(
        [loudness.balance(signal), describe(signal, ["spectral_flux"])["spectral_flux"]]
    )
    cepstrum = cepstral.mfcc(signal, count=MFCC_COUNT + 1)[:, 1:]
    parts = [
        _contour(_semitones(pitch[voiced, :1])),
        _contour(loud),
        _pooled(_voice(signal, pitch)[voiced], gaps=True),
        _pooled(spectrum[voiced]),
        _pooled(spectrum[~voiced]),
        _pooled(cepstrum),
        cepstral.deltas(cepstrum).std(axis=0),
        _rhythm(voiced, loud[:, 0]),
    ]
    return np.concatenate(parts).astype(np.float32)


def _semitones(f0_hz: Array) -> Array:
    return 12 * np.log2(f0_hz / SEMITONE_ZERO_HZ)


def _voice(signal: Array, pitch: Array) -> Array:
    tracks = formants(signal, where=pitch[:, 0] > 0)
    strength = harmonics(signal, pitch[:, 0], tracks)
    return np.hstack(
        [voice_quality.voice_quality(signal, pitch), strength, tracks[:, [0, 1, 2, 5, 6, 7]]]
    )


def _pooled(series: Array, *, gaps: bool = False) -> Array:
    if not len(series):
        return np.zeros(2 * series.shape[1], np.float32)
    return pool(series, functionals=SPREAD, zeros_are_gaps=gaps)


def _contour(series: Array) -> Array:
    """Compute `LEVELS` and `SLOPES` of a contour, (frames, 1)."""
    if len(series) < 2:
        return np.zeros(len(LEVELS) + len(SLOPES), np.float32)
    steps = np.diff(series[:, 0]) * FRAMES_PER_S
    slopes = [part for side in (steps[steps > 0], steps[steps < 0]) for part in _mean_std(side)]
    return np.concatenate([pool(series, functionals=LEVELS), slopes])


def _mean_std(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    return (float(values.mean()), float(values.std())) if values.size else (0.0, 0.0)


def _rhythm(voiced: Flags, loud: Array) -> Array:
    seconds = len(voiced) / FRAMES_PER_S
    smooth = np.convolve(loud, np.hanning(9) / np.hanning(9).sum(), mode="same")
    voiced_s, unvoiced_s = _durations_s(voiced), _durations_s(~voiced)
    return np.array(
        [
            _peaks(smooth.tolist(), MIN_DIP * float(smooth.max())) / seconds,
            len(voiced_s) / seconds,
            *_mean_std(voiced_s),
            *_mean_std(unvoiced_s),
            voiced.mean(),
        ],
        dtype=np.float32,
    )


def _peaks(level: list[float], dip: float) -> int:
    """Count the peaks of a curve between which it falls by at least `dip`."""
    count, rising, extreme = 0, True, 0.0
    for value in [*level, 0.0] if dip > 0 else []:
        extreme = max(extreme, value) if rising else min(extreme, value)
        if rising and value < extreme - dip:
            count, rising, extreme = count + 1, False, value
        elif not rising and value > extreme + dip:
            rising, extreme = True, value
    return count


def _durations_s(flags: Flags) -> npt.NDArray[np.float64]:
    """Give the lengths of the runs of True, in seconds."""
    return np.diff(runs(flags), axis=1).ravel() / FRAMES_PER_S
