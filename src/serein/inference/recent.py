"""The latest sound of a stream, by its place in the stream."""

from __future__ import annotations

import numpy as np

from serein.audio.read import Signal


class Recent:
    """Keeps the end of a signal that grows for ever.

    Parameters
    ----------
    keep : int
        How many samples must stay within reach.

    Attributes
    ----------
    end : int
        How many samples have come.

    Examples
    --------
    >>> recent = Recent(keep=4)
    >>> for start in range(0, 100, 2):
    ...     recent.append(np.arange(start, start + 2, dtype=np.float32))
    >>> recent.cut(97, recent.end).tolist()
    [97.0, 98.0, 99.0]
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._sound = np.zeros(2 * keep, np.float32)  # moved to its front when it is full
        self._first = 0  # which sample stands at its front
        self.end = 0

    def append(self, signal: Signal) -> None:
        """Take in what follows, at most `keep` samples at once."""
        used = self.end - self._first
        if used + signal.size > self._sound.size:
            self._sound[: self._keep] = self._sound[used - self._keep : used]
            self._first = self.end - self._keep
            used = self._keep
        self._sound[used : used + signal.size] = signal
        self.end += signal.size

    def cut(self, start: int, end: int) -> Signal:
        """Copy the samples from `start` to `end`, which must be within reach."""
        return self._sound[start - self._first : end - self._first].copy()
