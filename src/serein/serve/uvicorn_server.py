"""The HTTP server: uvicorn with deadlines, an orderly stop, and workers that are replaced.

This is the only module that uses uvicorn's internals: it overrides methods of its protocols and of
its supervisor, which may change in any release, so ``pyproject.toml`` bounds uvicorn's version.
What uvicorn has no option for: a limit of time for the headers of a request, streams that may end
themselves when the service stops, and a worker that is replaced as soon as it dies. Before raising
the bound, run ``tests/serve/test_server.py`` and ``tests/serve/test_hostile.py``.
"""

from __future__ import annotations

import signal
import socket
import sys
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors import Multiprocess
from websockets.http11 import Response

from serein.errors import ServiceError
from serein.serve.connections import Connections, listener
from serein.serve.errors import RequestError
from serein.serve.middleware import HEADERS, INTERNAL
from serein.serve.observability import log_config
from serein.serve.settings import MAX_FRAME_BYTES, STOPPING_KEY, Settings

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


BACKLOG = 128  # connections that wait to be accepted
HEALTHCHECK_S = 60  # a worker that does not answer its supervisor for so long is replaced
POLL_S = 0.05
KEEP_ALIVE_S = 30  # longer than any Retry-After: a client that retries finds the connection open
HEADERS_TOO_LARGE = "the headers are too large"
BAD_HANDSHAKE = RequestError("bad_request", "the handshake of the WebSocket is malformed")
MAX_HEADER_BYTES = 32 * 1024  # request line and headers


def run(
    make_app: Callable[[], Any], settings: Settings, bound: socket.socket, workers: int
) -> None:
    """Serve an application on a socket until SIGTERM or SIGINT."""
    config, bound = _config(make_app, settings, workers), listener(bound)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: None)  # uvicorn raises them again when all is done
    started = _run_one(config, bound) if workers == 1 else _run_many(config, bound)
    if not started:
        raise ServiceError("the service does not start; the lines above say why")


def _config(make_app: Callable[[], Any], settings: Settings, workers: int) -> Config:
    """Return uvicorn's configuration; each worker makes its application itself."""
    return Config(
        make_app,
        factory=True,
        workers=workers,
        loop="asyncio",  # others accept connections without the listener
        http=http_protocol(settings),
        ws=DrainingWebSocketProtocol,
        ws_max_size=2 * MAX_FRAME_BYTES,  # beyond it the connection is cut without a message
        ws_ping_interval=None,  # a pong waits behind unread sound: a client that lags is not gone
        ws_per_message_deflate=False,  # sound does not compress, and bombs are not wanted
        log_config=log_config(),
        access_log=False,
        proxy_headers=False,  # which proxies to trust is for their operator to say, not a header
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.stop_seconds),
        timeout_worker_healthcheck=HEALTHCHECK_S,
    )


def _run_one(config: Config, bound: socket.socket) -> bool:
    with bound:
        try:
            _AnnouncingServer(config).run([bound])
        except SystemExit:  # uvicorn has logged why
            return False
    return True


def _run_many(config: Config, bound: socket.socket) -> bool:
    supervisor = _Supervisor(config, bound)
    supervisor.run()
    return supervisor.started


def _announce(bound: socket.socket) -> None:
    """Print the address of the service."""
    host, port = bound.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"serein: listening on http://{name}:{port}\n")
    sys.stdout.flush()


class _AnnouncingServer(Server):
    """A server that prints its address once it accepts requests."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for bound in sockets or []:
            _announce(bound)


class _Supervisor(Multiprocess):
    """Starts workers, replaces those that die, and prints the address once all are ready."""

    def __init__(self, config: Config, bound: socket.socket) -> None:
        super().__init__(config, [bound])
        self.started = False

    def init_processes(self) -> None:
        """Start the workers, and wait until all are ready or one fails."""
        super().init_processes()
        self._close_child_ends()
        while not all(process.is_ready(timeout=1) for process in self.processes):
            self.handle_signals()
            if self.should_exit.wait(POLL_S):
                self.started = True  # a signal ended it, not a failure
                return
            if any(process.exitcode is not None for process in self.processes):
                self.should_exit.set()
                return
        self.started = True
        _announce(self.sockets[0])

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died or hang."""
        self._close_child_ends()
        super().keep_subprocess_alive()

    def _close_child_ends(self) -> None:
        """Close the workers' ends of their pipes in this process.

        Otherwise a worker that dies during a health check is waited for as if it hung.
        """
        for process in self.processes:
            process.child_conn.close()

    def terminate_all(self) -> None:
        """Accept no further connections, and end the workers."""
        for bound in self.sockets:
            bound.close()
        super().terminate_all()


def http_protocol(settings: Settings) -> Any:
    """Return the factory of the HTTP protocol."""
    return partial(DeadlineHttpProtocol, settings=settings, open_now=Connections(settings))


