"""What is kept of uploads, if the service was told to: the file and the answer, nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from serein.errors import ServiceError

logger = logging.getLogger("serein.serve")


class Store:
    """Writes uploads and answers into a folder, under random names.

    Parameters
    ----------
    folder : str
        "" keeps nothing.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None

    async def keep(self, data: bytes, answer: dict[str, Any]) -> None:
        """Keep an upload and its answer, without the name that the client gave to it."""
        if self._folder is None:
            return
        try:
            await asyncio.to_thread(_write, self._folder / uuid4().hex, data, answer)
        except OSError as error:
            logger.error("store_failed", extra={"error": type(error).__name__})


def check_store(folder: str) -> None:
    """Make the folder, if one is given.

    Raises
    ------
    ServiceError
        If it cannot be made or written to.
    """
    if not folder:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as cause:
        raise ServiceError(f"--store {folder}: cannot be made ({cause.strerror})") from cause
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ServiceError(f"--store {folder}: cannot be written to")


def _write(place: Path, data: bytes, answer: dict[str, Any]) -> None:
    text = json.dumps(answer | {"file": None}, ensure_ascii=False, allow_nan=False)
    for suffix, content in ((".audio", data), (".json", text.encode())):
        file = os.open(f"{place}{suffix}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
