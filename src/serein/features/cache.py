"""Vectors of recordings, computed once: a file's content and the extractor's settings are the key.

Each vector is its own small file, written whole or not at all, so a run killed at any moment goes
on where it was.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from serein.audio.read import read_audio
from serein.errors import MissingExtraError

try:
    from joblib import Parallel, delayed
except ImportError as error:
    raise MissingExtraError("the feature cache", "sound") from error

Array = npt.NDArray[np.float32]
CACHE_VARIABLE = "SEREIN_CACHE"


class Extractor(Protocol):
    """What turns a signal into a vector."""

    @property
    def fingerprint(self) -> str:
        """Names the settings: equal fingerprints give equal arrays."""

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
    processes: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Array]:
    """Describe recordings, taking from the cache what is there.

    Parameters
    ----------
    files : sequence of path
        Recordings.
    extractor : Extractor
        Turns a signal into a vector or a series.
    cache : path, optional
        Folder of the cache; `default_cache` if not given.
    processes : bool
        Whether to work in processes, for an extractor written in Python; threads suit one that is
        a network.
    progress : callable
        Called with (files done, files in all).

    Returns
    -------
    list of numpy.ndarray
        What the extractor made of each file, float32.

    Raises
    ------
    AudioError
        If a file cannot be read.
    """
    folder = (cache or default_cache()) / "features" / extractor.fingerprint
    found = []
    for array in _each(files, extractor, folder, processes=processes):
        found.append(array)
        progress(len(found), len(files))
    return found


def _each(
    files: Sequence[Path], extractor: Extractor, folder: Path, *, processes: bool
) -> Iterator[Array]:
    if processes:
        work = (delayed(remembered)(file, extractor, folder) for file in files)
        yield from Parallel(n_jobs=-1, return_as="generator")(work)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda file: remembered(file, extractor, folder), files)


def remembered(file: Path, describe: Callable[[Array], Array], folder: Path | None = None) -> Array:
    """Describe one recording, or take what was kept of its content.

    Parameters
    ----------
    file : path
        A recording.
    describe : callable
        Turns a signal into an array.
    folder : path, optional
        Where arrays made with the same settings are kept; none are if not given.

    Returns
    -------
    numpy.ndarray
        What `describe` made of it.

    Raises
    ------
    AudioError
        If the file cannot be read.
    """
    if folder is None:
        return describe(read_audio(file))
    try:
        with file.open("rb") as content:
            key = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return describe(read_audio(file))  # which says what is wrong with it
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{key}.npy"
    if kept.is_file():
        loaded: Array = np.load(kept, allow_pickle=False)
        return loaded
    array = describe(read_audio(file))
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        np.save(part, array, allow_pickle=False)
    Path(part.name).replace(kept)
    return array
