"""What a spectrum looks like, frame by frame: its centre, width, tilt, peaks, noise and change.

Conventions: series are (time, column), float32, on the frame grid of `serein.audio.frames`: Hann
windows of 25 ms every 10 ms, silence beyond the ends. A frame of digital silence gives 0, and a
row tells of its own frame only (flux: also of the one before). `describe` computes several series
from one spectrogram. Every function raises `AudioError` for what `check_signal` refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from serein.audio.frames import (
    BLOCK_FRAMES,
    FRAME,
    HOP,
    Array,
    Flags,
    frame_count,
    frames,
    per_block,
    power_spectra,
)
from serein.audio.read import RATE_HZ, check_signal
from serein.errors import unknown_name
from serein.features.spectral import mel_filters

BINS = FRAME // 2 + 1
BINS_HZ = (np.arange(BINS) * RATE_HZ / FRAME).astype(np.float32)
BANDS = 40  # mel bands, where nothing else is said
OCTAVES_HZ = (0, 200, 400, 800, 1600, 3200, 6400, RATE_HZ // 2)  # edges of contrast's bands
NOTHING = 1e-10  # magnitudes that sum to less are silence: a 24-bit converter's step gives 1e-5
QUIET = 1e-10  # power, and magnitude in contrast: librosa's floor under logarithms


def power_spectrogram(signal: Array) -> Array:
    """Compute the power spectrogram, |STFT|²."""
    return per_block(check_signal(signal), power_spectra)


def mel_spectrogram(signal: Array, *, bands: int = BANDS) -> Array:
    """Sum the power spectrogram in triangular bands that are equally wide in mel."""
    if not 1 <= bands <= BINS:
        raise ValueError(f"bands is {bands}; allowed: 1 to {BINS}")
    return per_block(check_signal(signal), lambda cut: power_spectra(cut) @ mel_filters(bands))


def describe(signal: Array, names: Iterable[str]) -> dict[str, Array]:
    """Compute several descriptors from one spectrogram, in memory that does not grow with it."""
    wanted, checked = list(names), check_signal(signal)
    for unknown in set(wanted) - set(COLUMNS):
        raise ValueError(unknown_name("descriptor", unknown, COLUMNS))
    count = frame_count(checked.size)
    found = {name: np.empty((count, len(COLUMNS[name])), np.float32) for name in wanted}
    for first, block in _blocks(checked):
        for name, series in found.items():
            series[first : first + len(block.sound)] = _OF_BLOCK[name](block)
    return found


@dataclass
class _Block:
    """A few seconds of frames, and their spectra once they are asked for."""

    sound: Array  # (frames, 400)
    crossings: Flags  # (frames, 399)
    before: Array  # the frame before these, (1, 400), or (0, 400) at the start

    @cached_property
    def power(self) -> Array:
        return power_spectra(self.sound)

    @cached_property
    def magnitude(self) -> Array:
        return np.sqrt(self.power)

    @cached_property
    def total(self) -> Array:
        return self.magnitude.sum(axis=1, keepdims=True)

    @cached_property
    def centroid(self) -> Array:
        return _share(self.magnitude @ BINS_HZ[:, None], self.total)


def _blocks(signal: Array) -> Iterator[tuple[int, _Block]]:
    """Cut a signal into blocks, each with the number of its first frame."""
    cut, crossings = frames(signal), _crossings(signal)
    for first in range(0, len(cut), BLOCK_FRAMES):
        here = slice(first, first + BLOCK_FRAMES)
        yield first, _Block(cut[here], crossings[here], cut[max(first - 1, 0) : first])


def _crossings(signal: Array) -> Flags:
    """Mark each step between two samples of a frame that changes sign; the ends hold on."""
    below = signal < -QUIET
    changes = np.pad(below[1:] != below[:-1], (FRAME // 2, FRAME))
    every = np.lib.stride_tricks.sliding_window_view(changes, FRAME - 1)
    return every[::HOP][: frame_count(signal.size)]


def _share(part: Array, whole: Array) -> Array:
    """Divide, but give 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > NOTHING)


