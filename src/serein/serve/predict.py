"""POST /v1/predict: the emotions of a recording."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from serein.defaults import DEFAULT_UNSURE_BELOW, HOP_RANGE_S
from serein.inference.prediction import Prediction
from serein.inference.recognizer import Recognizer
from serein.serve.decoder_pool import DecoderPool
from serein.serve.errors import RequestError, error_responses
from serein.serve.recognizers import RecognizerPool
from serein.serve.schemas import HOP, UNSURE, WINDOW, PredictionBody
from serein.serve.settings import Settings
from serein.serve.uploads import FIELD, Store, Upload, read_upload

Result = TypeVar("Result")
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


def predict_routes(
    settings: Settings, recognizers: RecognizerPool, decoders: DecoderPool
) -> APIRouter:
    """Make the route that predicts recordings."""
    router = APIRouter()
    store = Store(settings.store)
    decoded = asyncio.Semaphore(settings.decoders + 1)  # decoded sound is large: few at once

    async def decode_and_predict(
        upload: Upload, recognizer: Recognizer, unsure_below: float, **grid: float | None
    ) -> Prediction:
        async with decoded:
            signal = await decoders.decode(upload.data)
            return await recognizers.predict(recognizer, signal, unsure_below, **grid)

    @router.post(
        "/v1/predict",
        response_model=PredictionBody,
        responses=error_responses(
            *("bad_name", "unknown_model", "slow_upload", "too_large", "unsupported_type"),
            *("unreadable", "invalid", "decoder_failed", "busy"),
        ),
        openapi_extra=BODY,
        summary="Predict a recording",
    )
    async def predict(
        request: Request,
        model: Annotated[str, Query(description="One of /v1/models.", max_length=80)] = "",
        window_s: Annotated[float | None, WINDOW] = None,
        hop_s: Annotated[float | None, HOP] = None,
        unsure_below: Annotated[float, UNSURE] = DEFAULT_UNSURE_BELOW,
        timeline: bool = True,
    ) -> JSONResponse:
        """Predict the emotion of a recording: WAV, FLAC, Ogg (Opus, Vorbis), MP3 or AIFF."""
        recognizer = recognizers.find(model)
        _check_hop(window_s or recognizer.window_s, hop_s)
        with recognizers.upload_slots:
            upload = await read_upload(request, settings)
            notes = request.state.notes
            notes["bytes"] = len(upload.data)
            work = decode_and_predict(
                upload, recognizer, unsure_below, window_s=window_s, hop_s=hop_s
            )
            prediction = await _unless_client_leaves(request, work)
        notes["audio_s"] = round(prediction.duration, 3)
        values = prediction.to_dict(timeline=timeline) | {"file": upload.name}
        await store.keep(upload.data, values)
        return JSONResponse(values)

    return router


def _check_hop(window_s: float, hop_s: float | None) -> None:
    """Check the hop before the upload is read; its window may be the model's own."""
    if hop_s is not None and hop_s > window_s:
        raise RequestError(
            "invalid",
            f"hop_s is {hop_s:g} s; allowed: {HOP_RANGE_S.low} to window_s, {window_s:g} s",
        )


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
