"""Who may compute next: voices first, recordings in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 0.1


class Turns:
    """Lets recordings wait while voices are listened to, but not for ever.

    A voice is late where it waits; a recording only takes longer. So before each window of a
    recording its thread waits until no stream has work, 0.1 s at most: where streams take all there
    is, recordings still get a window in between.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._streams = 0

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Hold the time from when a stream's work is there until it is done."""
        with self._changed:
            self._streams += 1
        try:
            yield
        finally:
            with self._changed:
                self._streams -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Wait for the turn of a recording's next window."""
        with self._changed:
            self._changed.wait_for(lambda: self._streams == 0, PATIENCE_S)
