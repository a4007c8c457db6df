"""Error responses: a code, its HTTP status, and a message, as JSON."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from serein.errors import SereinError, unknown_name

STATUS = {
    "bad_request": 400,
    "bad_name": 400,
    "no_key": 401,
    "bad_origin": 403,
    "not_found": 404,
    "unknown_model": 404,
    "wrong_method": 405,
    "slow_upload": 408,
    "too_large": 413,
    "too_long": 413,
    "unsupported_type": 415,
    "unsupported_format": 422,
    "unreadable": 422,
    "invalid": 422,
    "decoder_failed": 422,
    "too_many": 429,
    "internal": 500,
    "busy": 503,
}


class ErrorDetail(BaseModel):
    """Code and message of an error."""

    code: str
    message: str


class ErrorResponse(BaseModel):
    """Body of every error response."""

    error: ErrorDetail


class RequestError(SereinError):
    """A request that gets an error response."""

    def __init__(self, code: str, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.retry_after_s = code, message, retry_after_s

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    def response(self) -> JSONResponse:
        """Return the HTTP response."""
        headers = {}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(self.retry_after_s)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return JSONResponse(
            {"error": {"code": self.code, "message": self.message}}, self.status, headers
        )


def refuse_unknown(connection: HTTPConnection) -> None:
    """Refuse a parameter of the query that the route does not have."""
    known = [one.alias for one in connection.scope["route"].dependant.query_params]
    for name in connection.query_params:
        if name not in known:
            raise RequestError("invalid", unknown_name("query parameter", name[:80], known))


def text_response(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Describe, for OpenAPI, the response of a route that does not send JSON."""
    text = {"schema": {"type": "string"}}
    return {200: {"description": "Successful Response", "content": {media_type: text}}}


def error_responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Describe, for OpenAPI, the error responses of a route."""
    by_status: dict[int | str, list[str]] = {}
    for code in ("bad_request", "no_key", "bad_origin", "too_many", *codes):
        by_status.setdefault(STATUS[code], []).append(code)
    return {
        status: {"model": ErrorResponse, "description": " or ".join(names)}
        for status, names in by_status.items()
    }
