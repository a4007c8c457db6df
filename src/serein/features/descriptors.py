"""Spectral descriptors of each frame: centroid, bandwidth, flux, contrast, chroma and others.

Series are (time, column), float32, on the frame grid of `serein.audio.frames`, with Hann windows of
25 ms and silence beyond the ends. Digital silence gives 0. A row depends on its own frame only (for
flux, also on the one before). `describe` computes several series from one spectrogram.
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
    Array,
    Flags,
    frame_count,
    frames_of,
    power_spectra,
)
from serein.audio.read import RATE_HZ, check_signal
from serein.errors import check_name
from serein.features.spectral import BINS, BINS_HZ, MIN_POWER

OCTAVES_HZ = (0, 200, 400, 800, 1600, 3200, 6400, RATE_HZ // 2)  # edges of contrast's bands
MIN_MAGNITUDE = 1e-10  # a sum below is silence: a 24-bit converter's step gives 1e-5


def describe(signal: Array, names: Iterable[str]) -> dict[str, Array]:
    """Compute descriptors block by block from one spectrogram: name -> (frames, columns)."""
    wanted, checked = list(names), check_signal(signal)
    for name in wanted:
        check_name("descriptor", name, COLUMNS)
    count = frame_count(checked.size)
    found = {name: np.empty((count, len(COLUMNS[name])), np.float32) for name in wanted}
    for first, block in _blocks(checked) if wanted else ():
        for name, series in found.items():
            series[first : first + len(block.frames)] = _OF_BLOCK[name](block)
    return found


@dataclass
class _Block:
    """A block of frames, and its spectra when they are first used."""

    frames: Array  # (frames, 400)
    crossings: Flags  # (frames, 399)
    before: Array  # the frame before these, (1, 400), or (0, 400) at the start

    @cached_property
    def power(self) -> Array:
        return power_spectra(self.frames)

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
    """Yield blocks of frames, each with the number of its first frame."""
    for first in range(0, frame_count(signal.size), BLOCK_FRAMES):
        block = slice(first, first + BLOCK_FRAMES)
        before = (
            frames_of(signal, slice(first - 1, first))
            if first
            else np.empty((0, FRAME), np.float32)
        )
        yield first, _Block(frames_of(signal, block), _crossings(signal, block), before)


def _crossings(signal: Array, block: slice) -> Flags:
    """Mark each change of sign between two samples of a frame; there is none beyond the ends."""
    below = frames_of(signal, block, pad="edge") < -MIN_POWER
    return below[:, 1:] != below[:, :-1]


def _share(part: Array, whole: Array) -> Array:
    """Divide; 0 where the divisor is silence."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > MIN_MAGNITUDE)


COLUMNS: dict[str, tuple[str, ...]] = {}
_OF_BLOCK: dict[str, Callable[[_Block], Array]] = {}


def _descriptor(*columns: str) -> Callable[[Callable[[_Block], Array]], Callable[[_Block], Array]]:
    """Register a function of a block under its name, with the names of its columns."""

    def register(of_block: Callable[[_Block], Array]) -> Callable[[_Block], Array]:
        COLUMNS[of_block.__name__], _OF_BLOCK[of_block.__name__] = columns, of_block
        return of_block

    return register


def numbered(name: str, count: int) -> tuple[str, ...]:
    """Name the columns of a series: name_1, name_2, ..."""
    return tuple(f"{name}_{number}" for number in range(1, count + 1))


@_descriptor("spectral_entropy")
def spectral_entropy(block: _Block) -> Array:
    """Compute Shannon's entropy of power over frequency, 0 to 1 (flat).

    H. Misra, S. Ikbal, H. Bourlard, H. Hermansky, "Spectral entropy based feature for robust
    ASR", ICASSP 2004, equation 2; divided by its largest value.
    """
    share = _share(block.power, block.power.sum(axis=1, keepdims=True))
    bits = share * np.log2(np.maximum(share, np.finfo(np.float32).tiny))
    return -bits.sum(axis=1, keepdims=True) / np.float32(np.log2(BINS))


@_descriptor("spectral_centroid_hz")
def spectral_centroid(block: _Block) -> Array:
    """Compute the mean frequency, weighted by magnitude."""
    return block.centroid


@_descriptor("spectral_bandwidth_hz")
def spectral_bandwidth(block: _Block) -> Array:
    """Compute the standard deviation of frequency, weighted by magnitude."""
    weighted = block.magnitude * np.square(BINS_HZ - block.centroid)
    return np.sqrt(_share(weighted.sum(axis=1, keepdims=True), block.total))


