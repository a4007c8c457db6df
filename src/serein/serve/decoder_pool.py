"""A pool of processes that decode untrusted sound; the service itself never decodes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from serein.audio.channels import Sound, Taken
from serein.audio.read import RATE_HZ
from serein.errors import LONGER, ServiceError
from serein.serve.decoder_process import (
    CANCELLED,
    DIFFER,
    DONE,
    EACH,
    FAILED,
    HEAD,
    INVALID,
    LATE,
    LAYOUT,
    MIX,
    READY,
    REQUEST,
    SAMPLES,
    TOO_LONG,
    UNREAD,
    Options,
)
from serein.serve.errors import RequestError
from serein.serve.observability import Metrics
from serein.serve.sandbox import RESTRICTIONS
from serein.serve.settings import MEGABYTE, Settings

START_S = 60.0  # a cold disk is slow
GRACE_S = 5.0  # beyond its own limit, before a decoder is killed from here
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ENVIRONMENT = (  # what a decoder gets of the service's, beside one thread for arrays
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE"),
    *("SYSTEMROOT", "TEMP", "TMP", "TMPDIR"),
)
MESSAGE_BYTES = 64 * 1024
NO_TIME = "takes longer to decode than the service allows"
BROKE = "broke the decoder"
CODES = {INVALID: "unreadable", UNREAD: "unsupported_format", TOO_LONG: "too_long"}
logger = logging.getLogger("serein.serve")


@dataclass(eq=False)
class _Decoder:
    """A process that forks for each file."""

    process: Process
    control: socket.socket | None  # it takes sockets; none on Windows

    async def connect(self) -> tuple[StreamReader | None, StreamWriter | None]:
        """Open a connection for one file, whose other end only the fork that decodes it has."""
        if self.control is None:
            return self.process.stdout, self.process.stdin
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self.control, [b"+"], [theirs.fileno()])
            return await asyncio.open_connection(sock=ours, limit=MEGABYTE)
        except BaseException:
            ours.close()
            raise

    async def ended(self) -> bytes:
        """Wait until the fork has ended, and return how."""
        if self.control is None or self.process.stdout is None:
            return DONE
        return await self.process.stdout.readexactly(1)


class DecoderPool:
    """Decodes files in processes with limits of memory and time."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._idle: asyncio.Queue[_Decoder | None] = asyncio.Queue()
        self._all: set[_Decoder] = set()
        self.sandbox: tuple[str, ...] = ()  # the restrictions of decoders that hold

    async def start(self) -> None:
        """Start all decoders, and wait until they are ready."""
        count = self._settings.decoders
        for decoder in await asyncio.gather(*(self._spawn() for _ in range(count))):
            self._idle.put_nowait(decoder)
        missing = [name for name in RESTRICTIONS if name not in self.sandbox]
        if missing:
            logger.warning("decoder_sandbox", extra={"missing": missing})

    async def stop(self) -> None:
        """End all decoders."""
        for decoder in list(self._all):
            await self._end(decoder)

    async def decode(self, data: bytes, taken: Taken = "mix") -> Sound:
        """Decode channels of a file."""
        decoder: _Decoder | None = await self._idle.get()
        try:
            if decoder is not None and decoder.process.returncode is not None:  # while it waited
                await self._end(decoder)
                decoder = None
            decoder = decoder or await self._spawn()
            async with asyncio.timeout(self._settings.decoder_seconds + GRACE_S):
                kind, payload = await self._ask(decoder, data, taken)
        except (EOFError, OSError, TimeoutError, ServiceError) as error:
            await self._end(decoder)
            decoder = None
            self._failed(type(error).__name__)
            raise RequestError("decoder_failed", f"the file {BROKE}") from error
        except asyncio.CancelledError:  # the client has left
            await asyncio.shield(self._end(decoder))
            decoder = None
            raise
        finally:
            self._idle.put_nowait(decoder)
        return self._result(kind, payload)

    def _result(self, kind: bytes, payload: bytes) -> Sound:
        if kind == SAMPLES:
            sound = _sound(payload)
            if sound is None:  # read_sound gives no such thing: the decoder is not itself
                self._failed("samples")
                raise RequestError("decoder_failed", f"the file {BROKE}")
            self._metrics.decoded.inc(sound.signals[0].size / RATE_HZ)
            return sound
        reason = payload.decode("utf-8", "replace").removeprefix("<bytes>: ")
        reason = reason.removesuffix(LONGER)  # not for clients
        if kind in CODES:
            raise RequestError(CODES[kind], f"the file {reason}")
        self._failed("limits")
        raise RequestError("decoder_failed", f"the file {reason}")

    async def _ask(self, decoder: _Decoder, data: bytes, taken: Taken) -> tuple[bytes, bytes]:
        """Send a file and return the reply; raise EOFError unless it is one, and well formed."""
        reader, writer = await decoder.connect()
        if reader is None or writer is None:
            raise EOFError("no connection")
        reply = None
        try:
            code = taken if isinstance(taken, int) else EACH if taken == "each" else MIX
            writer.write(REQUEST.pack(len(data), code))
            writer.write(data)
            await writer.drain()
            reply = await self._reply(reader)
            if await reader.read(1):
                raise EOFError("more than one reply")
        except (IncompleteReadError, ConnectionError):
            reply = None  # the fork died: its parent knows how
        finally:
            writer.close()
        ended = await decoder.ended()
        if ended != DONE:
            return FAILED, (NO_TIME if ended == LATE else BROKE).encode()
        if reply is None or reply[0] not in (SAMPLES, FAILED, *CODES):
            raise EOFError("no reply")
        if decoder.control is None:
            await self._end(decoder)
        return reply

    async def _reply(self, reader: StreamReader) -> tuple[bytes, bytes]:
        kind, length = HEAD.unpack(await reader.readexactly(HEAD.size))
        seconds = self._settings.max_seconds * self._settings.max_channels
        limit = 4 * round(seconds * RATE_HZ) + 64
        if length > (limit if kind == SAMPLES else MESSAGE_BYTES) or (
            kind == SAMPLES and length % 4
        ):
            raise EOFError("a reply of a wrong length")
        return kind, await reader.readexactly(length)

    async def _spawn(self) -> _Decoder:
        """Start a decoder and wait until it is ready."""
        settings = self._settings
        options = Options(
            max_seconds=settings.max_seconds,
            max_bytes=settings.max_bytes,
            max_channels=settings.max_channels,
            memory_bytes=settings.decoder_bytes,
            seconds=settings.decoder_seconds,
        )
        decoder = await _start(options)
        self._all.add(decoder)
        try:
            async with asyncio.timeout(START_S):
                if decoder.process.stdout is None:
                    raise EOFError("no pipe")
                kind, names = await self._reply(decoder.process.stdout)
        except (EOFError, TimeoutError) as cause:
            await self._end(decoder)
            raise ServiceError(f"the decoder does not start ({type(cause).__name__})") from cause
        if kind != READY:
            await self._end(decoder)
            raise ServiceError("the decoder does not start")
        self.sandbox = tuple(json.loads(names))
        return decoder

    async def _end(self, decoder: _Decoder | None) -> None:
        if decoder is None:
            return
        self._all.discard(decoder)
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(decoder.process.pid, signal.SIGKILL)
            else:
                decoder.process.kill()
        if decoder.control is not None:
            decoder.control.close()
        await decoder.process.wait()

    def _failed(self, how: str) -> None:
        self._metrics.decoder_failures.inc()
        logger.warning("decoder_failed", extra={"how": how})


