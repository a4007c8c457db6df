"""POST /v1/audio/transcriptions: what it takes and sends, in the shape of OpenAI's API.

Segments are utterances, each with an emotion. The text is that of the packaged English model, if
the extra [text] is installed; else it is empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from itertools import count, repeat
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from serein.audio.channels import Sound
from serein.defaults import UNSURE_RANGE
from serein.errors import MissingExtraError
from serein.inference.lanes import Telling
from serein.inference.prediction import Prediction, Segment
from serein.inference.recognizer import Recognizer, model_of, predict_decoded
from serein.inference.segment_words import Words, words_of
from serein.serve.errors import RequestError
from serein.serve.schemas import TranscriptionBody
from serein.serve.upload_work import ERRORS, FILE, UploadWork, described_body, telling_of
from serein.serve.uploads import Body

RESPONSES = ("json", "verbose_json", "text")
ENGLISH = ("", "en", "eng", "english")
TRUE = ("true", "1", "yes", "on")
DEFAULT = "whisper-1"  # what OpenAI's clients ask for: the default model here
UNKNOWN = {"seek": 0, "tokens": [], "temperature": 0.0} | dict.fromkeys(
    ("compression_ratio", "no_speech_prob"), 0.0
)
"""What OpenAI's clients expect of a segment, and is not known here."""

FIELDS = {
    "model": {"type": "string", "description": "One of /v1/models; whisper-1 is the default one."},
    "language": {"type": "string", "description": "en, or left out: else there is no text."},
    "response_format": {"enum": RESPONSES, "default": "json"},
} | {
    name: {"type": "string", "description": "As of /v1/predict."}
    for name in ("channels", "speakers", "emotions", "unsure_below")
}
NOT_HERE = ("window_s", "hop_s", "adapt", "timeline", "segments", "format", "lang")
"""Parameters of /v1/predict; OpenAI's own are not refused."""


@dataclass(frozen=True)
class Asked:
    """The fields of a form, as OpenAI's clients send them, and what they can add."""

    model: str = ""
    language: str = ""
    response_format: str = "json"
    channels: str = "mix"
    speakers: str | None = None
    emotions: str = ""
    unsure_below: str = ""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Asked:
        """Take the fields of a form that count; others, such as ``prompt``, change nothing."""
        for name in NOT_HERE:
            if name in form:
                raise RequestError("invalid", f"{name} is a parameter of /v1/predict, not of this")
        if form.get("stream", "").lower() in TRUE:
            raise RequestError("invalid", "stream is not supported: leave it out")
        taken = {one.name: form[one.name] for one in fields(cls) if one.name in form}
        if "language" in taken:
            taken["language"] = _language(taken["language"])
        asked = cls(**taken)
        if asked.response_format not in RESPONSES:
            raise RequestError(
                "invalid",
                f"response_format is {asked.response_format[:40]!r}; allowed: "
                f"{', '.join(RESPONSES)}; subtitles: /v1/predict?format=srt",
            )
        return asked

    @property
    def recognizer(self) -> str:
        """The name of the recognizer; empty for the default one."""
        return "" if self.model == DEFAULT else self.model

    def threshold(self, default: float) -> float:
        """Return the confidence below which an emotion is unsure."""
        try:
            found = float(self.unsure_below or default)
        except ValueError:
            found = math.nan
        if not UNSURE_RANGE.low <= found <= UNSURE_RANGE.high:
            raise RequestError(
                "invalid",
                f"unsure_below is {self.unsure_below[:40]!r}; allowed: {UNSURE_RANGE.low:g} to "
                f"{UNSURE_RANGE.high:g}",
            )
        return found


def _language(given: str) -> str:
    """Return the primary subtag of a language's tag, such as en of en-US."""
    primary, *rest = re.split("[-_]", given.strip().lower())
    known = primary == "english" or re.fullmatch("[a-z]{2,3}", primary)
    if not known or not all(re.fullmatch("[a-z0-9]{1,8}", one) for one in rest):
        raise RequestError(
            "invalid", f"language is {given[:40]!r}; need a code of ISO 639, such as en or en-US"
        )
    return primary


def transcription_routes(work: UploadWork) -> APIRouter:
    """Make the route that transcribes recordings."""
    router = APIRouter()

    @router.post(
        "/v1/audio/transcriptions",
        response_model=TranscriptionBody,
        responses=ERRORS,
        openapi_extra=described_body(FILE, FIELDS),
        summary="Transcribe a recording, with emotions, as OpenAI's API does",
    )
    async def transcribe(request: Request) -> Response:
        """Find utterances, their emotions, speakers and, with the extra [text], their words."""

        async def decode_and_transcribe(client: str, body: Body) -> tuple[str, dict[str, Any]]:
            if body.adaptation:
                raise RequestError("invalid", "adaptation is a field of /v1/predict, not of this")
            asked = Asked.of(dict(request.query_params) | dict(body.fields))
            recognizer = work.recognizers.for_request(
                asked.recognizer, asked.threshold(work.settings.unsure_below), asked.emotions
            )
            telling = telling_of(asked.channels, "utterances", asked.speakers)
            async with work.sound_of(client, body.files[0].data, telling) as sound:
                transcribing = partial(_transcribe, sound, telling, asked)
                found = await work.recognizers.run(client, recognizer, transcribing)
            return asked.response_format, found

        body, (form, found) = await work.answer(request, 1, decode_and_transcribe, fields=None)
        await work.store.keep(body.files[0].data, found)
        if form == "text":
            return PlainTextResponse(found["text"] + "\n")
        return JSONResponse(found)

    return router


def _transcribe(
    sound: Sound, telling: Telling, asked: Asked, recognizer: Recognizer
) -> dict[str, Any]:
    """Predict utterances, and transcribe them where that is possible."""
    prediction = predict_decoded(recognizer, sound, telling)
    spoken = [one for one in prediction.timeline if one.speech]
    words = None
    with suppress(MissingExtraError):
        if asked.language in ENGLISH:
            wait = model_of(recognizer).before_window or (lambda: None)
            words = words_of(sound, spoken, wait)
    return response(prediction, spoken, words, asked)


def response(
    prediction: Prediction,
    spoken: Sequence[Segment],
    words: Sequence[Words] | None,
    asked: Asked,
) -> dict[str, Any]:
    """Make the response; `words` are those of each segment, if they are known."""
    each = zip(count(), spoken, words or repeat(Words()), strict=False)
    segments = [_segment(*one) for one in each]
    text = " ".join(segment["text"] for segment in segments if segment["text"])
    if asked.response_format != "verbose_json":
        return {"text": text}
    whole = prediction.to_dict(timeline=False)
    kept = ("duration", "emotion", "confidence", "probabilities", "model", "lanes", "notices")
    language = asked.language or ("unknown" if words is None else "english")
    found = {"task": "transcribe", "language": language, "text": text, "segments": segments}
    return found | {name: whole[name] for name in kept if name in whole}


def _segment(number: int, segment: Segment, words: Words) -> dict[str, Any]:
    """Make a segment: OpenAI's keys, and those of a prediction."""
    log = round(math.log(words.confidence), 4) if words.confidence else 0.0
    found = {"id": number, "text": words.text, "avg_logprob": log}
    return found | UNKNOWN | segment.to_dict()
