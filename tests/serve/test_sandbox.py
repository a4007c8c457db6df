"""A decoder that is taken over: it reads no other upload, answers no other client, reaches nothing.

`taken_over` puts a `read_audio` into decoders that runs an upload as Python where it begins with
`#!`, in the fork and under its restrictions: what an exploit of a parser would be. `reached` holds
what it reports, and `own` is its descriptor.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import serein
from serein.serve import decoder_pool
from serein.serve.decoder_pool import DecoderPool
from serein.serve.errors import RequestError
from serein.serve.observability import Metrics
from serein.serve.settings import Settings

TAKEN_OVER = """
import ctypes, errno, json, os, signal, socket, stat, struct, time
import numpy as np
from serein.audio import read
from serein.errors import AudioError
honest = read.read_sound

def taken_over(data, *, limits, channels):
    if not data.startswith(b"#!"):
        return honest(data, limits=limits, channels=channels)
    reached = []
    own = max(number for number in range(64) if is_open(number))
    try:
        exec(data.decode(), globals() | {"reached": reached, "own": own})
    except Exception as error:
        reached.append(repr(error))
    raise AudioError("<bytes>: " + json.dumps(reached))

def is_open(number):
    try:
        os.lseek(number, 0, os.SEEK_CUR)
    except OSError as error:
        return error.errno != errno.EBADF
    return True


read.read_sound = taken_over
"""
BARE = """
from serein.serve import sandbox
sandbox.RESTRICTIONS.clear()
"""
ATTACKS = """#!
for name, call, *given in (
    ("a file", os.open, "/etc/passwd", os.O_RDONLY),
    ("a folder", os.listdir, "/"),
    ("a new file", os.open, "/tmp/serein-taken-over", os.O_WRONLY | os.O_CREAT),
    ("memory of its parent", os.open, "/proc/PARENT/mem", os.O_RDWR),
    ("memory of its sibling", os.open, "/proc/SIBLING/mem", os.O_RDWR),
    ("memory of the service", os.open, "/proc/SERVICE/mem", os.O_RDWR),
    ("descriptors of its sibling", os.listdir, "/proc/SIBLING/fd"),
    ("a signal to its sibling", os.kill, SIBLING, 0),
    ("a signal to the service", os.kill, SERVICE, 0),
    ("a process", os.fork),
    ("a program", os.execv, "/bin/true", ["true"]),
    ("a socket", socket.socket),
    ("a pair of sockets", socket.socketpair),
    ("ptrace", ctypes.CDLL(None).ptrace, 16, SIBLING, 0, 0),
    ("pidfd", os.pidfd_open, SIBLING),
    ("more memory", ctypes.CDLL(None).prctl, 4, 1, 0, 0, 0),
):
    try:
        if call(*given) != -1:
            reached.append(name)
    except OSError:
        pass
"""
HEAD = "struct.pack('<cQ', b'S', 4000) + struct.pack('<1000f', *[0.5] * 1000)"
REPLIES = {
    "none": "os._exit(0)",
    "half": f"os.write(own, ({HEAD})[:99]); os._exit(0)",
    "two": f"os.write(own, 2 * ({HEAD})); os._exit(0)",
    "unknown": "os.write(own, b'X' + bytes(8)); os._exit(0)",
    "ready": "os.write(own, b'R' + bytes(8)); os._exit(0)",
    "endless": "os.write(own, b'S' + b'\\xff' * 8); time.sleep(60)",
    "uneven": "os.write(own, b'S' + struct.pack('<Q', 3) + bytes(3)); os._exit(0)",
    "short": "os.write(own, b'S' + struct.pack('<QI', 4, 0x10001)); os._exit(0)",
    "not even": "os.write(own, b'S' + struct.pack('<QIf', 8, 0x20102, 0.5)); os._exit(0)",
    "not finite": "os.write(own, b'S' + struct.pack('<QIf', 8, 0x10001, np.nan)); os._exit(0)",
    "and a crash": f"os.write(own, {HEAD}); os._exit(3)",
}
LINGERING = f"""#!
if not os.fork():
    os.setsid()
    for _ in range(200):
        for number in range(64):
            try:
                os.write(number, {HEAD} + b"d")
            except OSError:
                pass
        time.sleep(0.01)
    os._exit(0)
