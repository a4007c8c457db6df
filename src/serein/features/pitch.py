"""Pitch and rhythm: fundamental frequency, intensity, speaking rate and pauses; numpy alone.

`bench/praat.py` compares F0 with Praat's; the network swift_f0 was less exact and slower.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from serein.audio.frames import BLOCK_FRAMES, HOP, Array, Flags, Spectrum, per_block
from serein.audio.read import RATE_HZ, check_signal
from serein.errors import SettingError

Rows = npt.NDArray[np.intp]

CANDIDATES = 8  # lags of each frame; Boersma keeps 15, of which the last never win
CACHE_FRAMES = 75  # frames whose spectra stay in the processor's cache
VOICING_THRESHOLD = 0.45
SILENCE_THRESHOLD = 0.03
OCTAVE_COST = 0.01
OCTAVE_JUMP_COST = 0.35  # for each octave between two voiced frames
VOICING_COST = 0.14  # for a change between voiced and unvoiced
TAPS = 12  # samples on each side for the interpolation of the autocorrelation
REFERENCE = 2e-5  # of full scale, as in Praat: a full-scale square wave has 94 dB
SPEECH_RANGE_DB = 25.0  # frames further under the loudest are pauses


def f0(signal: Array, *, lowest_hz: float = 75, highest_hz: float = 600) -> Array:
    """Track the fundamental frequency of the voice.

    A frame is three of the longest periods under a Hann window. Its autocorrelation, divided by the
    window's, has a peak at the period. Dynamic programming finds the path of peaks that is strong
    and smooth over the whole signal.

    `lowest_hz, highest_hz`: search range, 40 to 1000 Hz, at least an octave.
    Returns: shape (1 + samples // 160, 2), float32: the frequency in Hz, 0 where unvoiced, and the
    height of the autocorrelation at the period, 0 to 1.
    Source: P. Boersma, "Accurate short-term analysis of the fundamental frequency and the
    harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993, equation 9.
    """
    if not 40 <= lowest_hz <= highest_hz / 2 <= 500:
        raise SettingError(
            f"pitch between {lowest_hz} and {highest_hz} Hz; allowed: 40 to 1000 Hz, at least an "
            "octave"
        )
    checked = check_signal(signal)
    found = _candidates(checked, lowest_hz, highest_hz)
    frequency, strength, score = found[..., 0], found[..., 1], found[..., 2]
    path = _best_path(frequency, score)
    rows = np.arange(len(path))
    voiced = frequency[rows, path] > 0
    height = np.where(voiced, strength[rows, path], strength.max(axis=1))
    return np.stack([frequency[rows, path], height], axis=1)


def _candidates(signal: Array, lowest_hz: float, highest_hz: float) -> Array:
    """Find frequency in Hz, strength and score, (frames, candidates, 3); the first is unvoiced."""
    length = 2 * round(1.5 * RATE_HZ / lowest_hz)
    shortest, longest = int(RATE_HZ / highest_hz), int(RATE_HZ / lowest_hz) + 1
    mean = signal.mean()
    peak = float(max(signal.max() - mean, mean - signal.min()))
    fft_size = -(-(length + longest + TAPS + 2) // 64) * 64
    # written anew for each block: fresh memory costs more than what is computed in it
    work = np.zeros((CACHE_FRAMES, fft_size), np.float32)
    spectrum = np.empty((CACHE_FRAMES, fft_size // 2 + 1), np.complex64)

    def analyse(block: Array) -> Array:
        frames, rest = work[: len(block), :length], work[: len(block), length:]
        np.subtract(block, block.mean(axis=1, keepdims=True), out=frames)
        rest[:] = 0
        middle = frames[:, length // 4 : -length // 4]
        loud = np.maximum(middle.max(axis=1), -middle.min(axis=1)) / max(peak, 1e-30)
        r = _autocorrelation(work[: len(block)], spectrum[: len(block)], length)
        row, place, lag, strength = _peaks(r[:, : longest + TAPS + 2], shortest, longest)
        inside = (lag > RATE_HZ / highest_hz) & (lag < RATE_HZ / lowest_hz)
        row, place, lag, strength = row[inside], place[inside], lag[inside], strength[inside]
        score = strength - np.float32(OCTAVE_COST) * np.log2(lag * np.float32(lowest_hz / RATE_HZ))
        table = np.zeros((len(block), CANDIDATES + 1, 3), dtype=np.float32)
        table[:, 1:, 2] = -10  # where there is no peak: it is never chosen
        table[row, place + 1] = np.stack([RATE_HZ / lag, strength, score], axis=1)
        quiet = 2 - loud * (1 + VOICING_THRESHOLD) / SILENCE_THRESHOLD
        table[:, 0, 2] = VOICING_THRESHOLD + np.maximum(0, quiet)
        return table

    def in_cache(block: Array) -> Array:
        return np.concatenate(
            [analyse(few) for few in np.array_split(block, -(-len(block) // CACHE_FRAMES))]
        )

    return per_block(signal, in_cache, length)


@lru_cache(maxsize=4)
def _hann(length: int, fft_size: int) -> tuple[Array, Array]:
    """Make the window, and the reciprocal of its normalised autocorrelation."""
    weights = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(length) + 0.5) / length)
    own = np.fft.irfft(np.abs(np.fft.rfft(weights, fft_size)) ** 2)[: fft_size - length]
    return weights.astype(np.float32), (own[0] / own).astype(np.float32)


def _autocorrelation(work: Array, spectrum: Spectrum, length: int) -> Array:
    """Compute the normalised autocorrelation, (frames, lags), equation 9; 0 in silence.

    `work`: (frames, FFT size), frames of a length less their mean, and zeros; `spectrum`: (frames,
    bins). Both are overwritten.
    """
    fft_size = work.shape[1]
    weights, unbias = _hann(length, fft_size)
    work[:, :length] *= weights
    np.fft.rfft(work, axis=1, out=spectrum)  # type: ignore[arg-type]  # typed for doubles alone
    parts = spectrum.view(np.float32).reshape(*spectrum.shape, 2)
    np.square(parts, out=parts)
    parts[..., 0] += parts[..., 1]
    parts[..., 1] = 0
    np.fft.irfft(spectrum, fft_size, axis=1, out=work)  # type: ignore[arg-type]
    r = work[:, : unbias.size]
    loudest = np.maximum(r[:, :1], np.float32(1e-12))
    r *= unbias
    r /= loudest
    return r


@lru_cache(maxsize=1)
def _sinc() -> Array:
    """Build the windowed sinc for 9 points within a sample of a lag, (taps, points)."""
    distance = np.arange(-TAPS, TAPS + 1)[:, None] - np.linspace(-1, 1, 9)
    taper = 0.5 + 0.5 * np.cos(np.pi * distance / (TAPS + 2))
    return (np.sinc(distance) * taper).astype(np.float32)


def _peaks(r: Array, shortest: int, longest: int) -> tuple[Rows, Rows, Array, Array]:
    """Find the highest peaks of each row: its number, place among its peaks, lag and height.

    Peaks are interpolated to a quarter of a sample before a parabola is fitted: a parabola through
    three samples is wrong by some per cent where the voice has high partials.
    """
    middle = r[:, shortest : longest + 1]
    is_peak = middle > VOICING_THRESHOLD / 2
    is_peak &= middle > r[:, shortest - 1 : longest]
    is_peak &= middle >= r[:, shortest + 1 : longest + 2]
    row, lag = np.nonzero(is_peak)
    place = _place_in_row(row, len(r))
    if place.max(initial=0) >= CANDIDATES:
        row, lag = _highest(row, lag, middle[row, lag] - _octave_cost(shortest, longest)[lag])
        place = _place_in_row(row, len(r))
    lag += shortest
    fine = np.lib.stride_tricks.sliding_window_view(r, 2 * TAPS + 1, axis=1)[row, lag - TAPS]
    fine = fine @ _sinc()
    top = fine[:, 1:-1].argmax(axis=1) + 1
    offset, strength = _parabola(fine, top)
    strength = np.where(strength > 1, 1 / np.maximum(strength, 1), strength)
    return row, place, (lag + (top + offset - 4) / 4).astype(np.float32), strength


def _place_in_row(row: Rows, rows: int) -> Rows:
    """Count the entries of the same row before each; `row` rises."""
    count = np.bincount(row, minlength=rows)
    first: Rows = np.cumsum(count) - count
    return np.arange(len(row)) - first[row]


@lru_cache(maxsize=4)
def _octave_cost(shortest: int, longest: int) -> Array:
    """Weigh lags: of two peaks as high, that of the shorter lag is the period."""
    return (OCTAVE_COST * np.log2(np.arange(shortest, longest + 1))).astype(np.float32)


def _highest(row: Rows, lag: Rows, height: Array) -> tuple[Rows, Rows]:
    """Keep the highest peaks of each row."""
    order = np.lexsort((-height, row))
    kept = np.sort(order[_place_in_row(row, int(row[-1]) + 1) < CANDIDATES])
    return row[kept], lag[kept]


def _parabola(values: Array, top: Rows) -> tuple[Array, Array]:
    """Fit a parabola to the three points around each top: offset and height of its peak."""
    rows = np.arange(len(values))
    before, at, after = (values[rows, top + k] for k in (-1, 0, 1))
    bend = np.minimum(before - 2 * at + after, np.float32(-1e-12))
    offset = np.clip((before - after) / (2 * bend), -1, 1)
    return offset, at - (before - after) * offset / 4


def _best_path(frequency: Array, score: Array) -> Rows:
    """Choose one candidate in each frame, equations 23 to 27, by the Viterbi algorithm."""
    total = score[0].copy()
    came_from = np.zeros(score.shape, dtype=np.int8)
    reached = np.empty((score.shape[1],) * 2, np.float32)
    for first in range(1, len(score), BLOCK_FRAMES):
        cost = _transition_costs(frequency[first - 1 : first + BLOCK_FRAMES])
        best = np.empty((len(cost), score.shape[1]), np.intp)
        for step, own, choice in zip(cost, score[first:], best, strict=False):
            np.subtract(total, step, out=reached)
            reached.argmax(axis=1, out=choice)
            np.maximum.reduce(reached, axis=1, out=total)
            total += own
        came_from[first : first + len(best)] = best
    path = np.empty(len(score), dtype=np.intp)
    path[-1] = total.argmax()
    for number in range(len(score) - 1, 0, -1):
        path[number - 1] = came_from[number, path[number]]
    return path


def _transition_costs(frequency: Array) -> Array:
    """Compute the cost of each transition, (frames - 1, to, from)."""
    voiced = frequency > 0
    octave = np.log2(np.where(voiced, frequency, 1))
    jump = OCTAVE_JUMP_COST * np.abs(octave[1:, :, None] - octave[:-1, None, :])
    before, after = voiced[:-1, None, :], voiced[1:, :, None]
    result: Array = np.where(before & after, jump, VOICING_COST * (before != after))
    return result.astype(np.float32, copy=False)


def intensity(signal: Array) -> Array:
    """Measure the intensity.

    Mean square about the mean, under a Kaiser window of 85 ms, which no glottal cycle above 75 Hz
    passes.
    Returns: shape (1 + samples // 160, 1), float32, in dB above 2e-5 of full scale: 94 for a
    full-scale square wave, at least 0.
    Source: P. Boersma, D. Weenink, "Praat: doing phonetics by computer", manual, "Sound: To
    Intensity".
    """
    length = 1365  # 6.4 periods of 75 Hz
    weights = np.kaiser(length, 20.24).astype(np.float32)
    weights /= weights.sum()
    work = np.empty((BLOCK_FRAMES, length), np.float32)  # fresh memory for each block takes longer

    def analyse(block: Array) -> Array:
        apart = np.subtract(block, block.mean(axis=1, keepdims=True), out=work[: len(block)])
        power = np.square(apart, out=apart) @ weights
        level: Array = 10 * np.log10(np.maximum(power / REFERENCE**2, 1.0))
        return level[:, None].astype(np.float32, copy=False)

    return per_block(check_signal(signal), analyse, length)


def speaking_rate(signal: Array, *, dip_db: float = 2.0) -> dict[str, float]:
    """Measure the speaking rate by counting syllable nuclei: peaks of intensity.

    A peak counts if it is voiced, less than 25 dB under the 99th percentile, and the intensity dips
    between it and the next.

    `dip_db`: least depth of the dip, in dB.
    Returns: ``syllables_per_s`` of the signal and ``syllables_per_voiced_s``; 0 without voice.
    Source: N. H. de Jong, T. Wempe, "Praat script to detect syllable nuclei and measure speech rate
    automatically", Behavior Research Methods 41(2), 2009.
    """
    checked = check_signal(signal)
    level, voiced = intensity(checked)[:, 0], f0(checked)[:, 0] > 0
    nuclei = sum(bool(voiced[at]) for at in _nuclei(level, dip_db))
    voiced_s = voiced.sum() * HOP / RATE_HZ
    return {
        "syllables_per_s": nuclei / (checked.size / RATE_HZ),
        "syllables_per_voiced_s": float(nuclei / voiced_s) if nuclei else 0.0,
    }


def _nuclei(level: Array, dip_db: float) -> list[int]:
    """Find the frames of peaks between which the level dips."""
    middle = level[1:-1]
    peaks = 1 + np.flatnonzero((middle > level[:-2]) & (middle >= level[2:]) & _loud(level)[1:-1])
    kept: list[int] = []
    for peak in peaks.tolist():
        if not kept or min(level[kept[-1]], level[peak]) - level[kept[-1] : peak].min() >= dip_db:
            kept.append(peak)
        elif level[peak] > level[kept[-1]]:
            kept[-1] = peak
    return kept


def _loud(level: Array) -> Flags:
    """Tell the frames of speech: those less than 25 dB under the 99th percentile."""
    loudest = float(np.percentile(level, 99))
    return level > max(loudest - SPEECH_RANGE_DB, 0.0)


def pauses(signal: Array, *, shortest_s: float = 0.25) -> dict[str, float]:
    """Measure the pauses between the first and the last sound of a signal.

    `shortest_s`: least duration in seconds; a shorter gap is a stop consonant.
    Returns: ``pauses_per_s``, ``pause_mean_s`` and ``pause_share`` of the time, 0 to 1, all between
    the first and the last sound; 0 where there is none.
    Source: F. Goldman-Eisler, "Psycholinguistics: Experiments in Spontaneous Speech", 1968, for 250
    ms.
    """
    loud = np.flatnonzero(_loud(intensity(signal)[:, 0]))
    gaps_s = (np.diff(loud) - 1) * HOP / RATE_HZ
    long_s = gaps_s[gaps_s >= shortest_s]
    total_s = (loud[-1] - loud[0] + 1) * HOP / RATE_HZ if loud.size else 1.0
    return {
        "pauses_per_s": float(long_s.size / total_s),
        "pause_mean_s": float(long_s.mean()) if long_s.size else 0.0,
        "pause_share": float(long_s.sum() / total_s),
    }
