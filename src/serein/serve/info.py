"""Routes of models, limits, health, metrics and the pages; nothing is loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from serein.defaults import PAGE_UNSURE_BELOW
from serein.inference.recognizer import Recognizer, model_of
from serein.serve.decoder_pool import DecoderPool
from serein.serve.errors import error_responses, text_response
from serein.serve.observability import Metrics
from serein.serve.recognizers import RecognizerPool
from serein.serve.schemas import HealthBody, LimitsBody, ModelsBody
from serein.serve.settings import MAX_FRAME_BYTES, Settings

PAGE = Path(__file__).parent / "page"  # as `make web` builds it
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>serein</title>
<h1>serein</h1>
<p>The service runs. This page is not built: run <code>make web</code>, which needs Node.js.</p>
<p>The API is described at <a href="/openapi.json">/openapi.json</a>.</p>
</html>
"""
IMMUTABLE = "public, max-age=31536000, immutable"


class ImmutableFiles(StaticFiles):
    """Files whose names change with their content, so that browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Respond with a file."""
        response = await super().get_response(path, scope)
        if response.status_code in (200, 304):
            response.headers["cache-control"] = IMMUTABLE
        return response


def info_routes(
    settings: Settings, recognizers: RecognizerPool, decoders: DecoderPool, metrics: Metrics
) -> APIRouter:
    """Make the routes of the pages, models, limits, health and metrics."""
    router = APIRouter()
    models = [
        _described(recognizer, recognizers.default) for recognizer in recognizers.by_name.values()
    ]
    errors = error_responses()
    html = text_response("text/html") | errors

    @router.head("/", include_in_schema=False)
    @router.get("/", response_class=Response, responses=html, summary="The page")
    async def page() -> Response:
        """Show the page."""
        return _page(PAGE / "index.html")

    @router.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        """Show the page of the API."""
        return _page(PAGE / "swagger" / "index.html")

    @router.get("/v1/models", response_model=ModelsBody, responses=errors, summary="Models")
    async def list_models() -> dict[str, Any]:
        """List the models with their licences and scores, the default first."""
        return {"models": models}

    @router.get("/v1/limits", response_model=LimitsBody, responses=errors, summary="Limits")
    async def limits() -> dict[str, Any]:
        """List the limits of the service."""
        names = LimitsBody.model_fields.keys() - {"max_frame_bytes"}
        return {"max_frame_bytes": MAX_FRAME_BYTES} | {n: getattr(settings, n) for n in names}

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", response_model=HealthBody, responses=errors, summary="Health")
    async def health() -> dict[str, Any]:
        """Say that the service runs, and which restrictions of its decoders hold."""
        sandbox = list(decoders.sandbox)
        return {"status": "ok", "version": settings.version, "decoder_sandbox": sandbox}

    @router.get(
        "/metrics",
        response_class=Response,
        responses=text_response("text/plain") | errors,
        summary="Metrics of this worker",
    )
    async def numbers() -> Response:
        """List metrics in Prometheus's text format; each worker counts for itself."""
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def mount_files(app: FastAPI) -> None:
    """Serve the files of the pages that are built."""
    for route, folder, kind in (
        ("/assets", PAGE / "assets", ImmutableFiles),
        ("/docs/swagger", PAGE / "swagger", StaticFiles),
    ):
        if folder.is_dir():
            app.mount(route, kind(directory=folder), name=route)


def _page(file: Path) -> Response:
    if not file.is_file():
        return HTMLResponse(NOT_BUILT)
    return FileResponse(file, headers={"cache-control": "no-cache"})


def _described(recognizer: Recognizer, default: str) -> dict[str, Any]:
    manifest = recognizer.manifest
    return {
        "name": recognizer.name,
        "default": recognizer.name == default,
        "labels": list(recognizer.labels),
        "own_labels": manifest.get("emotions", {}),
        "precision": manifest["precision"],
        "licence": manifest["licence"],
        "scores": manifest["scores"],
        "window_s": recognizer.window_s,
        "hop_s": recognizer.hop_s,
        "adapts": list(model_of(recognizer).adaptation.learnt.kinds),
        "unsure_below": recognizer.unsure_below or PAGE_UNSURE_BELOW,
        "languages": _languages_measured(manifest),
        "reliability": manifest.get("reliability", {}),
    }


def _languages_measured(manifest: dict[str, Any]) -> list[str]:
    """List the languages of the corpora that a model has scores of."""
    measured = {score["corpus"] for score in manifest["scores"]}
    corpora = [one for one in manifest["trained_on"] if one["corpus"] in measured]
    return sorted({language for one in corpora for language in one.get("languages", ())})
