"""The page, and the page of the API: static files that come with serein, nothing from elsewhere."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from serein.serve.errors import documented, written_as
from serein.serve.middleware import POLICY
from serein.serve.observability import Metrics
from serein.serve.recognizers import Judges, PatientRecognizer
from serein.serve.schemas import HealthBody, LimitsBody, ModelsBody
from serein.serve.settings import MAX_FRAME_BYTES, Settings


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


PAGE = Path(__file__).parent / "page"
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>serein</title>
<h1>serein</h1>
<p>The service runs. Its page is not built: run <code>make web</code>, which needs Node.js.</p>
<p>The API is described at <a href="/docs">/docs</a> and
<a href="/openapi.json">/openapi.json</a>.</p>
</html>
"""
NO_SWAGGER = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>serein: API</title>
<h1>serein: API</h1>
<p>This page is not built: run <code>make web</code>, which needs Node.js. What it would show is at
<a href="/openapi.json">/openapi.json</a>.</p>
</html>
"""
START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#api", validatorUrl: null});'
SWAGGER = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>serein: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/swagger/swagger-ui.css">
<div id="api"></div>
<script src="/docs/swagger/swagger-ui-bundle.js"></script>
<script>{START}</script>
</html>
"""
START_HASH = base64.b64encode(sha256(START.encode()).digest()).decode()
DOCS_POLICY = f"{POLICY}; script-src 'self' 'sha256-{START_HASH}'"
FOR_EVER = "public, max-age=31536000, immutable"


class Immutable(StaticFiles):
    """Files whose names change with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, to be kept for ever."""
        response = await super().get_response(path, scope)
        if response.status_code in (200, 304):
            response.headers["cache-control"] = FOR_EVER
        return response


def page_routes() -> APIRouter:
    """Make the routes of the two pages."""
    router = APIRouter()

    html = written_as("text/html") | documented()

    @router.get("/", response_class=Response, responses=html, summary="The page")
    async def page() -> Response:
        """Show the page."""
        index = PAGE / "index.html"
        if not index.is_file():
            return HTMLResponse(NOT_BUILT)
        return FileResponse(index, headers={"cache-control": "no-cache"})

    @router.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        """Show the page of the API."""
        built = (PAGE / "swagger" / "swagger-ui-bundle.js").is_file()
        headers = {"content-security-policy": DOCS_POLICY}
        return HTMLResponse(SWAGGER if built else NO_SWAGGER, headers=headers)

    return router


def mount_files(app: FastAPI) -> None:
    """Serve the files of the pages that are built."""
    for route, folder, kind in (
        ("/assets", PAGE / "assets", Immutable),
        ("/docs/swagger", PAGE / "swagger", StaticFiles),
    ):
        if folder.is_dir():
            app.mount(route, kind(directory=folder), name=route)
