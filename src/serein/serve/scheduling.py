"""Which work may run next, and how much at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from serein.serve.errors import RequestError

MAX_WAIT_S = 0.5
MAX_STRETCH = 4.0  # of hops
LATE_S, FREE_S = 0.15, 0.05  # the longest wait of streams where hops become longer, and shorter
CONTROL_S = 0.5  # from one change of the stretch to the next
LONGER, SHORTER = 1.5, 0.95  # factors of a change: soon longer, slowly back, or it would swing


class HopControl:
    """Chooses by how much the hops of all streams are stretched, so that their thread keeps up.

    Most of a stream's work is its windows while someone speaks, as many as its hop is short. So
    more streams are carried where each predicts less often, and none falls behind.

    Attributes
    ----------
    stretch : float
        The factor for hops, 1 to `MAX_STRETCH`.
    """

    def __init__(self, now_s: float) -> None:
        self.stretch = 1.0
        self._since_s, self._waited_s = now_s, 0.0

    def note(self, waited_s: float, now_s: float) -> None:
        """Take note of how long a stream's work waited; now and then, change the stretch."""
        self._waited_s = max(self._waited_s, waited_s)
        if now_s - self._since_s < CONTROL_S:
            return
        if self._waited_s > LATE_S:
            self.stretch = min(self.stretch * LONGER, MAX_STRETCH)
        elif self._waited_s < FREE_S:
            self.stretch = max(self.stretch * SHORTER, 1.0)
        self._since_s, self._waited_s = now_s, 0.0


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
        self.hops = HopControl(clock())

    @property
    def delay_s(self) -> float:
        """Time the latest work of a stream spent queued; 0 where no stream has work."""
        return self._delay_s if self._streams else 0.0

    @contextmanager
    def stream(self) -> Iterator[Callable[[], None]]:
        """Count a stream's work while it is queued or running; call what is given as it starts."""
        queued_s = self._clock()

        def started() -> None:
            now_s = self._clock()
            self._delay_s = now_s - queued_s
            self.hops.note(self._delay_s, now_s)

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


class Slot:
    """One of `Slots`."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.turn: asyncio.Timeout | None = None  # of work that may end for another client

    @asynccontextmanager
    async def until_needed(self) -> AsyncIterator[None]:
        """Run work that ends with the error ``busy`` if another client needs the slot."""
        try:
            async with asyncio.timeout(None) as self.turn:
                yield
        except TimeoutError as error:
            raise RequestError("busy", "others need this place; retry soon", 2) from error
        finally:
            self.turn = None


class Slots:
    """Lets at most so many in at once; one more gets the error ``busy``.

    But a client that has at least two fewer than another takes one of the other's, if that is of
    work that may end.
    """

    def __init__(self, limit: int, what: str, retry_after_s: int) -> None:
        self._limit, self._what, self._retry_after_s = limit, what, retry_after_s
        self._held: dict[Slot, None] = {}

    @property
    def used(self) -> int:
        """How many are in."""
        return len(self._held)

    @contextmanager
    def slot(self, client: str) -> Iterator[Slot]:
        """Let a client in."""
        if self.used >= self._limit and not self._take_from_another(client):
            reason = f"the limit of {self._limit} {self._what} at once is reached; retry soon"
            raise RequestError("busy", reason, self._retry_after_s)
        slot = Slot(client)
        self._held[slot] = None
        try:
            yield slot
        finally:
            self._held.pop(slot, None)

    def _take_from_another(self, client: str) -> bool:
        """End the newest work of the client with most; tell whether there is any."""
        counts = Counter(slot.client for slot in self._held)
        may_end = [slot for slot in reversed(self._held) if slot.turn is not None]
        most = max(may_end, key=lambda slot: counts[slot.client], default=None)
        if most is None or most.turn is None or counts[most.client] < counts[client] + 2:
            return False
        del self._held[most]
        most.turn.reschedule(asyncio.get_running_loop().time())
        return True


class FairSlots:
    """Lets at most so many in at once; others wait, and the client with fewest in comes first."""

    def __init__(self, limit: int, per_client: int) -> None:
        self._limit, self._per_client = limit, per_client
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # who was let in last is last

    @asynccontextmanager
    async def slot(self, client: str) -> AsyncIterator[None]:
        """Wait to be let in."""
        entered = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(entered)
        self._let_in()
        try:
            await entered
            yield
        finally:
            if entered.done() and not entered.cancelled():
                self._held[client] -= 1
                self._held += Counter()  # without those that have none
            self._let_in()

    def _let_in(self) -> None:
        while self._held.total() < self._limit and (client := self._next()) is not None:
            queue = self._waiting.pop(client)
            queue.popleft().set_result(None)
            self._held[client] += 1
            if queue:
                self._waiting[client] = queue

    def _next(self) -> str | None:
        """Return the client who comes next; forget those that no longer wait."""
        for client, queue in list(self._waiting.items()):
            while queue and queue[0].done():  # cancelled
                queue.popleft()
            if not queue:
                del self._waiting[client]
        able = [client for client in self._waiting if self._held[client] < self._per_client]
        return min(able, key=lambda client: self._held[client], default=None)
