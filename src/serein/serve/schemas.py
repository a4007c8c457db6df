"""Ranges of query parameters and the JSON of responses, for OpenAPI.

These classes only describe the JSON: `Prediction.to_dict` and its like make it.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from serein.defaults import HOP_RANGE_S, UNSURE_RANGE, WINDOW_RANGE_S

WINDOW, HOP, UNSURE = (
    Query(ge=allowed.low, le=allowed.high, description=words)
    for allowed, words in (
        (WINDOW_RANGE_S, "Length of the windows of the timeline in seconds; else the model's own."),
        (HOP_RANGE_S, "Seconds between the starts of windows, up to window_s; else the model's."),
        (UNSURE_RANGE, "Abstention: below this confidence the emotion is unsure."),
    )
)
TIMELINE = Query(description="Whether the response has the timeline.")
SHARED = Query(description="What the recordings share: a place, microphone or language; a speaker.")
CHANNELS = Query(
    pattern="^(mix|each|left|right|[1-9][0-9]?)$",
    description="mix averages them; each predicts each for itself; or one, such as left or 3.",
)
SEGMENTS = Query(description="What the timeline is of.")
SPEAKERS = Query(
    pattern="^(auto|[1-9]|1[0-9]|20)$",
    description="Tell so many speakers apart, in each channel that is taken; or auto.",
)
Form = Literal["json", "csv", "srt", "vtt", "textgrid", "eaf", "rttm", "labelstudio", "audformat"]
FORM = Query(alias="format", description="Of the response; audformat comes as a zip.")
LANG = Query(description="Language of the emotions in other formats than JSON.")


MODEL = Query(description="One of /v1/models.", max_length=80)
EMOTIONS = Query(
    description="Those of the model that can occur, where that is known: anger,neutral,sadness.",
    max_length=400,
)
AdaptTo = Literal["recordings", "speaker"]
Adapt = Literal["none", "recordings", "speaker"]
ADAPT = Query(
    description="What one long recording is adapted to: what its parts have in common; with "
    "channels=each or speakers, speaker adapts to each apart."
)


class EmotionBody(BaseModel):
    """A prediction."""

    kind: str | None = Field(description="speech, burst (a laugh, a cry, a sigh), or null.")
    speech: bool
    emotion: str | None = Field(description="null where there is neither speech nor a burst.")
    emotion_zh: str | None
    confidence: float | None = Field(description="Calibrated, 0 to 1.")
    probabilities: dict[str, float]
    valence: float | None = Field(description="Experimental: -1 to 1, derived from probabilities.")
    arousal: float | None


class SegmentBody(EmotionBody):
    """The prediction for one segment of a recording."""

    start: float = Field(description="Seconds from the beginning.")
    end: float
    channel: int | None = Field(default=None, description="From 1, where they were told apart.")
    speaker: int | None = Field(default=None, description="From 1, where they were told apart.")


class LaneBody(SegmentBody):
    """The prediction for all that one channel or speaker says."""

    speech_s: float = Field(description="Seconds of speech.")


class PredictionBody(EmotionBody):
    """The prediction for a recording."""

    file: str | None = Field(description="The file name that was sent.")
    model: str
    duration: float
    utterances_known: int = Field(description="Windows with speech that it is adapted to.")
    experimental: list[str] = Field(description="Keys that are: valence and arousal.")
    timeline: list[SegmentBody] | None = Field(
        default=None,
        description="Left out if not asked for. Windows have no gaps, nor overlaps in a channel.",
    )
    lanes: list[LaneBody] | None = Field(
        default=None, description="One a channel and speaker, where they were told apart."
    )
    notices: list[str] | None = Field(default=None, description="If there is any.")


class TranscriptionBody(BaseModel):
    """Text of a recording; with verbose_json its segments, in OpenAI's shape and more."""

    model_config = ConfigDict(extra="allow")

    text: str = Field(description="Empty without the extra [text], or where it is not English.")
    segments: list[dict[str, Any]] | None = Field(
        default=None, description="OpenAI's keys, and those of a segment of /v1/predict."
    )


class AdaptationBody(BaseModel):
    """What recordings have in common: features and predictions, and no sound."""

    model_config = ConfigDict(extra="allow")

    to: AdaptTo
    utterances: int = Field(description="Windows with speech that were learnt.")
    counts: bool = Field(description="Whether predictions change much: not for one emotion.")


class ModelBody(BaseModel):
    """A model of the service."""

    name: str
    default: bool
    labels: list[str]
    own_labels: dict[str, dict[str, float | str | None]] = Field(
        description="valence, arousal and zh of labels of its own, where its recipe gives them."
    )
    precision: str
    licence: str
    scores: list[dict[str, Any]]
    window_s: float
    hop_s: float
    adapts: list[AdaptTo] = Field(description="What it can adapt to.")
    unsure_below: float = Field(description="Confidence below which the page shows it as unsure.")
    languages: list[str] = Field(description="Of the speakers whom it was measured with.")
    reliability: dict[str, list[dict[str, float]]] = Field(
        description="By protocol: share of predictions that are right, by their confidence."
    )


class ModelsBody(BaseModel):
    """All models, the default first."""

    models: list[ModelBody]


class LimitsBody(BaseModel):
    """The limits of the service."""

    max_bytes: int
    max_seconds: float
    max_channels: int
    max_connections: int = Field(description="Open at once, per worker.")
    connections_per_client: int = Field(description="Of these; 0: no limit.")
    max_streams: int = Field(description="Open at once, per worker.")
    max_stream_seconds: float
    max_stream_overlap: float = Field(description="Largest window_s / hop_s of a stream.")
    stream_sound_per_minute: float = Field(description="Least sound of a stream, in seconds.")
    max_window_seconds: float = Field(description="All windows of a timeline together.")
    predict_seconds: float
    response_seconds: float
    max_queue: int = Field(description="Uploads in progress at once, per worker.")
    max_frame_bytes: int
    requests_per_minute: int = Field(description="Per client; 0: no limit.")
    max_clients: int = Field(description="Whose rates are remembered.")
    stream_idle_seconds: float
    body_seconds: float
    stores: bool = Field(description="Whether uploads and their predictions are kept.")


class HealthBody(BaseModel):
    """The service runs."""

    status: str
    version: str
    decoder_sandbox: list[str] = Field(
        description="What confines decoders: no_new_privs, landlock, seccomp; what the kernel has."
    )
