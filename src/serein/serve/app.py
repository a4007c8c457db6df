"""The application: routes, error handlers and middleware, put together."""

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

from serein.serve.access import AccessControl
from serein.serve.decoder_pool import DecoderPool
from serein.serve.errors import RequestError
from serein.serve.info import info_routes, mount_files
from serein.serve.middleware import INTERNAL, NOT_FOUND, RequestMiddleware
from serein.serve.observability import Metrics
from serein.serve.predict import predict_routes
from serein.serve.recognizers import RecognizerPool
from serein.serve.sandbox import protect_memory
from serein.serve.settings import STOPPING_KEY, Settings
from serein.serve.streams import stream_routes
from serein.serve.transcriptions import transcription_routes
from serein.serve.upload_work import UploadWork

PARENT_POLL_S = 1.0
CLIENT_CLOSED_REQUEST = 499  # nginx's code, for the log; never sent, for the client has left


def create_app(settings: Settings, parent: int | None = None) -> ASGIApp:
    """Make the application."""
    metrics, recognizers = Metrics(settings.version), RecognizerPool(settings)
    decoders = DecoderPool(settings, metrics)
    metrics.uploads.set_function(lambda: recognizers.upload_slots.used)
    metrics.streams.set_function(lambda: recognizers.stream_slots.used)
    metrics.hop_factor.set_function(lambda: recognizers.hop_stretch)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        protect_memory()
        await decoders.start()
        watch = asyncio.ensure_future(_stop_with(parent))
        yield {STOPPING_KEY: asyncio.Event()}
        watch.cancel()
        recognizers.close()
        await decoders.stop()

    app = FastAPI(
        title="serein",
        version=settings.version,
        description="What emotion a listener would hear in a voice.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    work = UploadWork(settings, recognizers, decoders)
    app.include_router(predict_routes(work))
    app.include_router(transcription_routes(work))
    app.include_router(stream_routes(settings, recognizers, metrics))
    app.include_router(info_routes(settings, recognizers, decoders, metrics))
    mount_files(app)
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return RequestMiddleware(app, AccessControl(settings), metrics)


async def _stop_with(parent: int | None) -> None:
    """Stop this process once its parent is gone."""
    while parent is not None:
        await asyncio.sleep(PARENT_POLL_S)
        if os.getppid() != parent:
            signal.raise_signal(signal.SIGTERM)
            return


async def _request_error(connection: HTTPConnection, error: RequestError) -> Response | None:
    """Send an error response; to a WebSocket before it is accepted."""
    connection.state.notes["refusal"] = error.code
    response = error.response()
    if isinstance(connection, WebSocket):
        with suppress(RuntimeError, OSError):  # the client has left
            await connection.send_denial_response(response)
        return None
    return response


async def _invalid(
    connection: HTTPConnection,
    error: RequestValidationError | WebSocketRequestValidationError,
) -> Response | None:
    """Respond to a parameter that is wrong."""
    first = error.errors()[0]
    name = str(first["loc"][-1])
    return await _request_error(connection, RequestError("invalid", f"{name}: {first['msg']}"))


async def _http_error(connection: HTTPConnection, error: HTTPException) -> Response | None:
    """Respond where there is no route, or not with this method."""
    if error.status_code == 405:
        found = RequestError("wrong_method", "this path does not allow this method; see /docs")
    elif error.status_code == 404:
        found = NOT_FOUND
    else:
        found = RequestError("bad_request", str(error.detail))
    response = await _request_error(connection, found)
    if response is not None:
        response.headers.update(error.headers or {})
    return response


async def _internal(_request: Request, _error: Exception) -> Response:
    """Respond to a bug; Starlette raises it again, so that the middleware logs it."""
    return INTERNAL.response()


async def _client_left(_request: Request, _error: ClientDisconnect) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


HANDLERS: dict[Any, Any] = {
    RequestError: _request_error,
    RequestValidationError: _invalid,
    WebSocketRequestValidationError: _invalid,
    HTTPException: _http_error,
    ClientDisconnect: _client_left,
    Exception: _internal,
}
