"""Uploads: read into memory within limits of size and time, and kept on disk only if asked for."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import unicodedata
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from serein.errors import ServiceError, unknown_name
from serein.serve.errors import RequestError
from serein.serve.settings import MEGABYTE, Settings

FIELD, ADAPTATION = "file", "adaptation"
FIELDS = (FIELD, ADAPTATION)
MAX_NAME_LENGTH = 255
FORM_BYTES = 64 * 1024  # what a form may add to its file
MAX_FIELDS = 16
FIELD_BYTES = 4096
ADAPTATION_BYTES = 2**20
logger = logging.getLogger("serein.serve")


@dataclass(frozen=True)
class Upload:
    """A file that was uploaded."""

    name: str | None
    data: bytes


@dataclass(frozen=True)
class Body:
    """What came with a request: files, what a client had saved of an adaptation, other fields."""

    files: tuple[Upload, ...]
    adaptation: bytes = b""
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(len(file.data) for file in self.files)


class _InMemoryParser(MultiPartParser):
    """A form parser that keeps everything in memory, and sees file names as they were sent."""

    spool_max_size = 2**40

    def on_headers_finished(self) -> None:
        """Refuse a backslash before the parser takes it for part of a path and removes it."""
        if b"\\" in (self._current_part.content_disposition or b"").replace(b'\\"', b""):
            raise _bad_name()
        super().on_headers_finished()


async def read_body(
    request: Request,
    settings: Settings,
    most: int = 1,
    known: Collection[str] | None = FIELDS,
) -> Body:
    """Read the files of a request, at most so many; `known` are the fields of a form, None: any."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(
            "unsupported_type", "the body is compressed as a whole; send it uncompressed"
        )
    if kind == "multipart/form-data":
        body = await _read_form(request, settings, most, known)
    elif kind.startswith("audio/") or kind == "application/octet-stream":
        stream = _chunks(request, settings, settings.max_bytes)
        body = Body((Upload(None, b"".join([chunk async for chunk in stream])),))
    else:
        raise RequestError(
            "unsupported_type",
            f"the content type is {kind[:80]!r}; need multipart/form-data with a field "
            f"{FIELD!r}, audio/* or application/octet-stream",
        )
    if not all(file.data for file in body.files):
        raise RequestError("unreadable", "the file is empty")
    return body


async def _read_form(
    request: Request, settings: Settings, most: int, known: Collection[str] | None
) -> Body:
    """Read a form."""
    stream = _chunks(request, settings, settings.max_bytes + ADAPTATION_BYTES + FORM_BYTES)
    parser = _InMemoryParser(
        request.headers,
        stream,
        max_files=most + 1,
        max_fields=MAX_FIELDS,
        max_part_size=FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestError("bad_request", f"the form is malformed: {error.message}") from error
    except (ValueError, LookupError, AssertionError) as error:
        raise RequestError("bad_request", "the form is malformed") from error
    try:
        files = [file for file in await _files(form, FIELD) if file.name or file.data]
        saved = form.get(ADAPTATION, "")
        adaptation = saved.encode() if isinstance(saved, str) else await saved.read()
    finally:
        await form.close()
    if not 0 < len(files) <= most:
        allowed = "1" if most == 1 else f"1 to {most}"
        reason = f"the form has {len(files)} files in its field {FIELD!r}; need {allowed}"
        raise RequestError("bad_request", reason)
    for name in form if known is not None else ():
        _check_field(name, known or ())
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    body = Body(tuple(files), adaptation, texts)
    if body.size > settings.max_bytes or len(adaptation) > ADAPTATION_BYTES:
        raise _too_large(settings, body.size)
    return body


async def _files(form: FormData, field: str) -> list[Upload]:
    """Return the files in a field of a form."""
    given = [file for file in form.getlist(field) if isinstance(file, UploadFile)]
    return [Upload(check_name(file.filename), await file.read()) for file in given]


def _check_field(name: str, known: Collection[str]) -> None:
    if name not in known:
        reason = unknown_name("field of the form", name[:80], known)
        raise RequestError("invalid", f"{reason}; settings are for the query: ?name=value")


def check_name(name: str | None) -> str | None:
    """Check a file name; it is only ever sent back to the client that gave it."""
    if not name:
        return None
    bad = any(part in name for part in ("/", "\\", ".."))
    bad |= any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
    if bad or len(name) > MAX_NAME_LENGTH:
        raise _bad_name()
    return name


def _bad_name() -> RequestError:
    return RequestError(
        "bad_name", "the file's name is a path, too long, or holds control characters"
    )


async def _chunks(request: Request, settings: Settings, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes; raise where it is too large or too slow."""
    declared = request.headers.get("content-length", "0")
    size = int(declared[:20]) if declared.isascii() and declared.isdigit() else 0
    if size > limit:
        raise _too_large(settings, size)
    now = asyncio.get_running_loop().time
    end, received, stream = now() + settings.body_seconds, 0, request.stream()
    while True:
        try:
            async with asyncio.timeout_at(min(end, now() + settings.body_idle_seconds)):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise RequestError(
                "slow_upload",
                f"the upload paused for {settings.body_idle_seconds:g} s, or took longer than "
                f"{settings.body_seconds:g} s",
            ) from error
        if chunk is None:
            return
        received += len(chunk)
        if received > limit:
            raise _too_large(settings, size)
        yield chunk


def _too_large(settings: Settings, size: int) -> RequestError:
    """Say how large an upload is, if it is known, and what to do about it."""
    limit = settings.max_bytes / MEGABYTE
    has = f" ({size / MEGABYTE:.1f} MB)" if size > settings.max_bytes else ""
    return RequestError(
        "too_large",
        f"the file is larger than {limit:g} MB, the limit{has}: send it as FLAC, half the size of "
        "WAV, or as Ogg; or raise --max-megabytes of the service",
    )


class Store:
    """Writes uploads and predictions into a folder, under random names."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None

    async def keep(self, data: bytes, prediction: dict[str, Any]) -> None:
        """Keep an upload and its prediction, without its file name."""
        if self._folder is None:
            return
        try:
            await asyncio.to_thread(_write, self._folder / uuid4().hex, data, prediction)
        except OSError as error:
            logger.error("store_failed", extra={"error": type(error).__name__})


def make_store(folder: str) -> None:
    """Make the folder for uploads, if one is given."""
    if not folder:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as cause:
        raise ServiceError(f"--store {folder}: cannot be made ({cause.strerror})") from cause
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ServiceError(f"--store {folder}: cannot be written to")


def _write(place: Path, data: bytes, prediction: dict[str, Any]) -> None:
    text = json.dumps(prediction | {"file": None}, ensure_ascii=False, allow_nan=False)
    for suffix, content in ((".audio", data), (".json", text.encode())):
        file = os.open(f"{place}{suffix}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
