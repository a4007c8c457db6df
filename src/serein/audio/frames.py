"""A signal as overlapping frames: pre-emphasis, windows, spectra.

All series are on one grid: frame k is centred on sample ``k * HOP``, at ``k * HOP / RATE_HZ``
seconds, whatever its length, and a signal of n samples has ``1 + n // HOP`` frames.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from typing import Literal

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ
from serein.errors import check_name, check_range

Array = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Spectrum = npt.NDArray[np.complex64]

FRAME = 400  # samples: 25 ms
HOP = 160  # samples: 10 ms
FRAMES_PER_S = RATE_HZ / HOP
BLOCK_FRAMES = 300  # 3 s at a time stays in the cache, and long recordings need no more memory
CACHE_SAMPLES = 2**15  # of frames whose spectra stay in the processor's cache

WINDOWS = {"hann": (0.5, -0.5), "hamming": (0.54, -0.46)}  # weights of 1 and cos(2 pi n / N)


def pre_emphasis(signal: Array, *, coefficient: float = 0.97) -> Array:
    """Subtract from each sample `coefficient` times the one before it, which lifts high pitches."""
    check_range("coefficient", coefficient, 0, 1)
    lifted = signal.astype(np.float32, copy=True)
    lifted[1:] -= np.float32(coefficient) * signal[:-1]
    return lifted


@lru_cache(maxsize=16)
def window(name: str, length: int) -> Array:
    """Make a periodic window, read-only.

    F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier
    transform", Proceedings of the IEEE 66(1), 1978.
    """
    check_name("window", name, WINDOWS)
    constant, cosine = WINDOWS[name]
    phase = 2 * np.pi * np.arange(length) / length
    result: Array = (constant + cosine * np.cos(phase)).astype(np.float32)
    result.setflags(write=False)
    return result


def frame_count(samples: int) -> int:
    """Count the frames of a signal."""
    return 1 + samples // HOP


def frame_times(frames: int) -> Doubles:
    """Give the time of each frame's centre in seconds, shape (frames,)."""
    return np.arange(frames) * HOP / RATE_HZ


def frames(signal: Array, length: int = FRAME, *, pad: str = "constant") -> Array:
    """Cut a signal into frames, shape (frames, length), a read-only view.

    `pad` is what lies beyond the ends: "constant" is silence, "reflect" the signal mirrored.
    """
    padded = np.pad(signal, (length // 2, length), mode=pad)  # type: ignore[call-overload]
    view = np.lib.stride_tricks.sliding_window_view(padded, length)
    return view[::HOP][: frame_count(signal.size)]


def per_block(
    signal: Array, analyse: Callable[[Array], Array], length: int = FRAME, *, mean: float = 0.0
) -> Array:
    """Apply a function of frames, (frames, length), block by block to a signal less its mean."""
    count = frame_count(signal.size)
    blocks = [slice(start, start + BLOCK_FRAMES) for start in range(0, count, BLOCK_FRAMES)]
    parts = (analyse(frames_of(signal, block, length, mean=mean)) for block in blocks)
    first = next(parts)
    found = np.empty((count, *first.shape[1:]), first.dtype)  # to join them takes twice the memory
    for block, part in zip(blocks, chain([first], parts), strict=True):
        found[block] = part
    return found


def frames_of(
    signal: Array,
    block: slice,
    length: int = FRAME,
    *,
    pad: Literal["constant", "edge"] = "constant",
    mean: float = 0.0,
) -> Array:
    """Cut a block of the frames that `frames` gives, without a copy of the whole signal.

    `pad` is what lies beyond the ends: "constant" is silence, "edge" the last sample; `mean` is
    subtracted from the samples.
    """
    first, stop = block.start, min(block.stop, frame_count(signal.size))
    start = first * HOP - length // 2
    end = start + (stop - first - 1) * HOP + length
    beyond = max(0, -start), max(0, end - signal.size)
    inside = signal[max(0, start) : end]
    part = np.pad(inside - np.float32(mean) if mean else inside, beyond, mode=pad)
    return np.lib.stride_tricks.sliding_window_view(part, length)[::HOP]


def some_frames(signal: Array, numbers: npt.NDArray[np.intp], length: int = FRAME) -> Array:
    """Cut some of the frames that `frames` gives, by their numbers; copies these alone."""
    starts = numbers * HOP - length // 2
    inside = (starts >= 0) & (starts + length <= signal.size)
    if inside.all():
        step, shape = signal.strides[0], (signal.size - length + 1, length)
        # sliding_window_view takes longer than what is done with few frames
        view = np.lib.stride_tricks.as_strided(signal, shape, (step, step), writeable=False)
        return view[starts]
    rows = [frames_of(signal, slice(number, number + 1), length) for number in numbers[~inside]]
    found = np.empty((len(numbers), length), np.float32)
    found[~inside] = np.concatenate(rows)
    if inside.any():
        found[inside] = some_frames(signal, numbers[inside], length)
    return found


def spectra(cut: Array, *, shape: str = "hann", fft_size: int | None = None) -> Spectrum:
    """Compute the spectrum of each windowed frame: (frames, length) to (frames, bins).

    J. B. Allen, L. R. Rabiner, "A unified approach to short-time Fourier analysis and synthesis",
    Proceedings of the IEEE 65(11), 1977.
    """
    spectrum = np.fft.rfft(cut * window(shape, cut.shape[1]), fft_size, axis=1)
    return spectrum.astype(np.complex64, copy=False)


def power_spectra(cut: Array, *, shape: str = "hann", fft_size: int | None = None) -> Array:
    """Compute the power spectrum of each windowed frame: (frames, length) to (frames, bins)."""
    size = fft_size or cut.shape[1]
    power = np.empty((len(cut), size // 2 + 1), np.float32)
    few = max(1, CACHE_SAMPLES // size)
    for start in range(0, len(cut), few):
        part = slice(start, start + few)
        spectrum = spectra(cut[part], shape=shape, fft_size=fft_size)
        np.square(spectrum.real, out=power[part])
        power[part] += np.square(spectrum.imag)
    return power


def runs(flags: Flags) -> npt.NDArray[np.intp]:
    """Find the runs of True: first frame and frame after the last, shape (runs, 2)."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return edges.reshape(-1, 2)