os._exit(0)
"""


@pytest.fixture
def taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let decoders run uploads; what is given runs in them before."""

    def put(before: str = "") -> None:
        (tmp_path / "sitecustomize.py").write_text(before + TAKEN_OVER)
        paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))

    put()
    return put


def with_pool(work: Callable[[DecoderPool], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        pool = DecoderPool(Settings(**({"decoders": 1} | settings)), Metrics("test"))
        await pool.start()
        try:
            await work(pool)
        finally:
            await pool.stop()

    asyncio.run(run())


def processes(pool: DecoderPool) -> list[int]:
    return [decoder.process.pid for decoder in pool._all]


async def reached(pool: DecoderPool, code: str) -> Any:
    with pytest.raises(RequestError) as refused:
        await pool.decode(code.encode())
    assert refused.value.code == "unreadable", refused.value
    return json.loads(str(refused.value).removeprefix("the file "))


async def works(pool: DecoderPool, voice: Path) -> None:
    (signal,) = (await pool.decode(voice.read_bytes())).signals
    assert np.array_equal(signal, serein.read_audio(voice))


@pytest.mark.usefixtures("taken_over")
def test_it_reaches_nothing_but_its_own_reply(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        if set(pool.sandbox) < {"landlock", "seccomp"}:
            pytest.skip(f"the kernel has only {pool.sandbox}")
        first = asyncio.ensure_future(pool.decode(voice.read_bytes()))
        pids = dict(zip(("PARENT", "SIBLING"), processes(pool), strict=True))
        code = ATTACKS
        for name, pid in (pids | {"SERVICE": os.getpid()}).items():
            code = code.replace(name, str(pid))
        assert await reached(pool, code) == []
        await first
        await works(pool, voice)

    with_pool(work, decoders=2)


@pytest.mark.usefixtures("taken_over")
def test_it_has_one_descriptor_and_no_variable_of_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEREIN_API_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    code = """#!
reached += [number for number in range(3, 64) if is_open(number)]
reached += [os.read(0, 1).decode(), os.write(1, b"a forged line"), os.write(2, b"a forged line")]
reached += sorted(os.environ)
"""

    async def work(pool: DecoderPool) -> None:
        descriptor, given, _, _, *names = await reached(pool, code)
        assert isinstance(descriptor, int)
        assert given == ""  # nothing comes from standard input
        names = [name for name in names if not name.endswith(("TELEMETRY", "STATS_ENABLED"))]
        assert set(names) <= {*decoder_pool.ENVIRONMENT, *decoder_pool.THREADS}

    with_pool(work)


@pytest.mark.usefixtures("taken_over")
def test_a_reply_that_is_not_one_reply(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_pool, "GRACE_S", 0.5)

    async def work(pool: DecoderPool) -> None:
        for kind, code in REPLIES.items():
            with pytest.raises(RequestError, match="broke the decoder") as refused:
                await pool.decode(f"#!\n{code}".encode())
            assert refused.value.code == "decoder_failed", kind
        await works(pool, voice)

    with_pool(work)


def test_without_a_sandbox_what_it_leaves_behind_answers_nobody(
    taken_over: Callable[[str], None], voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_over(BARE)
    monkeypatch.setattr(decoder_pool, "GRACE_S", 0.2)

    async def work(pool: DecoderPool) -> None:
        assert pool.sandbox == ()
        with pytest.raises(RequestError, match="broke the decoder"):
            await pool.decode(LINGERING.encode())
        for _ in range(5):
            await works(pool, voice)

    with_pool(work, decoder_seconds=2)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_that_forks_holds_nothing_of_an_upload(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        data = voice.read_bytes()
        marker = data[5000:5064]
        await pool.decode(data)
        assert marker in data
        for pid in processes(pool):
            assert not held(pid, marker)

    with_pool(work)


def held(pid: int, marker: bytes) -> bool:
    """Search the writable memory of a process."""
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                start, end, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()  # type: ignore[union-attr]
                if rights.startswith("rw"):
                    memory.seek(int(start, 16))
                    if marker in memory.read(int(end, 16) - int(start, 16)):
                        return True
    except PermissionError:  # which is what others of the same user get
        pytest.skip("needs the right to read the memory of another process")
    return False
