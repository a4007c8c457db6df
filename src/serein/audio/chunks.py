"""Sound that arrives in chunks -> the same mono signal at 16 kHz, whatever the cutting."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.read import (
    RATE_HZ,
    Signal,
    check_array,
    check_layout,
    full_scale_blocks,
    mono,
    resampler,
)
from serein.defaults import DEFAULT_LIMITS


class ChunkReader:
    """Mixes down and resamples what arrives."""

    def __init__(self, rate: int = RATE_HZ) -> None:
        check_layout("<stream>", rate, 1, DEFAULT_LIMITS)
        self.rate = rate
        self._resample = resampler(rate)

    def push(self, chunk: npt.NDArray[Any]) -> Signal:
        """Take in the next chunk."""
        if isinstance(chunk, np.ndarray) and chunk.ndim in (1, 2) and not len(chunk):
            return np.empty(0, np.float32)
        check_array(chunk, transposed=False)
        frames = chunk.reshape(len(chunk), -1)
        check_layout("<stream>", self.rate, frames.shape[1], DEFAULT_LIMITS)
        blocks = [mono(block, "<stream>") for block in full_scale_blocks(frames, self.rate)]
        return np.concatenate([self._resample(block, False) for block in blocks])

    def end(self) -> Signal:
        """Give what is left, for nothing follows; the next chunk begins anew."""
        rest = self._resample(np.empty(0, np.float32), True)
        self._resample = resampler(self.rate)
        return rest