class DeadlineHttpProtocol(HttpToolsProtocol):
    """HTTP with limits on the time and the size of a request's headers.

    uvicorn waits without limit for the first request of a connection, and for the rest of a
    request's headers.
    """

    def __init__(
        self, *positional: Any, settings: Settings, open_now: Connections, **named: Any
    ) -> None:
        super().__init__(*positional, **named)
        self._open_now = open_now
        self._header_seconds = settings.header_seconds
        self._linger_seconds = settings.linger_seconds
        self._response_seconds = settings.response_seconds
        self._deadline: TimerHandle | None = None
        self._unread: TimerHandle | None = None  # ends a client that does not read a response
        self._in_header = True
        self._header_bytes = 0
        self._piece_bytes = 0
        self._parsed_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Set the deadline of the first request."""
        super().connection_made(transport)
        self._open_now.add(transport)
        self._set_deadline(self._header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Clear the deadline."""
        self._open_now.remove(self.transport)
        self._set_deadline(None)
        self._set_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of headers."""
        self._piece_bytes = len(data)
        if self._in_header:
            self._header_bytes += len(data)
        super().data_received(data)
        too_large = self._in_header and self._header_bytes > MAX_HEADER_BYTES
        if too_large and not self.transport.is_closing():
            self.send_400_response(HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Set the deadline of the next request of a connection."""
        super().on_message_begin()
        if not self.transport.get_write_buffer_size():
            self._set_read()
        self._in_header, self._header_bytes = True, self._piece_bytes
        self._parsed_bytes = 0
        if self._deadline is None:
            self._set_deadline(self._header_seconds)

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the bytes of a header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        """Raise an error, which the parser reports, if the headers are too large."""
        self._parsed_bytes += size
        if self._parsed_bytes > MAX_HEADER_BYTES:
            raise RequestError("bad_request", HEADERS_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:
        """Say as JSON that a request is malformed, and end the connection."""
        if self._parsed_bytes > MAX_HEADER_BYTES:
            msg = HEADERS_TOO_LARGE
        response = RequestError("bad_request", msg).response()
        lines = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        head = b"".join(b"%b: %b\r\n" % line for line in [*response.raw_headers, *lines])
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\n%bconnection: close\r\n\r\n%b"
            % (head, bytes(response.body))
        )
        self.transport.close()

    def on_headers_complete(self) -> None:
        """Clear the deadline."""
        self._in_header = False
        self._open_now.set_waiting(self.transport, False)
        self._set_deadline(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Let a client that has sent its whole request keep its connection."""
        super().on_message_complete()
        self._set_deadline(None)

    def on_response_complete(self) -> None:
        """Leave a client whose request was answered early time to read the response.

        Closing at once, with bytes unread, would reset the connection and lose the response.
        """
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._set_unread()
        else:
            self._set_read()
        if self.cycle is None or self.cycle.response_complete:  # no other request is in progress
            self._open_now.set_waiting(self.transport, True)
        if self.cycle is not None and self.cycle.more_body and not self.transport.is_closing():
            self._set_deadline(self._linger_seconds)

    def pause_writing(self) -> None:
        """Set the deadline of reading a response."""
        super().pause_writing()
        self._set_unread()

    def _set_unread(self) -> None:
        if self._unread is None:
            self._unread = self.loop.call_later(self._response_seconds, self._cut_unread)

    def _set_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _cut_unread(self) -> None:
        self._unread = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the protocol of WebSocket."""
        super().handle_websocket_upgrade()
        upgraded = self.transport.get_protocol()
        if isinstance(upgraded, DrainingWebSocketProtocol):
            upgraded.on_lost = partial(self._open_now.remove, self.transport)

    def shutdown(self) -> None:
        """Tell the application that the service stops."""
        self.app_state[STOPPING_KEY].set()
        super().shutdown()

    def _set_deadline(self, seconds: float | None) -> None:
        """Cut the connection after so long, or never."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._cut)

    def _cut(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()


class DrainingWebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket whose streams end themselves when the service stops.

    uvicorn would close them at once, and pending events would be lost.
    """

    on_lost: Callable[[], None] | None = None

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        self.conn.reject = partial(_rejected, self.conn.reject)  # type: ignore[method-assign]

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that the connection is lost."""
        if self.on_lost is not None:
            self.on_lost()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Tell the application that the service stops."""
        self.app_state[STOPPING_KEY].set()
        if not self.handshake_complete or self.close_sent:
            super().shutdown()

    async def run_asgi(self) -> None:
        """Run the application; then the client has some time to read the rest."""
        await super().run_asgi()
        self.loop.call_later(self.close_timeout + 1, self.transport.abort)

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message of the application.

        uvicorn would log each error response, once sent, as a handshake that was not completed.
        """
        await super().send(message)
        self.handshake_complete |= self.close_sent


def _rejected(reject: Callable[..., Response], status: int, _reason: str) -> Response:
    """Respond to a handshake as JSON; websockets would repeat the header that is wrong."""
    error = INTERNAL if status >= 500 else BAD_HANDSHAKE
    response = reject(status, bytes(error.response().body).decode())
    del response.headers["Content-Type"]
    response.headers.update(HEADERS | {"Content-Type": "application/json"})
    return response
