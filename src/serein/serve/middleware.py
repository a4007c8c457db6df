"""The way in and out of every request: guards, headers, what is counted, one line of log."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from typing import Any

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected

from serein.serve.access import Guards, is_preflight
from serein.serve.errors import Refusal
from serein.serve.observability import Metrics

NOTES = "serein"  # where in a scope a request's own notes are: refusal, bytes, audio_s
POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; "
    "media-src 'self' blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "authorization, content-type, x-api-key",
    "access-control-max-age": "600",
}
NOTHING = Refusal("not_found", "there is nothing here; see /docs")
STOPS = Refusal("busy", "the service stops; come again soon", 2)
logger = logging.getLogger("serein.serve")


class Entrance:
    """ASGI middleware around the whole service."""

    def __init__(self, app: ASGIApp, guards: Guards, metrics: Metrics) -> None:
        self._app, self._guards, self._metrics = app, guards, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send, self._guards)
        try:
            await self._serve(scope, receive, visit)
        except asyncio.CancelledError:  # the service stops, and has waited long enough
            if not visit.status:
                await STOPS.response()(scope, receive, visit.send)
        except ClientDisconnected:  # of a WebSocket, before it was accepted: uvicorn expects it
            raise
        except Exception as error:
            visit.notes["refusal"] = "internal"
            logger.error("failed", extra={"error": type(error).__name__, "at": _places(error)})
            if not visit.status:
                message = "something went wrong here; the log of the service says where"
                await Refusal("internal", message).response()(scope, receive, visit.send)
        finally:
            self._note(visit)

    async def _serve(self, scope: Scope, receive: Receive, visit: _Visit) -> None:
        try:
            self._guards.check(scope, visit.headers)
        except Refusal as refusal:
            visit.notes["refusal"] = refusal.code
            await refusal.response()(scope, receive, visit.send)
            return
        if is_preflight(scope, visit.headers) and self._guards.allows_cross_origin(visit.headers):
            await Response(status_code=204, headers=PREFLIGHT)(scope, receive, visit.send)
            return
        await self._app(scope, receive, visit.send)

    def _note(self, visit: _Visit) -> None:
        seconds = time.perf_counter() - visit.began
        self._metrics.request(visit.route, visit.method, visit.status, seconds, visit.notes)
        fields: dict[str, Any] = {
            "route": visit.route,
            "method": visit.method,
            "status": visit.status,
            "ms": round(1000 * seconds, 1),
            **visit.notes,
        }
        logger.info("stream" if visit.method == "WEBSOCKET" else "request", extra=fields)


class _Visit:
    """One request on its way through."""

    def __init__(self, scope: Scope, send: Send, guards: Guards) -> None:
        self.headers = Headers(scope=scope)
        self.method = _method(scope)
        self.began = time.perf_counter()
        self.status = 0
        self.notes: dict[str, Any] = scope.setdefault(NOTES, {})
        self._scope, self._send = scope, send
        self._origin = guards.allows_cross_origin(self.headers)

    @property
    def route(self) -> str:
        """The template of its route, never the path: paths may hold what is private."""
        route = self._scope.get("route")
        return str(getattr(route, "path", "")) or self.notes.get("route", "none")

    async def send(self, message: Message) -> None:
        """Pass on what is answered, with headers."""
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self._origin is not None:
                headers["access-control-allow-origin"] = self._origin
                headers["access-control-expose-headers"] = "retry-after"
                headers.add_vary_header("origin")
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and not self.status:  # no route: say so as HTTP does
            self.notes["refusal"] = NOTHING.code
            await NOTHING.response()(self._scope, _nothing, self.send)
            return
        await self._send(message)


async def _nothing() -> Message:
    """Stand for a request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _method(scope: Scope) -> str:
    if scope["type"] == "websocket":
        return "WEBSOCKET"
    known = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")
    return scope["method"] if scope["method"] in known else "OTHER"


def _places(error: BaseException) -> list[str]:
    """List where an error came from; not what it says, which may quote what was sent."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-8:]]
