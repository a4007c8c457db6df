"""The service, put together."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp

from serein.serve.access import Guards
from serein.serve.decoder_pool import Decoders
from serein.serve.errors import Refusal
from serein.serve.info import about_routes, mount_files, page_routes
from serein.serve.middleware import NOTES, NOTHING, Entrance
from serein.serve.observability import Metrics
from serein.serve.predict import Queue, predict_routes
from serein.serve.recognizers import Judges
from serein.serve.settings import STOPPING, Settings
from serein.serve.streams import Open, stream_routes

ORPHAN_S = 1.0  # how often a worker looks whether the service is still there
GONE = 499  # what nginx calls it; never sent, for nobody is there


def create_app(settings: Settings, parent: int | None = None) -> ASGIApp:
    """Make the service."""
    metrics, judges = Metrics(settings.version), Judges(settings)
    decoders = Decoders(settings, metrics)
    queue, places = Queue(settings.max_queue), Open(settings.max_streams)
    metrics.watch(lambda: places.count, lambda: queue.length)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        await decoders.start()
        watch = asyncio.ensure_future(_follow(parent))
        yield {STOPPING: asyncio.Event()}
        watch.cancel()
        judges.close()
        await decoders.stop()

    app = FastAPI(
        title="serein",
        version=settings.version,
        description="What emotion a listener would hear in a voice.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(page_routes())
    app.include_router(predict_routes(settings, judges, decoders, queue))
    app.include_router(stream_routes(settings, judges, metrics, places))
    app.include_router(about_routes(settings, judges, metrics))
    mount_files(app)
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return Entrance(app, Guards(settings), metrics)


async def _follow(parent: int | None) -> None:
    """Stop this process once its parent is gone."""
    while parent is not None:
        await asyncio.sleep(ORPHAN_S)
        if os.getppid() != parent:
            signal.raise_signal(signal.SIGTERM)
            return


async def _refused(connection: HTTPConnection, refusal: Exception) -> Response | None:
    """Answer with a refusal; to a WebSocket before it is accepted."""
    if not isinstance(refusal, Refusal):
        raise refusal
    connection.scope[NOTES]["refusal"] = refusal.code
    response = refusal.response()
    if isinstance(connection, WebSocket):
        with suppress(RuntimeError, OSError):  # the client went away
            await connection.send_denial_response(response)
        return None
    return response


async def _invalid(connection: HTTPConnection, error: Exception) -> Response | None:
    """Answer for parameters that are wrong."""
    if not isinstance(error, RequestValidationError | WebSocketRequestValidationError):
        raise error
    first = error.errors()[0]
    name = str(first["loc"][-1])
    return await _refused(connection, Refusal("invalid", f"{name}: {first['msg']}"))


async def _not_answered(connection: HTTPConnection, error: Exception) -> Response | None:
    """Answer for what has no route, or not with this method."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        refusal = Refusal("wrong_method", "this path does not answer this method; see /docs")
    elif error.status_code == 404:
        refusal = NOTHING
    else:
        refusal = Refusal("bad_request", str(error.detail))
    response = await _refused(connection, refusal)
    if response is not None:
        response.headers.update(error.headers or {})
    return response


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=GONE)


HANDLERS: dict[Any, Any] = {
    Refusal: _refused,
    RequestValidationError: _invalid,
    WebSocketRequestValidationError: _invalid,
    HTTPException: _not_answered,
    ClientDisconnect: _gone,
}
