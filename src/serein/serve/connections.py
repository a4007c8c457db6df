"""How many connections are open, and which end when there are too many."""

from __future__ import annotations

import errno
import socket
from asyncio import BaseTransport, Transport
from dataclasses import replace
from typing import Any

from serein.serve.clients import network_of
from serein.serve.observability import warn_rarely
from serein.serve.settings import Settings

RESERVED = 32  # descriptors that connections leave to decoders, models and files
NO_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def descriptor_limit() -> int | None:
    """Return how many descriptors this process may have, where the system says so."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def fit_connections(settings: Settings) -> Settings:
    """Lower the limits of connections to what the descriptors allow."""
    limit, total = descriptor_limit(), settings.max_connections
    if limit is not None:
        total = min(total, max(2, (limit - 2 * RESERVED) * 3 // 4))
    per_client = min(settings.connections_per_client, total)
    return replace(settings, max_connections=total, connections_per_client=per_client)


class Connections:
    """The open connections of this worker, by client.

    A new one above a limit ends the connection that has waited longest for a request: of the same
    client, or of the client with most. Where none waits, the new one ends.
    """

    def __init__(self, settings: Settings) -> None:
        self._total, self._per_client = settings.max_connections, settings.connections_per_client
        self._open: dict[str, dict[BaseTransport, bool]] = {}  # whether each waits for a request
        self._clients: dict[BaseTransport, str] = {}

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._clients)

    def add(self, transport: Transport) -> None:
        """Count a new connection, and end one if there are too many."""
        client = network_of(transport.get_extra_info("peername"))
        self._clients[transport] = client
        own = self._open.setdefault(client, {})
        own[transport] = False  # it must not end itself for another
        if self._per_client and len(own) > self._per_client:
            self._end_one([client], transport)
        elif len(self) > self._total:
            self._end_one(sorted(self._open, key=lambda one: -len(self._open[one])), transport)
        if transport in own:
            own[transport] = True

    def set_waiting(self, transport: BaseTransport, waiting: bool) -> None:
        """Note whether a connection waits for a request."""
        if transport in self._clients:
            own = self._open[self._clients[transport]]
            del own[transport]  # put at the end: those that have waited longest come first
            own[transport] = waiting

    def remove(self, transport: BaseTransport) -> None:
        """Forget a connection that ended."""
        client = self._clients.pop(transport, None)
        if client is not None:
            del self._open[client][transport]
            if not self._open[client]:
                del self._open[client]

    def _end_one(self, clients: list[str], newest: Transport) -> None:
        warn_rarely("too_many_connections")
        waiting = (
            found for client in clients for found, waits in self._open[client].items() if waits
        )
        ended: Any = next(waiting, newest)
        self.remove(ended)
        ended.abort()


class Listener(socket.socket):
    """A listening socket that leaves some descriptors free, and ends what comes beyond.

    asyncio would accept none for a second where there are no more, and log each try.
    """

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; raise BlockingIOError where there is none, or no descriptor."""
        try:
            connection, address = super().accept()
        except OSError as error:
            if error.errno not in NO_RESOURCES:
                raise
            warn_rarely("out_of_descriptors")
            raise BlockingIOError from error
        limit = descriptor_limit()
        if limit is not None and connection.fileno() >= limit - RESERVED:  # numbers fill up from 0
            connection.close()
            warn_rarely("out_of_descriptors")
            raise BlockingIOError
        return connection, address

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it for a worker, as `multiprocessing` does with sockets."""
        from multiprocessing.reduction import DupFd  # not on Windows

        return _listener, (DupFd(self.fileno()),)


def _listener(descriptor: Any) -> Listener:
    return Listener(fileno=descriptor.detach())


def listener(bound: socket.socket) -> socket.socket:
    """Return a socket whose connections leave some descriptors free; the one given is used up."""
    return bound if descriptor_limit() is None else Listener(fileno=bound.detach())
