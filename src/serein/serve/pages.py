"""The page, and the page of the API: static files that come with serein, nothing from elsewhere."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from serein.serve.entrance import POLICY
from serein.serve.refusal import documented, written_as

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
