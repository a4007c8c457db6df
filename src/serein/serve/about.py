"""The routes that say what the service is and can."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from serein.serve.answers import HealthBody, LimitsBody, ModelsBody
from serein.serve.judges import Judges, PatientRecognizer
from serein.serve.metrics import Metrics
from serein.serve.refusal import documented, written_as
from serein.serve.session import MAX_FRAME_BYTES
from serein.serve.settings import Settings


def about_routes(settings: Settings, judges: Judges, metrics: Metrics) -> APIRouter:
    """Make the routes of models, limits, health and metrics."""
    router = APIRouter()
    models = [_described(judges, name) for name in judges.recognizers]

    @router.get("/v1/models", response_model=ModelsBody, responses=documented(), summary="Models")
    async def list_models() -> dict[str, Any]:
        """List the models with their licences and scores, the default first."""
        return {"models": models}

    @router.get("/v1/limits", response_model=LimitsBody, responses=documented(), summary="Limits")
    async def limits() -> dict[str, Any]:
        """Say what the service allows."""
        names = LimitsBody.model_fields.keys() - {"max_frame_bytes"}
        return {"max_frame_bytes": MAX_FRAME_BYTES} | {n: getattr(settings, n) for n in names}

    @router.get("/healthz", response_model=HealthBody, responses=documented(), summary="Health")
    async def health() -> dict[str, str]:
        """Say that it runs."""
        return {"status": "ok", "version": settings.version}

    @router.get(
        "/metrics",
        response_class=Response,
        responses=written_as("text/plain") | documented(),
        summary="Metrics of this worker",
    )
    async def numbers() -> Response:
        """Count, in Prometheus's text format; each worker counts for itself."""
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _described(judges: Judges, name: str) -> dict[str, Any]:
    recognizer: PatientRecognizer = judges.recognizers[name]
    manifest = recognizer.manifest
    return {
        "name": name,
        "default": name == judges.default,
        "labels": list(recognizer.labels),
        "precision": manifest["precision"],
        "licence": manifest["licence"],
        "scores": manifest["scores"],
        "window_s": recognizer.window_s,
        "hop_s": recognizer.hop_s,
        "adapts": manifest.get("adaptation") is not None,
    }