def _sound(payload: bytes) -> Sound | None:
    """Return what a reply holds, if it can be what `read_sound` gives."""
    if len(payload) < LAYOUT.size:
        return None
    signals, first, count, flags = LAYOUT.unpack_from(payload)
    samples = np.frombuffer(payload, np.float32, offset=LAYOUT.size)
    if not (signals and count and samples.size) or samples.size % signals:
        return None
    if not np.isfinite(samples).all():
        return None
    numbers = tuple(range(first, first + signals))
    lanes = tuple(samples.reshape(signals, -1))
    return Sound(lanes, numbers, count, bool(flags & DIFFER), bool(flags & CANCELLED))


async def _start(options: Options) -> _Decoder:
    """Start a process; it gets sockets for files over its standard input, where it can fork."""
    control, theirs = socket.socketpair() if hasattr(os, "fork") else (None, None)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "serein.serve.decoder_process", json.dumps(options)),
            stdin=PIPE if theirs is None else theirs.fileno(),
            stdout=PIPE,
            limit=MEGABYTE,
            env=_environment(),
            start_new_session=True,  # so that it can be killed together with its fork
        )
    finally:
        if theirs is not None:
            theirs.close()
    if control is not None:
        control.setblocking(False)
    return _Decoder(process, control)


def _environment() -> dict[str, str]:
    """Return the environment of a decoder."""
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return kept | dict.fromkeys(THREADS, "1")
