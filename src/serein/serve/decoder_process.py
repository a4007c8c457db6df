"""A process that decodes untrusted sound: bytes in, samples or an error out.

It is started by `serein.serve.decoder_pool` as ``python -m serein.serve.decoder_process``. Its
standard input is a Unix socket over which it gets one end of a socket pair for each file. It hands
that to a fork, which decodes in a sandbox (`serein.serve.sandbox`), and says on its standard output
how the fork ended. It never reads a file itself, so that no fork finds another's in its memory.

A request is 8 bytes of length, little-endian, one of the channel (0 the average, 255 each), then
the file. A reply is one byte, then 8 bytes of length, then so many bytes: ``S`` a `LAYOUT` and the
samples of each signal as float32, ``E`` why the file is invalid, ``U`` that its format is not read,
``L`` that it is too long, ``F`` how decoding failed; ``R``, ready to work, and the restrictions
that hold as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import BinaryIO, NamedTuple

from serein.audio.channels import Taken
from serein.audio.media import load_decoders
from serein.audio.read import read_sound
from serein.defaults import Limits
from serein.errors import AudioError, FormatError, MissingExtraError, TooLongError
from serein.serve.sandbox import (
    RESTRICTIONS,
    keep_only,
    limit,
    lower_priority,
    protect_memory,
    restrict,
)

REQUEST = struct.Struct("<QB")
LAYOUT = struct.Struct("<BBBB")  # signals, channel of the first, channels of the file, flags
DIFFER, CANCELLED = 1, 2  # flags
MIX, EACH = 0, 255
HEAD = struct.Struct("<cQ")
READY, SAMPLES, INVALID, UNREAD, TOO_LONG, FAILED = b"R", b"S", b"E", b"U", b"L", b"F"
DONE, LATE, BROKEN = b"d", b"l", b"b"  # how a fork ended
MAX_OPEN_FILES = 16
TRIAL_S = 20.0  # to decode half a second at the start, when the machine may be busy
NO_MEMORY = "needs more memory to decode than the service allows"
WAV_BYTES = 8000
WAV = b"".join(  # half a second of silence at 8 kHz
    (
        struct.pack("<4sI8sI", b"RIFF", 36 + WAV_BYTES, b"WAVEfmt ", 16),
        struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16),
        struct.pack("<4sI", b"data", WAV_BYTES) + bytes(WAV_BYTES),
    )
)


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
    with suppress(MissingExtraError):
        load_decoders(WAV)
    lower_priority()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl+C is for the service
    protect_memory()
    limit("RLIMIT_FSIZE", 0)
    limit("RLIMIT_NOFILE", MAX_OPEN_FILES)
    if hasattr(os, "fork"):
        _serve(options)
    else:  # Windows: one file over the standard input and output
        _write(sys.stdout.buffer, READY, b"[]")
        _decode(sys.stdin.buffer, sys.stdout.buffer, options)


def _serve(options: Options) -> None:
    """Hand each file to a fork, under the restrictions that this machine has."""
    null = os.open(os.devnull, os.O_RDWR)
    names: list[str] = []
    gc.freeze()  # or garbage collection in a fork would copy the memory of all objects
    for name in RESTRICTIONS:
        if _decodes_with([*names, name], null, options):
            names.append(name)
    _write(sys.stdout.buffer, READY, json.dumps(names).encode())
    with socket.socket(fileno=os.dup(0)) as control:
        while descriptors := socket.recv_fds(control, 1, 1)[1]:
            os.write(1, _decode_in_fork(descriptors[0], null, names, options))


def _decodes_with(names: Sequence[str], null: int, options: Options) -> bool:
    """Tell whether this machine has these restrictions, and sound is decoded under them."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(REQUEST.pack(len(WAV), MIX) + WAV)
        patient = options._replace(seconds=TRIAL_S)
        ended = _decode_in_fork(theirs.detach(), null, names, patient)
        return ended == DONE and ours.recv(1) == SAMPLES


def _decode_in_fork(channel: int, null: int, names: Sequence[str], options: Options) -> bytes:
    """Let a fork decode the file that comes over a socket; return how the fork ended."""
    child = os.fork()
    if not child:
        try:
            keep_only(channel, null)
            with open(channel, "rb") as requests, open(channel, "wb", closefd=False) as replies:
                limit("RLIMIT_AS", options.memory_bytes)
                limit("RLIMIT_CPU", max(1, round(options.seconds)))
                limit("RLIMIT_NPROC", 0)
                restrict(names)
                _decode(requests, replies, options)
        except BaseException:  # whatever it is, this process must not go on as its parent
            os._exit(1)
        os._exit(0)
    os.close(channel)
    with _killed_after(child, options.seconds):
        _, status = os.waitpid(child, 0)
    if not status:
        return DONE
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
    return LATE if late else BROKEN


def _decode(requests: BinaryIO, replies: BinaryIO, options: Options) -> None:
    """Read a request, decode its file and write the reply."""
    length, code = REQUEST.unpack(requests.read(REQUEST.size))
    limits = Limits(
        max_s=options.max_seconds, max_bytes=options.max_bytes, max_channels=options.max_channels
    )
    try:
        data = requests.read(min(length, options.max_bytes))
        sound = read_sound(data, limits=limits, channels=_channels(code))
        flags = DIFFER * sound.differ | CANCELLED * sound.cancelled
        layout = LAYOUT.pack(len(sound.signals), sound.numbers[0], sound.count, flags)
        _write(replies, SAMPLES, layout, *(signal.data.cast("B") for signal in sound.signals))
    except MemoryError:
        _write(replies, FAILED, NO_MEMORY.encode())
    except (AudioError, MissingExtraError) as error:
        _write(replies, _kind(error), str(error).encode("utf-8", "replace"))


def _kind(error: AudioError | MissingExtraError) -> bytes:
    """Tell the kind of reply that an error gets."""
    if isinstance(error, TooLongError):
        return TOO_LONG
    return UNREAD if isinstance(error, (FormatError, MissingExtraError)) else INVALID


def _channels(code: int) -> Taken:
    return "mix" if code == MIX else "each" if code == EACH else code


def _write(replies: BinaryIO, kind: bytes, *payload: bytes | memoryview) -> None:
    replies.write(HEAD.pack(kind, sum(map(len, payload))))
    for part in payload:
        replies.write(part)
    replies.flush()


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


if __name__ == "__main__":
    main()
