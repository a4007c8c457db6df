"""Binds the port, starts the workers, and says when they answer."""

from __future__ import annotations

import ipaddress
import logging.config
import os
import signal
import socket
import sys
from asyncio import TimerHandle, Transport
from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors import Multiprocess

from serein.errors import ServiceError
from serein.inference.network import providers
from serein.serve.app import create_app
from serein.serve.observability import log_config
from serein.serve.recognizers import read_all
from serein.serve.settings import MAX_FRAME_BYTES, STOPPING, Settings
from serein.serve.uploads import check_store

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


BACKLOG = 2048
HANG_S = 60  # a worker that does not answer its supervisor for so long is replaced
POLL_S = 0.05
KEEP_ALIVE_S = 30  # longer than any Retry-After: who comes again finds the connection open


def serve(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Run the service until SIGTERM or SIGINT."""
    check_store(settings.store)
    read_all(settings.models)
    providers(settings.provider)
    bound = _bind(host, port)
    _check_reach(bound, settings)
    logging.config.dictConfig(log_config())
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: None)  # uvicorn raises them again when all is done
    if workers == 1:
        with bound:
            _serve_alone(settings, bound)
        return
    supervisor = _Supervisor(_config(settings, workers), bound)
    supervisor.run()
    if not supervisor.answered:
        raise ServiceError("the workers do not start; the lines above say why")


def _bind(host: str, port: int) -> socket.socket:
    """Take the port; nobody is let in yet."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, number)
        if os.name == "posix":  # elsewhere it would let two services share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise ServiceError(f"cannot listen on {host}, port {port}: {reason}") from cause
    return bound


def _check_reach(bound: socket.socket, settings: Settings) -> None:
    """Refuse to be reached from other machines without a key."""
    address = bound.getsockname()[0]
    if not ipaddress.ip_address(address.partition("%")[0]).is_loopback and not settings.api_key:
        bound.close()
        raise ServiceError(
            f"{address} can be reached from other machines: give an API key by --api-key-file or "
            "SEREIN_API_KEY, or listen on 127.0.0.1"
        )


def _config(settings: Settings, workers: int) -> Config:
    """Return uvicorn's configuration. What runs is made in each worker, from the settings."""
    return Config(
        partial(create_app, settings, os.getpid() if workers > 1 else None),
        factory=True,
        workers=workers,
        http=http_protocol(settings),
        ws=Graceful,
        ws_max_size=2 * MAX_FRAME_BYTES,  # beyond it the connection is cut without a word
        ws_ping_interval=None,  # a pong waits behind sound not yet heard: who lags is not gone
        ws_per_message_deflate=False,  # sound does not compress, and bombs are not wanted
        log_config=log_config(),
        access_log=False,
        proxy_headers=False,  # who may be believed is the proxy's operator's to say, not a header's
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.stop_seconds),
        timeout_worker_healthcheck=HANG_S,
    )


def _serve_alone(settings: Settings, bound: socket.socket) -> None:
    server = _Server(_config(settings, 1))
    try:
        server.run([bound])
    except SystemExit as cause:  # uvicorn has logged why
        raise ServiceError("the service does not start; the lines above say why") from cause


def _announce(bound: socket.socket) -> None:
    """Say where the service answers."""
    host, port = bound.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"serein: listening on http://{name}:{port}\n")
    sys.stdout.flush()


class _Server(Server):
    """A server that says when it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for bound in sockets or []:
            _announce(bound)


class _Supervisor(Multiprocess):
    """Starts workers, replaces those that die, and says when all answer."""

    def __init__(self, config: Config, bound: socket.socket) -> None:
        super().__init__(config, [bound])
        self.answered = False

    def init_processes(self) -> None:
        """Start the workers and wait until all answer, or one cannot."""
        super().init_processes()
        self._let_go()
        while not all(process.is_ready(timeout=1) for process in self.processes):
            self.handle_signals()
            if self.should_exit.wait(POLL_S):
                self.answered = True  # it was told to stop
                return
            if any(process.exitcode is not None for process in self.processes):
                self.should_exit.set()
                return
        self.answered = True
        _announce(self.sockets[0])

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died or hang."""
        self._let_go()
        super().keep_subprocess_alive()

    def _let_go(self) -> None:
        """Close the workers' ends of their pipes here.

        Else a worker that dies while it is asked whether it lives is waited for, as if it hung.
        """
        for process in self.processes:
            process.child_conn.close()

    def terminate_all(self) -> None:
        """Let nobody in any more, and end the workers."""
        for bound in self.sockets:
            bound.close()
        super().terminate_all()


MAX_HEAD_BYTES = 64 * 1024  # request line and headers


def http_protocol(settings: Settings) -> Any:
    """Return the protocol's factory."""
    return partial(Punctual, settings=settings)


class Punctual(HttpToolsProtocol):
    """HTTP, whose headers have to come soon, and not be endless.

    uvicorn waits for the first request of a connection, and for the rest of a request's headers,
    as long as the client likes.
    """

    def __init__(self, *positional: Any, settings: Settings, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._header_seconds = settings.header_seconds
        self._linger_seconds = settings.linger_seconds
        self._deadline: TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._read_bytes = 0  # of the present piece

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._wait(self._header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to headers; they may not go on for ever."""
        self._read_bytes = len(data)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        """Start the clock for the next request of a connection."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, self._read_bytes
        if self._deadline is None:
            self._wait(self._header_seconds)

    def on_headers_complete(self) -> None:
        """Stop the clock."""
        self._in_head = False
        self._wait(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Let a client that has finished after all keep its connection."""
        super().on_message_complete()
        self._wait(None)

    def on_response_complete(self) -> None:
        """Leave a client that was answered early a moment to finish, and to read the answer.

        Closing at once, with bytes unread, would reset the connection and lose the answer.
        """
        super().on_response_complete()
        if self.cycle is not None and self.cycle.more_body and not self.transport.is_closing():
            self._wait(self._linger_seconds)

    def shutdown(self) -> None:
        """Tell the application that the service stops."""
        self.app_state[STOPPING].set()
        super().shutdown()

    def _wait(self, seconds: float | None) -> None:
        """Close the connection after so long, or never."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()


class Graceful(WebSocketsSansIOProtocol):
    """WebSocket, whose streams end themselves when the service stops.

    uvicorn would close them at once, and what is pending would be lost.
    """

    def shutdown(self) -> None:
        """Tell the application that the service stops."""
        self.app_state[STOPPING].set()
        if not self.handshake_complete or self.close_sent:
            super().shutdown()

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says.

        uvicorn would log each refusal, once sent, as a handshake that was forgotten.
        """
        await super().send(message)
        self.handshake_complete |= self.close_sent
