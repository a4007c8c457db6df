"""The service in this process, without a socket: bytes go straight into its HTTP protocol."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

MAX_WAIT_S = 5.0
ACCEPT_S = 0.02  # for a WebSocket to be accepted
TURNS = 20  # of the loop, after which a request that waits for more would wait for ever


class Service:
    """Started once; each conversation has a connection of its own."""

    def __init__(self, model: Path) -> None:
        from uvicorn import Config
        from uvicorn.server import ServerState

        from serein.serve.app import create_app
        from serein.serve.settings import Settings
        from serein.serve.uvicorn_server import DrainingWebSocketProtocol, http_protocol

        settings = Settings(
            models=(str(model),), max_megabytes=0.02, max_seconds=2, decoders=1, linger_seconds=0.1,
            requests_per_minute=0, send_seconds=1,
        )  # fmt: skip
        self.app = create_app(settings)
        self.failures = _Failures()
        self._runner = asyncio.Runner()
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.state: dict[str, Any] = {}
        self._ended = self.run(self._start())
        self._state = ServerState()
        self._config = Config(
            self.app,
            http=http_protocol(settings),
            ws=DrainingWebSocketProtocol,
            log_config=None,
            access_log=False,
        )
        self._config.load()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end, or to the end of all patience."""
        return self._runner.run(asyncio.wait_for(work, MAX_WAIT_S + 25))

    async def talk(self, data: bytes) -> bytes:
        """Send bytes over a connection, close it, and return what was answered."""
        wire = _Wire()
        protocol = self._config.http_protocol_class(
            config=self._config,
            server_state=self._state,
            app_state=self.state,
            _loop=asyncio.get_running_loop(),
        )
        wire.set_protocol(protocol)
        protocol.connection_made(wire)
        protocol.data_received(data)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if wire.is_upgraded(protocol):
            await asyncio.sleep(ACCEPT_S)
        cycle = getattr(protocol, "cycle", None)
        if cycle is None or cycle.more_body:
            wire.lose()
        async with asyncio.timeout(MAX_WAIT_S):
            while self._state.tasks:
                await asyncio.gather(*self._state.tasks)
        wire.lose()
        return bytes(wire.written)

    def close(self) -> None:
        """Stop the service and its decoders."""
        self.run(self._stop())
        self._runner.close()

    async def _start(self) -> asyncio.Task[None]:
        started = asyncio.get_running_loop().create_future()

        async def send(message: dict[str, Any]) -> None:
            if not started.done():
                started.set_result(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        self._told.put_nowait({"type": "lifespan.startup"})
        task = asyncio.ensure_future(self.app(scope, self._told.get, send))
        if await started != "lifespan.startup.complete":
            raise RuntimeError("the service does not start")
        return task

    async def _stop(self) -> None:
        self._told.put_nowait({"type": "lifespan.shutdown"})
        await self._ended


class _Wire(asyncio.Transport):
    """A connection from this machine, as a protocol sees it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 40_000), "sockname": ("127.0.0.1", 8000)})
        self.written = bytearray()
        self._closing = False
        self._protocol: Any = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._closing = True

    def get_write_buffer_size(self) -> int:
        return 0

    def get_protocol(self) -> Any:
        return self._protocol

    def lose(self) -> None:
        """Let the client go away."""
        self._closing = True
        if self._protocol is not None:
            self._protocol.connection_lost(None)
            self._protocol = None

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def is_upgraded(self, protocol: Any) -> bool:
        """Tell whether another protocol took over: a WebSocket."""
        return self._protocol not in (protocol, None)

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_reading(self) -> bool:
        return True


class _Failures(logging.Handler):
    """Keeps where in the service something failed that should not."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []
        for name in ("serein.serve", "uvicorn.error"):
            logger = logging.getLogger(name)
            logger.addHandler(self)
            logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        more = {key: record.__dict__.get(key) for key in ("error", "at")}
        self.found.append(f"{record.getMessage()} {more}")

    def check(self) -> None:
        """Raise what was found."""
        if found := self.found:
            self.found = []
            raise RuntimeError("; ".join(found))
