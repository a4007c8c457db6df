"""POST /v1/predict: a recording in, its emotions out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from serein.defaults import DEFAULT_UNSURE_BELOW, HOP_RANGE_S, UNSURE_RANGE, WINDOW_RANGE_S
from serein.inference.prediction import Prediction
from serein.serve.decoder_pool import Decoders
from serein.serve.errors import Refusal, documented
from serein.serve.middleware import NOTES
from serein.serve.recognizers import Judges, PatientRecognizer
from serein.serve.schemas import PredictionBody
from serein.serve.settings import Settings
from serein.serve.uploads import FIELD, Store, Upload, read_upload

Result = TypeVar("Result")
WINDOW, HOP, UNSURE = (
    Query(ge=allowed.low, le=allowed.high)
    for allowed in (WINDOW_RANGE_S, HOP_RANGE_S, UNSURE_RANGE)
)
BUSY_S = 2  # when to come again
FILE = {"type": "string", "format": "binary"}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": [FIELD], "properties": {FIELD: FILE}}
            },
            "audio/*": {"schema": FILE},
            "application/octet-stream": {"schema": FILE},
        },
    }
}


class Queue:
    """How many uploads are being read, decoded or judged."""

    def __init__(self, most: int) -> None:
        self._most, self.length = most, 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place."""
        if self.length >= self._most:
            raise Refusal("busy", f"{self._most} uploads are in hand; come again soon", BUSY_S)
        self.length += 1
        try:
            yield
        finally:
            self.length -= 1


def predict_routes(
    settings: Settings, judges: Judges, decoders: Decoders, queue: Queue
) -> APIRouter:
    """Make the route that judges recordings."""
    router = APIRouter()
    store = Store(settings.store)
    ahead = asyncio.Semaphore(settings.decoders + 1)  # decoded sound is large: few wait in memory

    async def answer(
        upload: Upload, recognizer: PatientRecognizer, unsure_below: float, **grid: float | None
    ) -> Prediction:
        async with ahead:
            signal = await decoders.decode(upload.data)
            return await judges.judge(recognizer, signal, unsure_below, **grid)

    @router.post(
        "/v1/predict",
        response_model=PredictionBody,
        responses=documented(
            *("bad_name", "unknown_model", "slow_upload", "too_large", "unsupported_type"),
            *("unreadable", "invalid", "decoder_failed", "busy"),
        ),
        openapi_extra=BODY,
        summary="Judge a recording",
    )
    async def predict(
        request: Request,
        model: Annotated[str, Query(description="One of /v1/models.", max_length=80)] = "",
        window_s: Annotated[float | None, WINDOW] = None,
        hop_s: Annotated[float | None, HOP] = None,
        unsure_below: Annotated[float, UNSURE] = DEFAULT_UNSURE_BELOW,
        timeline: bool = True,
    ) -> JSONResponse:
        """Tell the emotion of a recording: WAV, FLAC, Ogg (Opus, Vorbis), MP3 or AIFF."""
        recognizer = judges.find(model)
        check_hop(window_s or recognizer.window_s, hop_s)
        async with queue.place():
            upload = await read_upload(request, settings)
            notes = request.scope[NOTES]
            notes["bytes"] = len(upload.data)
            work = answer(upload, recognizer, unsure_below, window_s=window_s, hop_s=hop_s)
            prediction = await _while_wanted(request, work)
        notes["audio_s"] = round(prediction.duration, 3)
        values = prediction.to_dict(timeline=timeline) | {"file": upload.name}
        await store.keep(upload.data, values)
        return JSONResponse(values)

    return router


def check_hop(window_s: float, hop_s: float | None) -> None:
    """Check what two settings have to be to each other."""
    if hop_s is not None and hop_s > window_s:
        raise Refusal(
            "invalid",
            f"hop_s is {hop_s:g} s; allowed: {HOP_RANGE_S.low} to window_s, {window_s:g} s",
        )


async def _while_wanted(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Work until it is done or the client goes away."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    """Wait until the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
