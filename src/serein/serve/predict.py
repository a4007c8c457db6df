"""POST /v1/predict and /v1/adapt: emotions of a recording, and what recordings have in common."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from serein.audio.channels import Sound
from serein.audio.read import RATE_HZ, Signal
from serein.defaults import HOP_RANGE_S
from serein.errors import AudioError, MissingExtraError, SereinError
from serein.inference.formats import AUDFORMAT_ZIP, FORMATS
from serein.inference.lanes import PLAIN, Cut, Telling
from serein.inference.prediction import Prediction
from serein.inference.recognizer import Recognizer, model_of, predict_decoded
from serein.serve.errors import RequestError, refuse_unknown
from serein.serve.recognizers import adapted, invalid
from serein.serve.schemas import (
    ADAPT,
    CHANNELS,
    EMOTIONS,
    FORM,
    HOP,
    LANG,
    MODEL,
    SEGMENTS,
    SHARED,
    SPEAKERS,
    TIMELINE,
    UNSURE,
    WINDOW,
    Adapt,
    AdaptationBody,
    AdaptTo,
    Form,
    PredictionBody,
)
from serein.serve.settings import Settings
from serein.serve.upload_work import ERRORS, FILE, UploadWork, described_body, telling_of
from serein.serve.uploads import Body

MAX_FILES = 64  # of a request to /v1/adapt


def predict_routes(work: UploadWork) -> APIRouter:
    """Make the routes that predict recordings, and learn what they have in common."""
    router = APIRouter(dependencies=[Depends(refuse_unknown)])
    settings, recognizers = work.settings, work.recognizers

    @router.post(
        "/v1/predict",
        response_model=PredictionBody,
        responses=ERRORS,
        openapi_extra=described_body(FILE),
        summary="Predict a recording",
    )
    async def predict(
        request: Request,
        model: Annotated[str, MODEL] = "",
        window_s: Annotated[float | None, WINDOW] = None,
        hop_s: Annotated[float | None, HOP] = None,
        emotions: Annotated[str, EMOTIONS] = "",
        unsure_below: Annotated[float, UNSURE] = settings.unsure_below,
        adapt: Annotated[Adapt, ADAPT] = "none",
        timeline: Annotated[bool, TIMELINE] = True,
        channels: Annotated[str, CHANNELS] = "mix",
        segments: Annotated[Cut, SEGMENTS] = "windows",
        speakers: Annotated[str | None, SPEAKERS] = None,
        form: Annotated[Form, FORM] = "json",
        lang: Annotated[Literal["en", "zh"], LANG] = "en",
    ) -> Response:
        """Predict the emotion of a recording: WAV, FLAC, Ogg, MP3, AIFF, M4A, WebM and more."""
        recognizer = recognizers.for_request(model, unsure_below, emotions)
        telling = telling_of(channels, segments, speakers, adapt=adapt == "speaker")
        _check_grid(recognizer, telling, window_s, hop_s)
        _check_adapts(recognizer, adapt)
        learnt = "none" if telling.adapt else adapt

        async def decode_and_predict(client: str, body: Body) -> Prediction:
            own = await asyncio.to_thread(adapted, recognizer, body.adaptation, learnt)
            async with work.sound_of(client, body.files[0].data, telling) as sound:
                seconds = sum(signal.size for signal in sound.signals) / RATE_HZ
                _check_windows(settings, own, seconds, window_s, hop_s)
                predicting = partial(_predict, sound, telling, learnt, window_s, hop_s)
                return await recognizers.run(client, own, predicting)

        body, prediction = await work.answer(request, 1, decode_and_predict)
        request.state.notes["audio_s"] = round(prediction.duration, 3)
        named = replace(prediction, file=body.files[0].name)
        values = named.to_dict(timeline=timeline)
        await work.store.keep(body.files[0].data, values)
        if form == "json":
            return JSONResponse(values)
        return await asyncio.to_thread(_formatted, named, form, chinese=lang == "zh")

    @router.post(
        "/v1/adapt",
        response_model=AdaptationBody,
        responses=ERRORS,
        openapi_extra=described_body({"type": "array", "items": FILE}),
        summary="Learn what recordings have in common",
    )
    async def learn(
        request: Request,
        to: Annotated[AdaptTo, SHARED],
        model: Annotated[str, MODEL] = "",
    ) -> JSONResponse:
        """Adapt to recordings, without labels: send the response with requests to /v1/predict."""
        recognizer = recognizers.find(model)
        _check_adapts(recognizer, "recordings")  # by features, which alone can be sent

        async def decode_and_learn(client: str, body: Body) -> Recognizer:
            own = await asyncio.to_thread(adapted, recognizer, body.adaptation, to)
            for upload in body.files:
                async with work.sound_of(client, upload.data, PLAIN) as sound:
                    await recognizers.run(client, own, partial(_learn, sound.signals[0], to))
            return own

        _, own = await work.answer(request, MAX_FILES, decode_and_learn)
        if not own.utterances_known:
            raise RequestError("unreadable", "no file holds speech: nothing can be learnt")
        known = model_of(own).adaptation
        return JSONResponse(known.to_dict() | {"counts": known.counts})

    return router


def _predict(
    sound: Sound,
    telling: Telling,
    adapt: Adapt,
    window_s: float | None,
    hop_s: float | None,
    recognizer: Recognizer,
) -> Prediction:
    """Predict a recording, adapted to itself first where that is asked for."""
    for signal in sound.signals:
        if adapt != "none":
            _learn(signal, adapt, recognizer)
    return predict_decoded(recognizer, sound, telling, window_s=window_s, hop_s=hop_s)


def _learn(signal: Signal, to: AdaptTo, recognizer: Recognizer) -> None:
    with suppress(AudioError):  # no speech
        recognizer.adapt(signal, rate=RATE_HZ, to=to)


def _check_adapts(recognizer: Recognizer, to: str) -> None:
    """Refuse adaptation that a model was not trained for."""
    try:
        if to != "none":
            model_of(recognizer).adaptation.learnt.check(to)
    except SereinError as error:
        raise invalid(error) from error


def _formatted(prediction: Prediction, form: Form, *, chinese: bool) -> Response:
    """Return a prediction as a file of another program."""
    chosen = FORMATS.get(form, AUDFORMAT_ZIP)
    try:
        content = chosen.write(prediction, chinese)
    except MissingExtraError as error:
        raise invalid(error) from error
    disposition = f'attachment; filename="prediction{chosen.suffix}"'
    return Response(content, 200, {"content-disposition": disposition}, chosen.media_type)


def _check_grid(
    recognizer: Recognizer, telling: Telling, window_s: float | None, hop_s: float | None
) -> None:
    """Check window and hop before the upload is read; the window may be the model's own."""
    if telling.utterances and (window_s, hop_s) != (None, None):
        raise RequestError("invalid", "window_s and hop_s are for windows: leave them out")
    window_s = window_s or recognizer.window_s
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
