"""What happens to every request: access control, security headers, metrics, one line of log."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serein.serve.access import AccessControl, is_preflight
from serein.serve.errors import RequestError
from serein.serve.observability import Metrics, places

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
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")
NOT_FOUND = RequestError("not_found", "there is nothing here; see /docs")
BUSY_STOPPING = RequestError("busy", "the service stops; retry soon", 2)
INTERNAL = RequestError("internal", "something went wrong; the log of the service says where")
logger = logging.getLogger("serein.serve")


class RequestMiddleware:
    """ASGI middleware around the whole service.

    Gives each request a dict `notes` in its state. What routes note there (``bytes``, ``audio_s``,
    ``refusal``) is logged.
    """

    def __init__(self, app: ASGIApp, access: AccessControl, metrics: Metrics) -> None:
        self._app, self._access, self._metrics = app, access, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._access)
        try:
            await self._serve(exchange)
        except asyncio.CancelledError:  # the service stops, and has waited long enough
            if not exchange.status:
                await exchange.respond(BUSY_STOPPING.response())
        except Exception as error:
            if exchange.client_left and isinstance(error, OSError):  # the server expects it
                raise
            exchange.notes["refusal"] = INTERNAL.code
            logger.error(
                "failed", extra={"error": type(error).__name__, "at": places(error.__traceback__)}
            )
            if not exchange.status:
                await exchange.respond(INTERNAL.response())
        finally:
            self._record(exchange)

    async def _serve(self, exchange: _Exchange) -> None:
        try:
            self._access.check(exchange.scope, exchange.headers)
        except RequestError as error:
            exchange.notes["refusal"] = error.code
            await exchange.respond(error.response())
            return
        if exchange.origin is not None and is_preflight(exchange.scope, exchange.headers):
            await exchange.respond(Response(status_code=204, headers=PREFLIGHT))
            return
        await self._app(exchange.scope, exchange.receive, exchange.send)

    def _record(self, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.began
        route, method, status = exchange.route, exchange.method, exchange.status
        self._metrics.request(route, method, status, seconds, exchange.notes)
        fields = {
            "route": route,
            "method": method,
            "status": status,
            "ms": round(1000 * seconds, 1),
        }
        event = "stream" if method == "WEBSOCKET" else "request"
        logger.info(event, extra=fields | exchange.notes)


class _Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, access: AccessControl) -> None:
        self.headers = Headers(scope=scope)
        self.method = _method(scope)
        self.began = time.perf_counter()
        self.status = 0
        self.client_left = False
        self.notes: dict[str, Any] = {}
        scope.setdefault("state", {})["notes"] = self.notes
        self.origin = access.allowed_origin(self.headers)
        self.scope, self.receive, self._send = scope, receive, send

    @property
    def route(self) -> str:
        """The template of the route, never the path: paths may hold what is private."""
        return str(getattr(self.scope.get("route"), "path", "")) or "none"

    async def respond(self, response: Response) -> None:
        """Send a response."""
        await response(self.scope, self.receive, self.send)

    async def send(self, message: Message) -> None:
        """Pass a message of the response on, with headers."""
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            self._add_headers(MutableHeaders(scope=message))
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and not self.status:  # no route: say so as HTTP does
            self.notes["refusal"] = NOT_FOUND.code
            await NOT_FOUND.response()(self.scope, _no_body, self.send)
            return
        try:
            await self._send(message)
        except OSError:  # how ASGI says that the client has left
            self.client_left = True
            raise

    def _add_headers(self, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self.origin is not None:
            headers["access-control-allow-origin"] = self.origin
            headers["access-control-expose-headers"] = "retry-after"
            headers.add_vary_header("origin")


async def _no_body() -> Message:
    """Stand for a request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _method(scope: Scope) -> str:
    if scope["type"] == "websocket":
        return "WEBSOCKET"
    return scope["method"] if scope["method"] in METHODS else "OTHER"
