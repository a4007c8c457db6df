"""Who may compute next: voices first, recordings in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 0.5


class Turns:
    """Lets recordings wait while voices are listened to, but not for ever.

    A voice is late where it waits; a recording only takes longer. So a window of a recording is
    begun when no stream has work, or half a second after the last one: where streams take all there
    is, recordings still get a window in between.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._changed = threading.Condition()
        self._clock = clock
        self._streams = 0
        self._last_s = clock()  # when a recording last had its turn
        self._behind_s = 0.0

    @property
    def behind_s(self) -> float:
        """How long the latest work of a stream had to wait; 0 where none has work."""
        return self._behind_s if self._streams else 0.0

    @contextmanager
    def stream(self) -> Iterator[Callable[[], None]]:
        """Hold the time from when a stream's work is there until it is done."""
        there_s = self._clock()

        def begin() -> None:
            self._behind_s = self._clock() - there_s

        with self._changed:
            self._streams += 1
        try:
            yield begin
        finally:
            with self._changed:
                self._streams -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Wait for the turn of a recording's next window."""
        with self._changed:
            while self._streams and (left_s := self._last_s + PATIENCE_S - self._clock()) > 0:
                self._changed.wait(left_s)
            self._last_s = self._clock()