COLUMNS: dict[str, tuple[str, ...]] = {}
_OF_BLOCK: dict[str, Callable[[_Block], Array]] = {}

_DOCUMENTATION = """{what}

    Parameters
    ----------
    signal : ndarray of float32, shape (samples,)
        Mono at 16 kHz.

    Returns
    -------
    ndarray of float32, shape (1 + samples // 160, {count})
        {columns}; 0 in silence.

    Raises
    ------
    AudioError
        If `check_signal` refuses the signal.

    Examples
    --------
    >>> {name}(np.zeros(16_000, np.float32)).shape
    (101, {count})
    """


def _descriptor(*columns: str) -> Callable[[Callable[[_Block], Array]], Callable[[Array], Array]]:
    """Register what is computed from a block under its name, and offer it for a whole signal."""

    def register(of_block: Callable[[_Block], Array]) -> Callable[[Array], Array]:
        name, named = of_block.__name__, ", ".join(dict.fromkeys((columns[0], columns[-1])))
        COLUMNS[name], _OF_BLOCK[name] = columns, of_block

        def of_signal(signal: Array) -> Array:
            return describe(signal, [name])[name]

        of_signal.__name__ = of_signal.__qualname__ = name
        of_signal.__doc__ = _DOCUMENTATION.format(
            what=str(of_block.__doc__).rstrip(), count=len(columns), columns=named, name=name
        )
        return of_signal

    return register


def numbered(name: str, count: int) -> tuple[str, ...]:
    """Name the columns of a series: name_1, name_2, ..."""
    return tuple(f"{name}_{number}" for number in range(1, count + 1))


@_descriptor("spectral_entropy")
def spectral_entropy(block: _Block) -> Array:
    """Tell how evenly power is spread over frequency: Shannon's entropy, 0 to 1 (even).

    H. Misra, S. Ikbal, H. Bourlard, H. Hermansky, "Spectral entropy based feature for robust
    ASR", ICASSP 2004, equation 2; divided by its largest value.
    """
    share = _share(block.power, block.power.sum(axis=1, keepdims=True))
    bits = share * np.log2(np.maximum(share, np.finfo(np.float32).tiny))
    return -bits.sum(axis=1, keepdims=True) / np.float32(np.log2(BINS))


@_descriptor("spectral_centroid_hz")
def spectral_centroid(block: _Block) -> Array:
    """Find the mean frequency, weighted by magnitude."""
    return block.centroid


@_descriptor("spectral_bandwidth_hz")
def spectral_bandwidth(block: _Block) -> Array:
    """Find the standard deviation of frequency, weighted by magnitude."""
    weighted = block.magnitude * np.square(BINS_HZ - block.centroid)
    return np.sqrt(_share(weighted.sum(axis=1, keepdims=True), block.total))


@_descriptor("spectral_rolloff_hz")
def spectral_rolloff(block: _Block) -> Array:
    """Find the frequency under which 85 % of the magnitude lies."""
    below = np.cumsum(block.magnitude, axis=1)
    return BINS_HZ[(below >= np.float32(0.85) * below[:, -1:]).argmax(axis=1)][:, None]


@_descriptor("spectral_flux")
def spectral_flux(block: _Block) -> Array:
    """Measure the change since the frame before: 0 (same shape, or the first frame) to 1.41.

    The Euclidean distance of two magnitude spectra of length 1, so loudness does not matter; 1
    from silence to sound. G. Tzanetakis, P. Cook, "Musical genre classification of audio signals",
    IEEE Transactions on Speech and Audio Processing 10(5), 2002, equation 3, its square root.
    """
    shape = _unit(block.magnitude)
    before = _unit(np.sqrt(power_spectra(block.before))) if len(block.before) else shape[:1]
    change = np.diff(shape, axis=0, prepend=before)
    return np.sqrt(np.square(change).sum(axis=1, keepdims=True)) * (block.total > NOTHING)


@_descriptor("spectral_flatness")
def spectral_flatness(block: _Block) -> Array:
    """Compare the geometric with the arithmetic mean of power: 0 (a tone) to 1 (white)."""
    power = np.maximum(block.power, np.float32(QUIET))
    geometric = np.exp(np.log(power).mean(axis=1, keepdims=True))
    return geometric / power.mean(axis=1, keepdims=True) * (block.total > NOTHING)


