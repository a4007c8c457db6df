"""The pool of decoders: what one file does to a decoder ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import serein
from made_sounds import flac_silence
from serein.errors import ServiceError
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
    (found,) = pool._all
    return found.process.pid


async def works(pool: DecoderPool, voice: Path) -> None:
    (signal,) = (await pool.decode(voice.read_bytes())).signals
    assert np.array_equal(signal, serein.read_audio(voice))


def test_samples_are_those_of_read_audio(voice: Path) -> None:
    with_pool(lambda pool: works(pool, voice))


def test_what_phones_and_browsers_record_is_decoded_in_the_sandbox() -> None:
    from made_videos import SOUND_ALONE, chirp, clip, greys, sound_alone

    recorded = [
        sound_alone(chirp(0.5, rate), form=form, codec=codec, rate=rate)
        for form, codec, rate in SOUND_ALONE
    ]

    async def work(pool: DecoderPool) -> None:
        for data in (*recorded, clip(greys(12), chirp(0.5))):
            assert np.array_equal((await pool.decode(data)).signals[0], serein.read_audio(data))

    with_pool(work)


def test_too_little_time(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        first = decoder(pool)
        with pytest.raises(RequestError, match="takes longer to decode") as refused:
            await pool.decode(LONG)
        assert refused.value.code == "decoder_failed"
        for _ in range(50):  # on a busy machine a short file takes longer too
            with contextlib.suppress(RequestError):
                await works(pool, voice)
                break
        else:
            pytest.fail("it never had the time again")
        assert decoder(pool) == first  # the fork died, not the decoder

    with_pool(work, decoder_seconds=0.1)


def test_too_little_memory(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        with pytest.raises(RequestError, match="needs more memory") as refused:
            await pool.decode(LONG)
        assert refused.value.code == "decoder_failed"
        await works(pool, voice)

    with_pool(work, decoder_megabytes=225)


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
    monkeypatch.setattr(module, "GRACE_S", 1.0)

    async def work(pool: DecoderPool) -> None:
        os.kill(decoder(pool), signal.SIGSTOP)
        with pytest.raises(RequestError, match="broke the decoder"):
            await pool.decode(voice.read_bytes())
        await works(pool, voice)

    with_pool(work, decoder_seconds=0.5)


def test_a_client_that_leaves_takes_its_decoder_along(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        decoding = asyncio.ensure_future(pool.decode(LONG))
        await asyncio.sleep(0.05)
        decoding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await decoding
        await works(pool, voice)

    with_pool(work)


def test_a_decoder_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nprintf X\n")
    other.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(other))
    with pytest.raises(ServiceError, match="does not start"):
        with_pool(lambda _pool: asyncio.sleep(0))


def test_limits_of_a_decoder(voice: Path) -> None:
    async def work(pool: DecoderPool) -> None:
        limits = Path(f"/proc/{decoder(pool)}/limits").read_text().splitlines()
        for name in ("Max core file size", "Max file size"):
            row = next(line for line in limits if line.startswith(name))
            assert row.removeprefix(name).split()[:2] == ["0", "0"]

    with_pool(work)
