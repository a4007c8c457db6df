"""The pool of decoders: what one file does to a decoder ends with it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import serein
from made_sounds import flac_silence
from serein.serve import decoder_pool as module
from serein.serve.decoder_pool import DecoderPool
from serein.serve.errors import RequestError
from serein.serve.observability import Metrics
from serein.serve.settings import MEGABYTE, Settings

LONG = flac_silence(590)


def with_pool(work: Callable[[DecoderPool], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        pool = DecoderPool(Settings(decoders=1, **settings), Metrics("test"))
        await pool.start()
        try:
            await work(pool)
        finally:
            await pool.stop()

    asyncio.run(run())


def decoder(pool: DecoderPool) -> int:
    (process,) = pool._all
    return process.pid


async def works(pool: DecoderPool, voice: Path) -> None:
    assert np.array_equal(await pool.decode(voice.read_bytes()), serein.read_audio(voice))


def test_samples_are_those_of_read_audio(voice: Path) -> None:
    with_pool(lambda pool: works(pool, voice))


def test_too_little_time(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        first = decoder(pool)
        with pytest.raises(RequestError, match="takes longer to decode") as refused:
            await pool.decode(LONG)
        assert refused.value.code == "decoder_failed"
        await works(pool, voice)
        assert decoder(pool) == first  # the fork died, not the decoder

    with_pool(work, decoder_seconds=0.03)


def test_too_little_memory(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        with pytest.raises(RequestError, match="needs more memory") as refused:
            await pool.decode(LONG)
        assert refused.value.code == "decoder_failed"
        await works(pool, voice)

    with_pool(work, decoder_megabytes=125)


def test_longer_recordings_get_more_memory() -> None:
    assert Settings().decoder_bytes == 1024 * MEGABYTE
    assert Settings(max_seconds=7200).decoder_bytes > 3 * 7200 * 64_000


def test_a_decoder_killed_while_it_waits(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        first = decoder(pool)
        os.kill(first, signal.SIGKILL)
        await asyncio.sleep(0.2)
        await works(pool, voice)
        assert os.getpgid(decoder(pool)) != first

    with_pool(work)


def test_a_decoder_that_hangs(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.1)

    async def work(pool: DecoderPool) -> None:
        os.kill(decoder(pool), signal.SIGSTOP)
        with pytest.raises(RequestError, match="broke the decoder"):
            await pool.decode(voice.read_bytes())
        await works(pool, voice)

    with_pool(work, decoder_seconds=0.5)


@pytest.mark.parametrize("reply", [b"X" + bytes(8), b"S" + b"\xff" * 8, b"S\x03" + bytes(10), b""])
def test_a_decoder_that_breaks_the_protocol(
    reply: bytes, voice: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(pool: DecoderPool) -> None:
        liar = tmp_path / "python"
        quoted = "".join(f"\\{byte:03o}" for byte in reply)
        ready = "R" + "\\000" * 8
        liar.write_text(f"#!/bin/sh\nprintf '{ready}'\nhead -c 9 > /dev/null\nprintf '{quoted}'\n")
        liar.chmod(0o755)
        os.kill(decoder(pool), signal.SIGKILL)
        await asyncio.sleep(0.2)
        with monkeypatch.context() as patch:
            patch.setattr(module.sys, "executable", str(liar))
            with pytest.raises(RequestError, match="broke the decoder"):
                await pool.decode(voice.read_bytes())
        await works(pool, voice)

    with_pool(work)


def test_a_client_that_leaves_takes_its_decoder_along(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        decoding = asyncio.ensure_future(pool.decode(LONG))
        await asyncio.sleep(0.05)
        decoding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await decoding
        await works(pool, voice)

    with_pool(work)


def test_a_decoder_knows_nothing_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEREIN_API_KEY", "secret")

    async def work(pool: DecoderPool) -> None:
        place = Path(f"/proc/{decoder(pool)}")
        assert b"secret" not in (place / "environ").read_bytes()
        limits = (place / "limits").read_text().splitlines()
        for name in ("Max core file size", "Max file size"):
            row = next(line for line in limits if line.startswith(name))
            assert row.removeprefix(name).split()[:2] == ["0", "0"]

    with_pool(work)
