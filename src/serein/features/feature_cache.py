"""Cache of features: the key is the content of a file and the settings of the extractor.

Each array is a file of its own and written atomically, so an interrupted run can be resumed.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import gettempdir
from typing import Protocol

import numpy as np
import numpy.typing as npt

from serein.audio.read import read_audio
from serein.engine import each, engine, usable_cores
from serein.errors import AudioError, BadFilesError, SereinError
from serein.private_files import kept_or_not, open_own, private_file, private_folder

Array = npt.NDArray[np.float32]
CACHE_VARIABLE = "SEREIN_CACHE"
MIN_FOR_PROCESSES = 40  # files: fewer are faster in one process
KEPT = (np.dtype(np.float32), np.dtype(np.float16))  # vectors; series of an encoder
CACHE_FILES = {  # kind -> names of its files below the cache, those of training and stress too
    "features": r"features/[^/]+/([0-9a-f]{64}\.npy|tmp\w+\.part)",
    "training": (
        r"training/([0-9a-f]{64}\.safetensors(\.\d+\.part)?|tmp\w+\.part|log/events\.out\.[^/]+)"
    ),
    "segments": r"segments/[^/]+/([^/]+/)?(\d{5}\.flac|corpus\.csv)",
    "stress": r"stress/[^/]+/[0-9a-f]{20}\.csv",
}


class Extractor(Protocol):
    """Computes features of a signal."""

    @property
    def fingerprint(self) -> str:
        """Identifies the settings: equal fingerprints give equal arrays."""

    def __call__(self, signal: Array) -> Array:
        """Compute the features, (features,) or (time, features), of a signal, (samples,)."""


def default_cache() -> Path:
    """Return the folder of the cache: ``$SEREIN_CACHE``, else the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # no $HOME, and no such user
        return Path(gettempdir()) / f"serein-{os.getuid()}"
    return Path(home) / "serein"


def extract(
    files: Sequence[Path],
    extractor: Extractor,
    *,
    cache: Path | None = None,
    processes: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Array]:
    """Compute the features of recordings, or read them from the cache.

    Raises: BadFilesError that names all recordings that cannot be used; the others are cached.
    """
    folder = (cache or default_cache()) / "features" / extractor.fingerprint
    found: list[Array] = []
    bad: dict[Path, str] = {}
    for file, result in zip(
        files, _each(files, extractor, folder, processes=processes), strict=True
    ):
        if isinstance(result, str):
            bad[file] = result
        else:
            found.append(result)
        progress(len(found) + len(bad), len(files))
    if bad:
        raise BadFilesError(bad, len(files))
    return found


def _each(
    files: Sequence[Path], extractor: Extractor, folder: Path, *, processes: bool
) -> Iterator[Array | str]:
    """Yield the features of each recording, or why it has none."""
    if processes or engine().name == "ray":
        work = partial(_features_or_reason, describe=extractor, folder=folder)
        yield from each(work, files, jobs=-1 if len(files) > MIN_FOR_PROCESSES else 1)
        return
    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from pool.map(lambda file: _features_or_reason(file, extractor, folder), files)


def _features_or_reason(
    file: Path, describe: Callable[[Array], Array], folder: Path
) -> Array | str:
    def describe_sound(signal: Array) -> Array:
        if not signal.any():  # no label is true of it
            raise AudioError(f"{file}: is silent throughout; record it again, or leave it out")
        return describe(signal)

    try:
        return cached_features(file, describe_sound, folder)
    except AudioError as error:
        return str(error)


def cached_features(
    file: Path, describe: Callable[[Array], Array], folder: Path | None = None
) -> Array:
    """Compute the features of a recording, or read them from the cache; no folder, no cache."""
    if folder is None:
        return describe(read_audio(file))
    try:
        with file.open("rb") as content:
            key = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return describe(read_audio(file))  # which raises the error
    cached = folder / f"{key}.npy"
    if folder.exists():
        with kept_or_not(folder):
            private_folder(folder)  # closes one that was left open to others
    array = _read(cached)
    if array is None:
        array = describe(read_audio(file))
        with kept_or_not(folder):
            private_folder(folder)
            with private_file(cached) as part:
                entry = BytesIO()
                np.save(entry, array, allow_pickle=False)
                part.write(entry.getvalue() + _checksum(entry.getvalue()))
    return array


def _read(cached: Path) -> Array | None:
    """Read features; None if there are none, or they are damaged or not written by this user."""
    opened = open_own(cached)
    if opened is None:
        return None
    with opened:
        content = BytesIO(opened.read())
    try:
        array: Array = np.lib.format.read_array(content, allow_pickle=False)
    except Exception:  # the header alone has many ways to be damaged
        return None
    end = content.tell()
    whole = content.read() in (b"", _checksum(content.getvalue()[:end]))  # older ones have none
    fits = array.dtype in KEPT and array.ndim in (1, 2) and array.size
    return array if whole and fits and np.isfinite(array).all() else None


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")


def list_cache(cache: Path) -> dict[str, list[Path]]:
    """List the files of serein in a cache: kind -> files; links are neither followed nor listed."""
    files = [file for file in _files(cache) if not file.is_symlink()]
    found = {
        kind: [file for file in files if re.fullmatch(name, file.relative_to(cache).as_posix())]
        for kind, name in CACHE_FILES.items()
    }
    if not any(found.values()) and not _may_be_cache(cache):
        raise SereinError(
            f"{cache} is no cache of serein: it holds none of its files "
            f"({', '.join(f'{kind}/' for kind in CACHE_FILES)}); name one that does with --cache"
        )
    return found


def clear_cache(cache: Path) -> int:
    """Delete the files of serein in a cache; return how many other files are left."""
    found = list_cache(cache)
    try:
        for file in (file for files in found.values() for file in files):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise SereinError(f"{error.filename}: cannot be deleted ({error.strerror})") from error
    for folder, _, _ in os.walk(cache, topdown=False):
        if Path(folder).relative_to(cache).parts[:1] in {(kind,) for kind in CACHE_FILES}:
            with suppress(OSError):  # it is not empty
                Path(folder).rmdir()
    return len(_files(cache))


def _files(folder: Path) -> list[Path]:
    """List files and links below a folder, without following links."""
    found = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        found += [Path(place, name) for name in sorted([*files, *links])]
    return found


def _may_be_cache(folder: Path) -> bool:
    if not folder.exists():
        return True
    return folder.is_dir() and {entry.name for entry in folder.iterdir()} <= set(CACHE_FILES)
