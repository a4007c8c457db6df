"""Access control: the host, origin, key and rate of a request."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.types import Scope

from serein.serve.clients import RateLimiter, client_of
from serein.serve.errors import RequestError
from serein.serve.settings import Settings

PUBLIC_PATHS = ("/", "/healthz")  # no key needed
PUBLIC_FOLDERS = ("/assets/",)
UNLIMITED_PATHS = ("/healthz",)  # a watchdog is no client
KEY_SUBPROTOCOL = "key."  # a browser's WebSocket cannot send headers
HOST = re.compile(r"(?:\[([0-9a-f:.]*:[0-9a-f:.]*)\]|([a-z0-9._-]{1,255}))(?::[0-9]{1,5})?")


class AccessControl:
    """Decides whether a request is allowed."""

    def __init__(self, settings: Settings) -> None:
        self._key = _digest(settings.api_key) if settings.api_key else b""
        self._origins = {origin.lower() for origin in settings.allow_origins}
        self._hosts = {host.lower().strip("[]") for host in settings.allow_hosts}
        self._per_minute = settings.requests_per_minute
        # Requests without a key have buckets of their own: they cannot empty those of its holders.
        self._with_key, self._public = (
            RateLimiter(self._per_minute, settings.max_clients) for _ in range(2)
        )

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raise RequestError if a request is not allowed."""
        path: str = scope["path"]
        self._check_host(scope, headers)
        self._check_origin(scope, headers)
        public = path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDERS)
        public = public or is_preflight(scope, headers)
        if not public:
            self._check_key(scope, headers)
        if path not in UNLIMITED_PATHS:
            self._check_rate(scope, self._public if public else self._with_key)

    def allowed_origin(self, headers: Headers) -> str | None:
        """Return the origin of a request if it is another site's, and allowed."""
        origin = headers.get("origin", "")
        return origin if origin.lower() in self._origins else None

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        """Refuse names of other sites that were made to resolve to this machine (DNS rebinding)."""
        host = _host_name(headers)
        bound = (scope.get("server") or ("", 0))[0]
        if host in self._hosts or host == "localhost" or _is_loopback(host):
            return
        if host and host == bound.lower():
            return
        raise RequestError(
            "bad_request",
            "the Host header names another host than this one; allow it with --allow-host",
        )

    def _check_rate(self, scope: Scope, limiter: RateLimiter) -> None:
        if self._per_minute and (wait_s := limiter.wait_s(client_of(scope))):
            raise RequestError(
                "too_many",
                f"more than {self._per_minute} requests in a minute; retry later",
                wait_s,
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        doubled = len(headers.getlist("origin")) > 1
        if origin is None or (origin.lower() in self._origins and not doubled):
            return
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        if doubled or origin.lower() != f"{scheme}://{headers['host'].lower()}":
            raise RequestError(
                "bad_origin",
                "pages of this origin are not allowed; allow them with --allow-origin",
            )

    def _check_key(self, scope: Scope, headers: Headers) -> None:
        if not self._key:
            return
        # All are compared, each in constant time.
        right = [hmac.compare_digest(_digest(key), self._key) for key in _keys(scope, headers)]
        if not any(right):
            raise RequestError(
                "no_key",
                "no valid API key came; send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
            )


def is_preflight(scope: Scope, headers: Headers) -> bool:
    """Tell whether a request is a browser's CORS preflight."""
    return (
        scope["type"] == "http"
        and scope["method"] == "OPTIONS"
        and "origin" in headers
        and "access-control-request-method" in headers
    )


def _keys(scope: Scope, headers: Headers) -> list[str]:
    """Collect the keys of a request, from wherever a key may be sent."""
    found = [headers.get("x-api-key", "")]
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found.append(value.strip())
    if scope["type"] == "websocket":
        found += [
            _decoded(name.removeprefix(KEY_SUBPROTOCOL))
            for name in scope.get("subprotocols", [])
            if name.startswith(KEY_SUBPROTOCOL)
        ]
    return found


def _decoded(text: str) -> str:
    """Decode base64url without padding; "" if it is malformed."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return ""


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def _host_name(headers: Headers) -> str:
    """Return the host of ``host:port`` or ``[::1]:port`` in small letters; "" if malformed."""
    given = headers.getlist("host")
    found = HOST.fullmatch(given[0].lower()) if len(given) == 1 else None
    return (found[1] or found[2]) if found else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
