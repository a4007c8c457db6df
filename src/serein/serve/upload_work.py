"""What every request with an upload goes through: its body, its sound, its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from serein.audio.channels import Sound, check_channels
from serein.errors import SereinError
from serein.inference.lanes import Cut, Telling
from serein.serve.clients import client_of
from serein.serve.decoder_pool import DecoderPool
from serein.serve.errors import RequestError, error_responses
from serein.serve.recognizers import UPLOAD_RETRY_S, RecognizerPool, invalid
from serein.serve.scheduling import FairSlots
from serein.serve.settings import Settings
from serein.serve.uploads import ADAPTATION, FIELD, FIELDS, Body, Store, read_body

Result = TypeVar("Result")
FILE = {"type": "string", "format": "binary"}
ERRORS = error_responses(
    *("bad_name", "unknown_model", "slow_upload", "too_large", "too_long", "unsupported_type"),
    *("unsupported_format", "unreadable", "invalid", "decoder_failed", "busy"),
)


def described_body(
    files: dict[str, Any], others: Mapping[str, Any] = {ADAPTATION: FILE}
) -> dict[str, Any]:
    """Describe, for OpenAPI, a request's body with such files, and other fields."""
    form = {"required": [FIELD], "properties": {FIELD: files} | dict(others)}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"type": "object"} | form},
                "audio/*": {"schema": FILE},
                "application/octet-stream": {"schema": FILE},
            },
        }
    }


class UploadWork:
    """Reads, decodes and answers uploads within the limits; `store` keeps them, if asked for."""

    def __init__(
        self, settings: Settings, recognizers: RecognizerPool, decoders: DecoderPool
    ) -> None:
        self.settings, self.recognizers, self._decoders = settings, recognizers, decoders
        self.store = Store(settings.store)
        per_client = settings.decoders + 1
        self._decoded = FairSlots(3 * per_client, per_client)  # decoded sound is large: few at once
        self._decoding = FairSlots(settings.decoders, max(1, settings.decoders - 1))

    @asynccontextmanager
    async def sound_of(self, client: str, data: bytes, telling: Telling) -> AsyncIterator[Sound]:
        """Decode an upload; its sound counts among those held until the block ends."""
        async with self._decoded.slot(client):
            async with self._decoding.slot(client):
                sound = await self._decoders.decode(data, check_channels(telling.channels))
            yield sound

    async def answer(
        self,
        request: Request,
        most: int,
        work: Callable[[str, Body], Coroutine[Any, Any, Result]],
        fields: Collection[str] | None = FIELDS,
    ) -> tuple[Body, Result]:
        """Read a request's body, with such fields (None: any), and do its work, within limits."""
        client, notes = client_of(request.scope), request.state.notes
        with self.recognizers.upload_slots.slot(client) as slot:
            async with slot.until_needed():
                body = await read_body(request, self.settings, most, fields)
            notes["bytes"] = body.size
            working = _unless_client_leaves(request, work(client, body))
            return body, await _before_deadline(self.settings, working)


def telling_of(
    channels: str, segments: Cut, speakers: str | None, *, adapt: bool = False
) -> Telling:
    """Say what is told apart; with `adapt`, each voice that is, is adapted to what it says."""
    number = speakers is not None and speakers.isascii() and speakers.isdigit()
    count: Any = int(speakers) if speakers and number else speakers
    apart = adapt and (channels == "each" or speakers is not None)
    try:
        return Telling(channels, segments, count, apart)
    except SereinError as error:
        raise invalid(error) from error


async def _before_deadline(settings: Settings, work: Coroutine[Any, Any, Result]) -> Result:
    try:
        async with asyncio.timeout(settings.predict_seconds):
            return await work
    except TimeoutError as error:
        reason = f"the prediction took longer than {settings.predict_seconds:g} s; retry later"
        raise RequestError("busy", reason, UPLOAD_RETRY_S) from error


async def _unless_client_leaves(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Work until it is done, or cancel it when the client disconnects."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    """Wait until the client disconnects."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
