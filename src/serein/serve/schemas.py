"""The shapes of answers, for OpenAPI. What is answered is `Prediction.to_dict` and its like."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class SegmentBody(BaseModel):
    """The answer for one stretch of a recording."""

    start: float = Field(description="Seconds from the beginning.")
    end: float
    speech: bool
    emotion: str | None = Field(description="null where there is no speech.")
    emotion_zh: str | None
    confidence: float | None = Field(description="Calibrated, 0 to 1.")
    probabilities: dict[str, float]
    valence: float | None = Field(description="-1 to 1, derived from the probabilities.")
    arousal: float | None


class PredictionBody(BaseModel):
    """The answer for a recording."""

    file: str | None = Field(description="The name that came with it.")
    model: str
    duration: float
    utterances_known: int
    speech: bool
    emotion: str | None
    emotion_zh: str | None
    confidence: float | None
    probabilities: dict[str, float]
    valence: float | None
    arousal: float | None
    timeline: list[SegmentBody] | None = Field(
        default=None, description="Without gaps or overlaps; left out if not asked for."
    )


class ModelBody(BaseModel):
    """A model that can be asked."""

    name: str
    default: bool
    labels: list[str]
    precision: str
    licence: str
    scores: list[dict[str, Any]]
    window_s: float
    hop_s: float
    adapts: bool = Field(description="Whether it can adapt to a speaker.")


class ModelsBody(BaseModel):
    """All models, the default first."""

    models: list[ModelBody]


class LimitsBody(BaseModel):
    """What the service allows."""

    max_bytes: int
    max_seconds: float
    max_channels: int
    max_streams: int = Field(description="Open at once, a worker.")
    max_stream_seconds: float
    max_queue: int = Field(description="Uploads in hand at once, a worker.")
    max_frame_bytes: int
    requests_per_minute: int = Field(description="Of one client; 0: no limit.")
    stream_idle_seconds: float
    body_seconds: float
    stores: bool = Field(description="Whether uploads and their answers are kept.")


class HealthBody(BaseModel):
    """That it runs."""

    status: str
    version: str
