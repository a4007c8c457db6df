"""A file as it would come from a microphone: chunk by chunk, paced by the clock or not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Self

from serein.audio.read import DEFAULT_LIMITS, RATE_HZ, Limits, Signal, read_audio


class Playback:
    """A file as chunks, paced by the clock or as fast as they are taken.

    Parameters
    ----------
    file : str or path
        Whatever `read_audio` reads.
    chunk_s : float
        Length of a chunk in seconds.
    realtime : bool
        Whether a chunk comes only when a microphone would have heard all of it.
    limits : Limits
        What is accepted as a recording.

    Attributes
    ----------
    name : str
        The file's name.
    rate : int
        16 000 Hz.

    Raises
    ------
    AudioError
        If the file cannot be read, or is outside the limits.
    ValueError
        If `chunk_s` is not from 0.01 to 1.

    Examples
    --------
    >>> [chunk.size for chunk in Playback("two-seconds.wav", chunk_s=0.8)]  # doctest: +SKIP
    [12800, 12800, 6400]
    """

    losses, lost_s = 0, 0.0  # a file loses nothing; asked where it may be a microphone

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        chunk_s: float = 0.1,
        realtime: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        if not 0.01 <= chunk_s <= 1:
            raise ValueError(f"chunk_s is {chunk_s}; allowed: 0.01 to 1 s")
        self.name = os.fspath(file)
        self.rate = RATE_HZ
        self.behind_s = 0.0
        self._signal = read_audio(file, limits=limits)
        self._chunk = round(chunk_s * RATE_HZ)
        self._realtime = realtime
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def stop(self) -> None:
        """End the iteration; a signal's handler or another thread may call it."""
        self._stopped = True

    def __iter__(self) -> Iterator[Signal]:
        began_s = time.monotonic()
        for start in range(0, self._signal.size, self._chunk):
            chunk = self._signal[start : start + self._chunk]
            if self._realtime:
                self._wait_until(began_s + (start + chunk.size) / RATE_HZ)
            if self._stopped:
                return
            yield chunk

    def _wait_until(self, due_s: float) -> None:
        """Sleep until a moment of the clock, so that errors of single sleeps do not add up."""
        early_s = due_s - time.monotonic()
        self.behind_s = max(0.0, -early_s)
        if early_s > 0:
            time.sleep(early_s)
