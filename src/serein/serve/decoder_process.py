"""A process that decodes untrusted sound: bytes in, samples or an error out.

It is started by `serein.serve.decoder_pool` as ``python -m serein.serve.decoder_process`` and
speaks over its pipes. A request is 8 bytes of length, little-endian, then the file. A reply is one
byte, then 8 bytes of length, then so many bytes: ``R`` ready to work, ``S`` samples as float32,
``E`` why the file is invalid, ``F`` how decoding failed. Each file is decoded in a fork with
limits of its own, so that a file that breaks its process does not affect the next.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import BinaryIO, NamedTuple

from serein.audio.read import read_audio
from serein.defaults import Limits
from serein.errors import AudioError

LENGTH = struct.Struct("<Q")
HEAD = struct.Struct("<cQ")
READY, SAMPLES, INVALID, FAILED = b"R", b"S", b"E", b"F"
MAX_OPEN_FILES = 16
STARTED = b"s"
NO_MEMORY = "needs more memory to decode than the service allows"
NO_TIME = "takes longer to decode than the service allows"


class Options(NamedTuple):
    """Limits of a decoder; the command line holds them as JSON."""

    max_seconds: float
    max_bytes: int
    max_channels: int
    memory_bytes: int  # of address space
    seconds: float  # for one file


def main() -> None:
    """Serve requests until the other end closes."""
    options = Options(*json.loads(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl+C is for the service
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", 0)
    _limit("RLIMIT_NOFILE", MAX_OPEN_FILES)
    limits = Limits(
        max_s=options.max_seconds, max_bytes=options.max_bytes, max_channels=options.max_channels
    )
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    _write(replies, READY, b"")
    while (data := _read(requests, options.max_bytes)) is not None:
        if not hasattr(os, "fork"):
            _write(replies, *_decoded(data, limits))
            return
        _run_in_fork(lambda data=data: _decoded(data, limits), replies, options)  # type: ignore[misc]


def _read(requests: BinaryIO, max_bytes: int) -> bytes | None:
    """Read one request; None at the end."""
    head = requests.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    if length > max_bytes:
        return None
    data = requests.read(length)
    return data if len(data) == length else None


def _write(replies: BinaryIO, kind: bytes, payload: bytes | memoryview) -> None:
    replies.write(HEAD.pack(kind, len(payload)))
    replies.write(payload)
    replies.flush()


def _decoded(data: bytes, limits: Limits) -> tuple[bytes, bytes | memoryview]:
    """Decode a file into the kind and the payload of a reply."""
    try:
        return SAMPLES, read_audio(data, limits=limits).data.cast("B")
    except MemoryError:
        return FAILED, NO_MEMORY.encode()
    except AudioError as error:
        return INVALID, str(error).encode("utf-8", "replace")


def _run_in_fork(
    work: Callable[[], tuple[bytes, bytes | memoryview]],
    replies: BinaryIO,
    options: Options,
) -> None:
    """Run the work in a fork, which replies; reply for it if it dies before it starts to."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            _restrict(options)
            kind, payload = work()
            os.write(writing, STARTED)
            _write(replies, kind, payload)
        except BaseException:  # whatever it is, this process must not go on as its parent
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with _killed_after(child, options.seconds):
        _, status = os.waitpid(child, 0)
    replied = os.read(reading, 1) == STARTED
    os.close(reading)
    if not replied:
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
        _write(replies, FAILED, (NO_TIME if late else "broke the decoder").encode())
    elif status:
        sys.exit(1)  # half a reply: the other end cannot know where the next one begins


def _restrict(options: Options) -> None:
    """Limit this process to what decoding needs."""
    _limit("RLIMIT_AS", options.memory_bytes)
    _limit("RLIMIT_CPU", max(1, round(options.seconds)))
    _limit("RLIMIT_NPROC", 0)


@contextmanager
def _killed_after(child: int, seconds: float) -> Iterator[None]:
    """Kill a child process that takes longer than this."""

    def kill(_signal: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit(name: str, value: int) -> None:
    """Lower a limit of this process, where the system has it."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock alone
        return
    try:
        hard = resource.getrlimit(getattr(resource, name))[1]
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (lower, lower))
    except (AttributeError, ValueError, OSError):  # macOS has no limit of address space
        return


if __name__ == "__main__":
    main()
