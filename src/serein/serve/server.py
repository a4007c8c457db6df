"""Binds the port, starts the workers, and says when they answer."""

from __future__ import annotations

import ipaddress
import logging.config
import os
import signal
import socket
import sys
from functools import partial

from uvicorn import Config, Server
from uvicorn.supervisors import Multiprocess

from serein.errors import ServiceError
from serein.inference.providers import providers
from serein.serve.app import create_app
from serein.serve.judges import read_all
from serein.serve.logs import log_config
from serein.serve.protocol import Graceful, http_protocol
from serein.serve.session import MAX_FRAME_BYTES
from serein.serve.settings import Settings
from serein.serve.store import check_store

BACKLOG = 2048
HANG_S = 60  # a worker that does not answer its supervisor for so long is replaced
POLL_S = 0.05
KEEP_ALIVE_S = 30  # longer than any Retry-After: who comes again finds the connection open


def serve(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Run the service until SIGTERM or SIGINT.

    Parameters
    ----------
    settings : Settings
        What it allows.
    host : str
        Name or address to listen on.
    port : int
        0 takes a free one.
    workers : int
        Processes that answer.

    Raises
    ------
    ServiceError
        If it cannot start.
    BundleError
        If a model cannot be used.
    EngineError
        If the provider is not there.
    """
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
