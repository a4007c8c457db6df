"""POST /v1/predict: the emotions of a recording."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from serein.audio.read import RATE_HZ
from serein.defaults import DEFAULT_UNSURE_BELOW, HOP_RANGE_S
from serein.inference.prediction import Prediction
from serein.inference.recognizer import Recognizer
from serein.serve.clients import client_of
from serein.serve.decoder_pool import DecoderPool
from serein.serve.errors import RequestError, error_responses
from serein.serve.recognizers import UPLOAD_RETRY_S, RecognizerPool
from serein.serve.scheduling import FairSlots
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
    per_client = settings.decoders + 1
    decoded = FairSlots(3 * per_client, per_client)  # decoded sound is large: few at once
    decoding = FairSlots(settings.decoders, max(1, settings.decoders - 1))

    async def decode_and_predict(
        client: str,
        upload: Upload,
        recognizer: Recognizer,
        unsure_below: float,
        **grid: float | None,
    ) -> Prediction:
        async with decoded.slot(client):
            async with decoding.slot(client):
                signal = await decoders.decode(upload.data)
            _check_windows(settings, recognizer, signal.size / RATE_HZ, **grid)
            return await recognizers.predict(client, recognizer, signal, unsure_below, **grid)

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
        """Predict the emotion of a recording: WAV, FLAC, Ogg, MP3, AIFF, M4A, WebM and more."""
        recognizer = recognizers.find(model)
        _check_hop(window_s or recognizer.window_s, hop_s)
        client = client_of(request.scope)
        with recognizers.upload_slots.slot(client) as slot:
            async with slot.until_needed():
                upload = await read_upload(request, settings)
            notes = request.state.notes
            notes["bytes"] = len(upload.data)
            work = decode_and_predict(
                client, upload, recognizer, unsure_below, window_s=window_s, hop_s=hop_s
            )
            prediction = await _before_deadline(settings, _unless_client_leaves(request, work))
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


def _check_windows(
    settings: Settings,
    recognizer: Recognizer,
    duration_s: float,
    window_s: float | None,
    hop_s: float | None,
) -> None:
    """Refuse a timeline that costs more than the budget, and more than the model's own."""
    window_s = window_s or recognizer.window_s
    hop_s = hop_s or window_s
    usual_s = _window_seconds(duration_s, recognizer.window_s, recognizer.hop_s)
    limit_s = max(settings.max_window_seconds, usual_s)
    if (total_s := _window_seconds(duration_s, window_s, hop_s)) > limit_s:
        raise RequestError(
            "invalid",
            f"the windows of the timeline have {total_s:g} s in all; allowed for this recording: "
            f"{limit_s:g} s: raise hop_s",
        )


def _window_seconds(duration_s: float, window_s: float, hop_s: float) -> float:
    """Return how long all windows of a timeline are together."""
    return window_s * (1 + max(0, math.ceil((duration_s - window_s) / hop_s)))


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