@_descriptor("spectral_rolloff_hz")
def spectral_rolloff(block: _Block) -> Array:
    """Find the frequency under which 85 % of the magnitude lies."""
    below = np.cumsum(block.magnitude, axis=1)
    return BINS_HZ[(below >= np.float32(0.85) * below[:, -1:]).argmax(axis=1)][:, None]


@_descriptor("spectral_flux")
def spectral_flux(block: _Block) -> Array:
    """Compute the Euclidean distance of the normalised magnitude spectra of two frames, 0 to 1.41.

    It is 0 for the first frame, and 1 from silence to sound.

    G. Tzanetakis, P. Cook, "Musical genre classification of audio signals", IEEE Transactions on
    Speech and Audio Processing 10(5), 2002, the square root of equation 3.
    """
    shape = _unit(block.magnitude)
    before = _unit(np.sqrt(power_spectra(block.before))) if len(block.before) else shape[:1]
    change = np.diff(shape, axis=0, prepend=before)
    return np.sqrt(np.square(change).sum(axis=1, keepdims=True)) * (block.total > MIN_MAGNITUDE)


@_descriptor("spectral_flatness")
def spectral_flatness(block: _Block) -> Array:
    """Divide the geometric by the arithmetic mean of power: 0 (a tone) to 1 (white noise)."""
    power = np.maximum(block.power, np.float32(MIN_POWER))
    geometric = np.exp(np.log(power).mean(axis=1, keepdims=True))
    return geometric / power.mean(axis=1, keepdims=True) * (block.total > MIN_MAGNITUDE)


@_descriptor(*numbered("spectral_contrast", 7))
def spectral_contrast(block: _Block) -> Array:
    """Compare peaks and valleys in seven octave bands, below 200 Hz to above 6400 Hz, in dB.

    The ratio of the mean magnitudes of a band's loudest and quietest 2 % of bins.
    D.-N. Jiang et al., "Music type classification by spectral contrast feature", ICME 2002.
    """
    rows = [_peak_to_valley(block.magnitude[:, band], edge) for band, edge in _contrast_bands()]
    return 10 * np.log10(np.stack(rows, axis=1))


def _peak_to_valley(magnitude: Array, edge: int) -> Array:
    """Divide the mean of the `edge` largest bins of each frame by that of the smallest."""
    if edge == 1:
        valley, peak = magnitude.min(axis=1), magnitude.max(axis=1)
    else:
        ordered = np.partition(magnitude, (edge - 1, -edge), axis=1)
        valley, peak = ordered[:, :edge].mean(axis=1), ordered[:, -edge:].mean(axis=1)
    floor = np.float32(MIN_POWER)
    return np.maximum(peak, floor) / np.maximum(valley, floor)


@lru_cache(maxsize=1)
def _contrast_bands() -> list[tuple[slice, int]]:
    """Build librosa's bands: the bins of each, and how many are 2 %, at least one."""
    bands = []
    for low_hz, high_hz in pairwise(OCTAVES_HZ):
        first = max(int(np.searchsorted(BINS_HZ, low_hz)) - 1, 0)
        last = int(np.searchsorted(BINS_HZ, high_hz, side="right"))
        edge = max(round(0.02 * (last - first)), 1)
        bands.append((slice(first, last if last == BINS else last - 1), edge))
    return bands


@_descriptor(*numbered("chroma", 12))
def chroma(block: _Block) -> Array:
    """Compute the power of the twelve pitch classes, C first, A at 440 Hz; the loudest is 1.

    Bins are 40 Hz apart, so a bin below 700 Hz spans more than a semitone.

    D. P. W. Ellis, "Chroma feature analysis and synthesis", 2007.
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
    """Compute the share of a frame's samples at which the sign changes."""
    return np.count_nonzero(block.crossings, axis=1, keepdims=True).astype(np.float32) / np.float32(
        FRAME
    )


@_descriptor("rms_energy")
def rms_energy(block: _Block) -> Array:
    """Compute the root mean square of the samples; full scale is 1."""
    return np.sqrt(np.einsum("tn,tn->t", block.frames, block.frames) / np.float32(FRAME))[:, None]


def _unit(spectrum: Array) -> Array:
    """Scale each row to length 1; rows of silence stay 0."""
    return _share(spectrum, np.sqrt(np.square(spectrum).sum(axis=1, keepdims=True)))
