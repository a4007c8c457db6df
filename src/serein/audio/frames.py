"""A signal as overlapping frames: pre-emphasis, windows, the short-time Fourier transform and back.

One grid serves every series of serein: frame k is centred on sample ``k * HOP``, so a signal of n
samples has ``1 + n // HOP`` frames and frame k stands for the time ``k * HOP / RATE_HZ`` seconds,
whatever the frame's length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ
from serein.errors import unknown_name

Array = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]

FRAME = 400  # samples: 25 ms
HOP = 160  # samples: 10 ms, so 100 frames a second
BLOCK_FRAMES = 300  # 3 s at a time stays in the cache; an hour needs no more memory than that

# Weights of cos(0), cos(2 pi n / N), cos(4 pi n / N): generalised cosine windows.
WINDOWS: dict[str, tuple[float, ...]] = {
    "hann": (0.5, -0.5),
    "hamming": (0.54, -0.46),
    "blackman": (0.42, -0.5, 0.08),
    "rectangular": (1.0,),
}


def pre_emphasis(signal: Array, *, coefficient: float = 0.97) -> Array:
    """Lift high frequencies: each sample less a share of the one before it."""
    if not 0 <= coefficient <= 1:
        raise ValueError(f"coefficient is {coefficient}; allowed: 0 to 1")
    lifted = signal.astype(np.float32, copy=True)
    lifted[1:] -= np.float32(coefficient) * signal[:-1]
    return lifted


@lru_cache(maxsize=16)
def window(name: str, length: int) -> Array:
    """Make a periodic window, as spectra want it.

    F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier
    transform", Proceedings of the IEEE 66(1), 1978.
    """
    if name not in WINDOWS:
        raise ValueError(unknown_name("window", name, WINDOWS))
    phase = 2 * np.pi * np.arange(length) / length
    shape = sum(weight * np.cos(k * phase) for k, weight in enumerate(WINDOWS[name]))
    result: Array = np.asarray(shape, dtype=np.float32)
    result.setflags(write=False)
    return result


def frame_count(samples: int, hop: int = HOP) -> int:
    """Count the frames of a signal: ``1 + samples // hop``."""
    return 1 + samples // hop


def frame_times(frames: int, hop: int = HOP) -> npt.NDArray[np.float64]:
    """Give the time of each frame's centre in seconds, shape (frames,)."""
    return np.arange(frames) * hop / RATE_HZ


def frames(signal: Array, length: int = FRAME, *, hop: int = HOP, pad: str = "constant") -> Array:
    """Cut a signal into centred frames."""
    padded = np.pad(signal, (length // 2, length), mode=pad)  # type: ignore[call-overload]
    view = np.lib.stride_tricks.sliding_window_view(padded, length)
    cut: Array = view[::hop][: frame_count(signal.size, hop)]
    return cut


def per_block(
    signal: Array,
    analyse: Callable[[Array], Array],
    length: int = FRAME,
    *,
    hop: int = HOP,
    pad: str = "constant",
) -> Array:
    """Analyse frames block by block, so that long recordings need little memory."""
    return np.concatenate(
        [analyse(block) for block in _blocks(frames(signal, length, hop=hop, pad=pad))]
    )


def _blocks(cut: Array) -> Iterator[Array]:
    for first in range(0, len(cut), BLOCK_FRAMES):
        yield cut[first : first + BLOCK_FRAMES]


def stft(
    signal: Array,
    *,
    length: int = FRAME,
    hop: int = HOP,
    shape: str = "hann",
    pad: str = "constant",
) -> Spectrum:
    """Compute the short-time Fourier transform.

    J. B. Allen, L. R. Rabiner, "A unified approach to short-time Fourier analysis and synthesis",
    Proceedings of the IEEE 65(11), 1977.
    """
    weights = window(shape, length)

    def transform(block: Array) -> Array:
        return np.fft.rfft(block * weights, axis=1).astype(np.complex64, copy=False)

    return per_block(signal, transform, length, hop=hop, pad=pad)  # type: ignore[return-value]


def istft(
    spectrum: Spectrum, samples: int, *, length: int = FRAME, hop: int = HOP, shape: str = "hann"
) -> Array:
    """Turn a short-time Fourier transform back into the signal nearest to it.

    Frames are windowed again, overlapped and added, and divided by the sum of squared windows: the
    signal itself where the spectrum is a signal's, the least-squares estimate where it was changed.

    D. W. Griffin, J. S. Lim, "Signal estimation from modified short-time Fourier transform", IEEE
    Transactions on Acoustics, Speech, and Signal Processing 32(2), 1984, equation 6.
    """
    weights = window(shape, length)
    total = np.zeros(length + hop * (len(spectrum) - 1), dtype=np.float32)
    norm = np.zeros_like(total)
    for first in range(0, len(spectrum), BLOCK_FRAMES):
        block = np.fft.irfft(spectrum[first : first + BLOCK_FRAMES], length, axis=1) * weights
        for number, row in enumerate(block, start=first):
            total[number * hop : number * hop + length] += row
            norm[number * hop : number * hop + length] += weights**2
    inside = slice(length // 2, length // 2 + samples)
    if samples and (norm[inside].size < samples or norm[inside].min() < 1e-6):
        raise ValueError(
            f"a {shape} window of {length} samples every {hop} leaves gaps; take a hop of at most "
            f"{2 * length // 5}"
        )
    result: Array = total[inside] / norm[inside]
    return result
