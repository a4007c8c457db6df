"""Which work may run next, and how much at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serein.serve.errors import RequestError

MAX_WAIT_S = 0.5


class Scheduler:
    """Gives streams priority over uploads, without starving uploads.

    A stream that waits falls behind real time; an upload only takes longer. So a window of an
    upload starts when no stream has work, or at the latest `MAX_WAIT_S` after the previous window
    of an upload.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._changed = threading.Condition()
        self._clock = clock
        self._streams = 0  # with work, queued or running
        self._last_upload_s = clock()
        self._delay_s = 0.0

    @property
    def delay_s(self) -> float:
        """Time the latest work of a stream spent queued; 0 where no stream has work."""
        return self._delay_s if self._streams else 0.0

    @contextmanager
    def stream(self) -> Iterator[Callable[[], None]]:
        """Count a stream's work while it is queued or running; call what is given as it starts."""
        queued_s = self._clock()

        def started() -> None:
            self._delay_s = self._clock() - queued_s

        with self._changed:
            self._streams += 1
        try:
            yield started
        finally:
            with self._changed:
                self._streams -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Block until the next window of an upload may start."""
        with self._changed:
            while (
                self._streams and (left_s := self._last_upload_s + MAX_WAIT_S - self._clock()) > 0
            ):
                self._changed.wait(left_s)
            self._last_upload_s = self._clock()


class Slots:
    """Lets at most so many in at once; one more gets the error ``busy``."""

    def __init__(self, limit: int, what: str, retry_after_s: int) -> None:
        self._limit, self._what, self._retry_after_s = limit, what, retry_after_s
        self.used = 0

    def __enter__(self) -> None:
        if self.used >= self._limit:
            reason = f"the limit of {self._limit} {self._what} at once is reached; retry soon"
            raise RequestError("busy", reason, self._retry_after_s)
        self.used += 1

    def __exit__(self, *error: object) -> None:
        self.used -= 1