@_descriptor(*numbered("spectral_contrast", 7))
def spectral_contrast(block: _Block) -> Array:
    """Compare peaks and valleys in seven octave bands, below 200 Hz to above 6400 Hz.

    The difference of 10 log10 of the mean magnitude of a band's loudest and quietest 2 % of bins.
    D.-N. Jiang et al., "Music type classification by spectral contrast feature", ICME 2002.
    """
    rows = [_peak_to_valley(block.magnitude[:, band], edge) for band, edge in _contrast_bands()]
    return 10 * np.log10(np.stack(rows, axis=1))


def _peak_to_valley(magnitude: Array, edge: int) -> Array:
    """Divide the mean of the `edge` largest by that of the smallest bins of each frame."""
    if edge == 1:
        valley, peak = magnitude.min(axis=1), magnitude.max(axis=1)
    else:
        ordered = np.partition(magnitude, (edge - 1, -edge), axis=1)
        valley, peak = ordered[:, :edge].mean(axis=1), ordered[:, -edge:].mean(axis=1)
    floor = np.float32(QUIET)
    return np.maximum(peak, floor) / np.maximum(valley, floor)


@lru_cache(maxsize=1)
def _contrast_bands() -> list[tuple[slice, int]]:
    """Place librosa's bands: the bins of each, and how many of them are 2 %, at least one."""
    bands = []
    for low_hz, high_hz in pairwise(OCTAVES_HZ):
        first = max(int(np.searchsorted(BINS_HZ, low_hz)) - 1, 0)
        last = int(np.searchsorted(BINS_HZ, high_hz, side="right"))
        edge = max(round(0.02 * (last - first)), 1)
        bands.append((slice(first, last if last == BINS else last - 1), edge))
    return bands


@_descriptor(*numbered("chroma", 12))
def chroma(block: _Block) -> Array:
    """Share power among the twelve pitch classes, C first, A at 440 Hz; the loudest class is 1.

    Bins are 40 Hz apart, so below 700 Hz a bin spans more than a semitone: it tells melody's
    colour, not its notes. D. P. W. Ellis, "Chroma feature analysis and synthesis", 2007.
    """
    classes = block.power @ _chroma_filters()
    return _share(classes, classes.max(axis=1, keepdims=True))


@lru_cache(maxsize=1)
def _chroma_filters() -> Array:
    """Build Ellis's filters as librosa does: a Gaussian in pitch class, another in octave."""
    octave = np.log2(np.arange(1, FRAME) * RATE_HZ / FRAME / 27.5)  # above A0
    semitone = 12 * np.concatenate([[octave[0] - 1.5], octave])  # 0 Hz: far below, and broad
    width = np.append(np.maximum(np.diff(semitone), 1.0), 1.0)
    apart = np.remainder(semitone[:, None] - np.arange(12) + 6, 12) - 6
    filters = np.exp(-0.5 * (2 * apart / width[:, None]) ** 2)
    filters /= np.sqrt(np.square(filters).sum(axis=1, keepdims=True))
    filters *= np.exp(-0.5 * ((semitone[:, None] / 12 - 5) / 2) ** 2)
    return np.roll(filters, -3, axis=1)[:BINS].astype(np.float32)


@_descriptor("zero_crossing_rate")
def zero_crossing_rate(block: _Block) -> Array:
    """Count changes of sign, as a share of the frame's samples."""
    return np.count_nonzero(block.crossings, axis=1, keepdims=True).astype(np.float32) / np.float32(
        FRAME
    )


@_descriptor("rms_energy")
def rms_energy(block: _Block) -> Array:
    """Measure the root of the mean square of samples; full scale is 1."""
    return np.sqrt(np.einsum("tn,tn->t", block.sound, block.sound) / np.float32(FRAME))[:, None]


def _unit(spectrum: Array) -> Array:
    """Scale each row to length 1; rows of silence stay 0."""
    return _share(spectrum, np.sqrt(np.square(spectrum).sum(axis=1, keepdims=True)))
