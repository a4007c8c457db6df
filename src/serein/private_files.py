"""Files that only this user may read: made so, and believed only if they are so."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from serein.errors import ResultsError, SereinError, reason_of

NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for ever

OTHER_NAME = "remove it, or give another name"


def private_folder(folder: Path) -> Path:
    """Make a folder for this user alone, or close the one that is there to others."""
    for place in reversed([folder, *folder.parents]):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)  # two processes may make it at once
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or not _mine(found):
        raise SereinError(
            f"{folder} is a link or belongs to another user: name another cache, with --cache or "
            "SEREIN_CACHE"
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def is_own(file: Path) -> bool:
    """Say whether a file is there that this user wrote: no link, and nobody else may write it."""
    try:
        return _own(file.lstat())
    except OSError:
        return False


def open_own(file: Path) -> IO[bytes] | None:
    """Open a file if `is_own`."""
    try:
        opened = open(file, "rb", opener=lambda name, flags: os.open(name, flags | NO_LINK))  # noqa: SIM115
    except OSError:
        return None
    if _own(os.fstat(opened.fileno())):
        return opened
    opened.close()
    return None


def claim(place: Path, what: str, fits: Callable[[bytes], bool]) -> None:
    """Make an empty file for this user alone; one that is there has to be a `what` of this user.

    `fits`: says of its first 100 bytes whether it is one. SQLite's files beside it are checked too.
    Raises: ResultsError, before anything is changed.
    """
    beside = [place.with_name(f"{place.name}{end}") for end in ("-wal", "-shm", "-journal")]
    there = [file for file in beside if os.path.lexists(file)]
    if there and not os.path.lexists(place):
        raise ResultsError(f"{there[0]}: is left of a {what} that is gone: {OTHER_NAME}")
    with suppress(FileExistsError):
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    opened = open_own(place) if all(map(is_own, there)) else None
    if opened is None:
        raise ResultsError(f"{place}: is a link, or others own or may write it: {OTHER_NAME}")
    with opened:
        head = opened.read(100)
    if head and not fits(head):  # empty is one that was just made
        raise ResultsError(f"{place}: is no {what} of serein: {OTHER_NAME}")


@contextmanager
def kept_or_not(place: Path) -> Iterator[None]:
    """Write into a cache; where that cannot be, warn and go on without."""
    try:
        yield
    except OSError as error:
        warnings.warn(
            f"the cache {place} cannot be written ({reason_of(error)}): nothing is kept there; "
            "name another with --cache or SEREIN_CACHE",
            stacklevel=3,
        )


@contextmanager
def private_file(target: Path) -> Iterator[IO[bytes]]:
    """Give a new file that takes the place of the target at the end."""
    with NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as part:
        try:
            yield part
            part.close()  # writes the rest: the disk may be full
            Path(part.name).replace(target)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


def append_private(file: Path, text: str) -> None:
    """Append to a file of this user alone; through a link raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK
    with open(os.open(file, flags, 0o600), "a", encoding="utf-8") as end:  # noqa: PTH123
        end.write(text)


def _own(found: os.stat_result) -> bool:
    alone = found.st_nlink == 1 and not found.st_mode & 0o022
    return stat.S_ISREG(found.st_mode) and _mine(found) and (alone or os.name == "nt")


def _mine(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()
