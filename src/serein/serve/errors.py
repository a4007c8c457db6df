"""Every way to say no: a code, its HTTP status, and a sentence, as JSON."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

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
    "unsupported_type": 415,
    "unreadable": 422,
    "invalid": 422,
    "decoder_failed": 422,
    "too_many": 429,
    "internal": 500,
    "busy": 503,
}


class Refused(BaseModel):
    """Why a request was refused."""

    code: str
    message: str


class ErrorBody(BaseModel):
    """What every refusal answers."""

    error: Refused


class Refusal(Exception):  # noqa: N818  # not always the client's error, never the service's
    """A request that is not answered."""

    def __init__(self, code: str, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.retry_after_s = code, message, retry_after_s

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    def response(self) -> JSONResponse:
        """Return it as an HTTP response."""
        headers = {}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(self.retry_after_s)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return JSONResponse(
            {"error": {"code": self.code, "message": self.message}}, self.status, headers
        )


def written_as(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Describe, for OpenAPI, an answer that is no JSON, of a route whose class is `Response`."""
    text = {"schema": {"type": "string"}}
    return {200: {"description": "Successful Response", "content": {media_type: text}}}


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Describe, for OpenAPI, the refusals of a route."""
    by_status: dict[int | str, list[str]] = {}
    for code in ("bad_request", "no_key", "bad_origin", "too_many", *codes):
        by_status.setdefault(STATUS[code], []).append(code)
    return {
        status: {"model": ErrorBody, "description": " or ".join(names)}
        for status, names in by_status.items()
    }
