"""Who counts as one client, and how many requests a client may send."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import Scope

UNKNOWN = "unknown"


def client_of(scope: Scope) -> str:
    """Return the client of a request, as `network_of` does."""
    return network_of(scope.get("client"))


def network_of(address: tuple[str, int] | None) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    name = (address or (UNKNOWN, 0))[0]
    try:
        found = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:  # an IPv4 client of a socket for both
        return str(found.ipv4_mapped)
    return f"{int(found) >> 64:x}/64"


class RateLimiter:
    """A token bucket for each client: full at first, and filled again over a minute.

    It remembers the latest clients only: a bucket that was not used for a minute is full again, as
    that of a client never seen.
    """

    def __init__(
        self,
        per_minute: int,
        max_clients: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_minute, self._max_clients, self._clock = per_minute, max_clients, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def __len__(self) -> int:
        """Return how many clients it remembers."""
        return len(self._buckets)

    def wait_s(self, client: str) -> int:
        """Take a token, and return 0; or the seconds until there is one, if there is none."""
        per_second, now = self._per_minute / 60, self._clock()
        tokens, since = self._buckets.pop(client, (float(self._per_minute), now))
        tokens = min(self._per_minute, tokens + (now - since) * per_second)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - allowed, now)
        if len(self._buckets) > self._max_clients:
            self._buckets.popitem(last=False)
        return 0 if allowed else math.ceil((1 - tokens) / per_second)
