"""Recordings in object stores, by the URLs that fsspec knows, such as s3:// and gs://.

Needs fsspec, from the extra [scale], and the package for the store, such as s3fs for s3://.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from serein.errors import AudioError, MissingExtraError, SereinError
from serein.recordings import ALL_EXTENSIONS


class Fetched(io.BytesIO):
    """The bytes of a recording, with the URL that errors name."""

    def __init__(self, content: bytes, url: str) -> None:
        super().__init__(content)
        self.name = url


def list_objects(url: str) -> list[str]:
    """Take an object as it is, and a prefix as the recordings below it."""
    with _store(url) as (store, path):
        if store.isfile(path):
            return [url]
        below = [store.unstrip_protocol(name) for name in store.find(path)]
    found = sorted(name for name in below if name.lower().endswith(ALL_EXTENSIONS))
    if not found:
        raise AudioError(
            f"{url}: no recording there, or it cannot be reached; looked for "
            f"{', '.join(ALL_EXTENSIONS)}"
        )
    return found


def fetch(url: str, max_bytes: int) -> Fetched:
    """Read an object."""
    with _store(url) as (store, path):
        size = store.info(path).get("size") or 0
        if size > max_bytes:
            raise AudioError(f"{url}: has {size} bytes; allowed: {max_bytes}")
        with store.open(path, "rb") as file:
            content = file.read(max_bytes + 1)  # a store may not know the size
    if len(content) > max_bytes:
        raise AudioError(f"{url}: has more than {max_bytes} bytes, which is what is allowed")
    return Fetched(content, url)


@contextmanager
def _store(url: str) -> Iterator[tuple[Any, str]]:
    """Open the store of a URL; whatever it raises becomes an error that names the URL."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as cause:
        raise MissingExtraError("reading from object stores", "scale") from cause
    try:
        yield url_to_fs(url)
    except SereinError:
        raise
    except FileNotFoundError as cause:
        raise AudioError(f"{url}: nothing is there") from cause
    except Exception as cause:  # each store has errors of its own
        raise AudioError(f"{url}: cannot be read ({cause})") from cause
