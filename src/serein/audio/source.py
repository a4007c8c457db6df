"""A recording's bytes: of a path, of memory or of a file object, within the limit of size."""

from __future__ import annotations

import io
import os
import shlex
import stat
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, cast

from serein.errors import AudioError, look_at, reason_of
from serein.recordings import no_such_file

RETRY = "copy or record it again"


class Source:
    """A binary file as libsndfile and FFmpeg read it, from its present position on.

    It has no ``name``, from which they would guess a format; it keeps errors of the file,
    which C code would lose; and it can correct two wrong statements of length.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.label = name
        self.failure: AudioError | None = None
        self.has_length = True
        self._file = file
        self.start = file.tell()
        file.seek(0, os.SEEK_END)
        self.size = file.tell() - self.start
        self._end = self.size
        self._position = 0
        self._unknown = range(0)

    def read_at(self, position: int, count: int) -> bytes:
        """Read ``count`` bytes from ``position``; fewer only at the end of the file."""
        data = b""
        try:
            self._file.seek(self.start + position)
            while len(data) < count and (piece := self._file.read(count - len(data))):
                data += piece
        except AudioError:  # of the file that this is a part of
            raise
        except Exception as cause:  # the caller's file object may raise anything
            raise AudioError(f"{self.label}: cannot be read ({cause}); {RETRY}") from cause
        return data

    def part(self, ranges: Sequence[range]) -> Source:
        """Return these ranges of the file as a file of their own."""
        if ranges == [range(self.size)]:
            return self
        return Source(cast(BinaryIO, _Ranges(self, ranges)), self.label)

    def hide_size(self, position: int) -> None:
        """Show the four bytes at ``position`` as 0xFFFFFFFF, "not known when this was written"."""
        self._unknown = range(position, position + 4)

    def hide_length(self) -> None:
        """Pretend to be 1000 times longer, so that a length guessed from the size cuts nothing.

        Before the pretended end are the bytes before the real one, where a tag may be.
        """
        self.has_length = False
        self._end = 1000 * self.size + 1  # odd: an even size may look like that of an HTK file

    def raise_failure(self) -> None:
        """Raise the error that libsndfile met while it read, if any."""
        if self.failure is not None:
            raise self.failure

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, as a binary file does."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read from the position, as a binary file does."""
        data = self.read_at(self._position, self.size - self._position if size < 0 else size)
        self._position += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer, as a binary file does; an error is kept and looks like the end."""
        view = memoryview(buffer).cast("B")
        at = self._place()
        try:
            data = self.read_at(at, len(view))
        except AudioError as failure:  # C code would lose it: raise_failure raises it later
            self.failure = failure
            return 0
        view[: len(data)] = data
        for place in self._unknown:
            if at <= place < at + len(data):
                view[place - at] = 0xFF
        self._position += len(data)
        return len(data)

    def _place(self) -> int:
        """Return the position in the real file, which differs near the pretended end."""
        to_end = self._end - self._position
        return self.size - to_end if to_end <= self.size < self._position else self._position


class _Ranges:
    """Ranges of a file, one after the other, as a binary file."""

    def __init__(self, source: Source, ranges: Sequence[range]) -> None:
        self._source, self._ranges, self._position = source, ranges, 0
        self._ends = list(accumulate(map(len, ranges)))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_END: self._ends[-1]}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        """Read up to the end of a range."""
        number = bisect_right(self._ends, self._position)
        if number == len(self._ranges):
            return b""
        left = self._ends[number] - self._position
        data = self._source.read_at(self._ranges[number].stop - left, min(size, left))
        self._position += len(data)
        return data


@contextmanager
def opened(source: object, max_bytes: int) -> Iterator[Source]:
    """Open a path, bytes or a binary file object; afterwards close it, or put it back."""
    name = name_of(source)
    try:
        file = _open(source, name, max_bytes)
        checked = Source(file, name)
    except AudioError:
        raise
    except Exception as cause:  # the caller's file object may raise anything
        raise AudioError(f"{name}: cannot be read ({reason_of(cause)}); {RETRY}") from cause
    try:
        _check_size(name, checked.size, max_bytes)
        yield checked
    finally:
        if file is not source:
            file.close()
        else:
            with suppress(Exception):  # the caller's file object may raise anything
                file.seek(checked.start)


def name_of(source: object) -> str:
    """Return the name of a source in errors: its path, ``<bytes>`` or ``<file>``."""
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "<bytes>"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<file>"


def _open(source: object, name: str, max_bytes: int) -> BinaryIO:
    """Turn a path, bytes or file object into a seekable binary file."""
    if isinstance(source, (str, os.PathLike)):
        return _open_path(name)
    if isinstance(source, (bytes, bytearray, memoryview)):
        _check_size(name, memoryview(source).nbytes, max_bytes)
        return io.BytesIO(bytes(source))
    if not hasattr(source, "read"):
        raise AudioError(
            f"{name}: is of type {type(source).__name__}; need a path, bytes, a binary file or a "
            "numpy array"
        )
    file = cast(BinaryIO, source)
    if isinstance(file.read(0), str):
        raise AudioError(f"{name}: is open as text; open it with mode 'rb'")
    if hasattr(file, "seekable") and file.seekable():
        return file
    return io.BytesIO(_read_all(file, max_bytes))


def _open_path(name: str) -> BinaryIO:
    """Open a path for reading, unless reading it could block or is not allowed."""
    try:
        mode = Path(name).stat().st_mode
        if stat.S_ISREG(mode):
            return Path(name).open("rb")
    except FileNotFoundError as cause:
        raise no_such_file(name) from cause
    except PermissionError as cause:
        raise AudioError(
            f"{name}: may not be read; give yourself the right to read it",
            to_try=look_at(Path(name), cause),
        ) from cause
    if stat.S_ISDIR(mode):
        why = f"{name}: is a folder; give the path of one recording"
        raise AudioError(why, to_try=f"ls {shlex.quote(name)}")
    raise AudioError(
        f"{name}: is a pipe or device, not a regular file; copy it to a file, or pass its bytes"
    )


def _read_all(file: BinaryIO, max_bytes: int) -> bytes:
    """Read a file object that cannot seek, up to one byte more than allowed."""
    data = bytearray()
    while len(data) <= max_bytes and (piece := file.read(min(2**20, max_bytes + 1 - len(data)))):
        data += piece
    return bytes(data)


def _check_size(name: str, size: int, max_bytes: int) -> None:
    """Refuse what is empty or too large."""
    if size == 0:
        raise AudioError(f"{name}: is empty (0 bytes); {RETRY}")
    if size > max_bytes:
        raise AudioError(
            f"{name}: is {size} bytes or more; at most {max_bytes} are read: cut it into pieces, "
            "or raise max_bytes in the limits"
        )
