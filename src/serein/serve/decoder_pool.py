"""A pool of processes that decode untrusted sound; the service itself never decodes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

import numpy as np

from serein.audio.read import RATE_HZ, Signal
from serein.errors import ServiceError
from serein.serve.decoder_process import FAILED, HEAD, INVALID, LENGTH, READY, SAMPLES, Options
from serein.serve.errors import RequestError
from serein.serve.observability import Metrics
from serein.serve.settings import MEGABYTE, Settings

START_S = 60.0  # a cold disk is slow
GRACE_S = 5.0  # beyond its own limit, before a decoder is killed from here
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MESSAGE_BYTES = 64 * 1024
SERVER_ADVICE = ", or raise max_s in the limits"  # not for clients
logger = logging.getLogger("serein.serve")


class DecoderPool:
    """Decodes files in processes with limits of memory and time."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._idle: asyncio.Queue[Process | None] = asyncio.Queue()
        self._all: set[Process] = set()

    async def start(self) -> None:
        """Start all decoders, and wait until they are ready."""
        count = self._settings.decoders
        for process in await asyncio.gather(*(self._spawn() for _ in range(count))):
            self._idle.put_nowait(process)

    async def stop(self) -> None:
        """End all decoders."""
        for process in list(self._all):
            await self._end(process)

    async def decode(self, data: bytes) -> Signal:
        """Decode a file."""
        process: Process | None = await self._idle.get()
        try:
            if process is not None and process.returncode is not None:  # it died while it waited
                await self._end(process)
                process = None
            process = process or await self._spawn()
            async with asyncio.timeout(self._settings.decoder_seconds + GRACE_S):
                kind, payload = await self._ask(process, data)
        except (EOFError, OSError, TimeoutError, ServiceError) as error:
            await self._end(process)
            process = None
            self._failed(type(error).__name__)
            raise RequestError("decoder_failed", "the file broke the decoder") from error
        except asyncio.CancelledError:  # the client has left
            await asyncio.shield(self._end(process))
            process = None
            raise
        finally:
            self._idle.put_nowait(process)
        return self._result(kind, payload)

    def _result(self, kind: bytes, payload: bytes) -> Signal:
        if kind == SAMPLES:
            samples = np.frombuffer(payload, np.float32)
            self._metrics.decoded.inc(samples.size / RATE_HZ)
            return samples
        reason = payload.decode("utf-8", "replace").removeprefix("<bytes>: ")
        reason = reason.removesuffix(SERVER_ADVICE)
        if kind == INVALID:
            raise RequestError("unreadable", f"the file {reason}")
        self._failed("limits")
        raise RequestError("decoder_failed", f"the file {reason}")

    async def _ask(self, process: Process, data: bytes) -> tuple[bytes, bytes]:
        """Send a file and wait for the reply; raise EOFError where it is malformed."""
        requests = process.stdin
        if requests is None:
            raise EOFError("no pipe")
        requests.write(LENGTH.pack(len(data)))
        requests.write(data)
        await requests.drain()
        kind, payload = await self._reply(process)
        if kind not in (SAMPLES, INVALID, FAILED) or (kind == SAMPLES and len(payload) % 4):
            raise EOFError("malformed reply")
        if not hasattr(os, "fork"):  # then it decodes one file and ends
            await self._end(process)
        return kind, payload

    async def _reply(self, process: Process) -> tuple[bytes, bytes]:
        replies = process.stdout
        if replies is None:
            raise EOFError("no pipe")
        kind, length = HEAD.unpack(await replies.readexactly(HEAD.size))
        limit = 4 * round(self._settings.max_seconds * RATE_HZ) + 64
        if length > (limit if kind == SAMPLES else MESSAGE_BYTES):
            raise EOFError("a reply that is too long")
        return kind, await replies.readexactly(length)

    async def _spawn(self) -> Process:
        """Start a decoder and wait until it is ready."""
        settings = self._settings
        options = Options(
            max_seconds=settings.max_seconds,
            max_bytes=settings.max_bytes,
            max_channels=settings.max_channels,
            memory_bytes=settings.decoder_bytes,
            seconds=settings.decoder_seconds,
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "serein.serve.decoder_process", json.dumps(options)),
            stdin=PIPE,
            stdout=PIPE,
            limit=MEGABYTE,
            env=_environment(),
            start_new_session=True,  # so that it can be killed together with its fork
        )
        self._all.add(process)
        try:
            async with asyncio.timeout(START_S):
                kind, _ = await self._reply(process)
        except (EOFError, TimeoutError) as cause:
            await self._end(process)
            raise ServiceError(f"the decoder does not start ({type(cause).__name__})") from cause
        if kind != READY:
            raise ServiceError("the decoder does not start")
        return process

    async def _end(self, process: Process | None) -> None:
        if process is None:
            return
        self._all.discard(process)
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        await process.wait()

    def _failed(self, how: str) -> None:
        self._metrics.decoder_failures.inc()
        logger.warning("decoder_failed", extra={"how": how})


def _environment() -> dict[str, str]:
    """Return the environment of a decoder: no secrets of the service, one thread for arrays."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEREIN_")}
    return kept | dict.fromkeys(THREADS, "1")
