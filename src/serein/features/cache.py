"""Vectors of recordings, computed once: a file's content and the extractor's settings are the key.

Each vector is its own small file, written whole or not at all, so a run killed at any moment goes
on where it was.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from serein.audio.read import read_audio

Array = npt.NDArray[np.float32]
CACHE_VARIABLE = "SEREIN_CACHE"


class Extractor(Protocol):
    """What turns a signal into a vector."""

    fingerprint: str

    def __call__(self, signal: Array) -> Array:
        """Describe a signal: (samples,) to (features,)."""


def default_cache() -> Path:
    """Say where features are kept: ``$SEREIN_CACHE``, else the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(home) / "serein"


def extract(
    files: Sequence[Path],
    extractor: Extractor,
    *,
    cache: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Array:
    """Describe recordings, taking from the cache what is there.

    Parameters
    ----------
    files : sequence of path
        Recordings.
    extractor : Extractor
        Turns a signal into a vector.
    cache : path, optional
        Folder of the cache; `default_cache` if not given.
    progress : callable
        Called with (files done, files in all).

    Returns
    -------
    numpy.ndarray
        Shape (files, features), float32.

    Raises
    ------
    AudioError
        If a file cannot be read.
    """
    folder = (cache or default_cache()) / "features" / extractor.fingerprint
    folder.mkdir(parents=True, exist_ok=True)
    vectors = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for vector in pool.map(lambda file: _one(file, extractor, folder), files):
            vectors.append(vector)
            progress(len(vectors), len(files))
    return np.stack(vectors)


def _one(file: Path, extractor: Extractor, folder: Path) -> Array:
    kept = folder / f"{hashlib.sha256(file.read_bytes()).hexdigest()}.npy"
    if kept.is_file():
        loaded: Array = np.load(kept, allow_pickle=False)
        return loaded
    vector = extractor(read_audio(file))
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        np.save(part, vector, allow_pickle=False)
    Path(part.name).replace(kept)
    return vector
