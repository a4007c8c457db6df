"""Checks a recording's container before it is decoded: unsupported formats, truncated files.

libsndfile reports few losses: it cuts a WAV to the bytes that are there, reads a WAV from a pipe
(size 0) as empty, takes an Ogg stream without an end for a shorter one, and stops where it guesses
that an MP3 without a Xing tag ends. These checks run first, on a few hundred bytes, and correct
what they can.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, cast

from serein.errors import AudioError

CONVERT = "convert it to WAV or FLAC, for instance with: ffmpeg -i recording.m4a recording.wav"
RETRY = "copy or record it again"

UNSUPPORTED = {  # (position, magic bytes) -> what it is
    (4, b"ftyp"): "MP4 (M4A, AAC)",
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"): "ASF (WMA)",
    (0, b"\x1a\x45\xdf\xa3"): "Matroska (WebM)",
    (0, b"#!AMR"): "AMR",
}
Order = Literal["little", "big"]
IFF_ORDER: dict[bytes, Order] = {b"RIFF": "little", b"RIFX": "big", b"FORM": "big"}
MAX_CHUNKS = 1000  # before the sound; more is an attack
MAX_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
TOLERANCE_BYTES = 64  # some writers count the 44-byte header as sound
UNKNOWN_BYTES = 0x7FFF0000  # from here on, a 32-bit size is that of a writer to a pipe


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
        except Exception as cause:  # the caller's file object may raise anything
            raise AudioError(f"{self.label}: cannot be read ({cause}); {RETRY}") from cause
        return data

    def hide_size(self, position: int) -> None:
        """Show the four bytes at ``position`` as 0xFFFFFFFF, "not known when this was written"."""
        self._unknown = range(position, position + 4)

    def hide_length(self) -> None:
        """Pretend to be 1000 times longer, so that a length guessed from the size cuts nothing.

        Before the pretended end are the bytes before the real one, where a tag may be.
        """
        self.has_length = False
        self._end = 1000 * self.size

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
        raise AudioError(f"{name}: cannot be read ({cause}); {RETRY}") from cause
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


def check_container(source: Source) -> None:
    """Refuse what libsndfile cannot decode or would cut short; correct wrong lengths."""
    head = source.read_at(_tag_bytes(source.read_at(0, 10)), 256)
    _refuse_unsupported(head, source.label)
    if head[:4] in (*IFF_ORDER, b".snd"):
        _check_chunks(source, head)
    elif head.startswith(b"OggS"):
        _check_last_page(source)
    elif _is_mpeg_frame(head) and not (b"Xing" in head or b"Info" in head):
        source.hide_length()


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
        raise AudioError(f"{name}: there is no such file; check the path") from cause
    except PermissionError as cause:
        raise AudioError(f"{name}: may not be read; give yourself the right to read it") from cause
    if stat.S_ISDIR(mode):
        raise AudioError(f"{name}: is a folder; give the path of one recording")
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


def _tag_bytes(head: bytes) -> int:
    """Return the size of the ID3v2 tag before an MP3, 0 without one."""
    if len(head) < 10 or not head.startswith(b"ID3"):
        return 0
    size = 0
    for byte in head[6:10]:  # seven bits each
        size = size << 7 | byte & 0x7F
    return 10 + size


def _is_mpeg_frame(head: bytes) -> bool:
    """Tell whether an MPEG audio frame starts here; layer 0 would be AAC."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0


def _refuse_unsupported(head: bytes, name: str) -> None:
    """Refuse formats that phones and browsers record and libsndfile does not decode, by name."""
    kind = next(
        (UNSUPPORTED[key] for key in UNSUPPORTED if head[key[0] :].startswith(key[1])), None
    )
    if _is_mpeg_frame(head) and head[1] & 0xF6 == 0xF0:
        kind = "AAC"
    if kind:
        raise AudioError(f"{name}: is {kind}, which cannot be decoded; {CONVERT}")


def _check_chunks(source: Source, head: bytes) -> None:
    """Compare the size of the sound stated in a WAV, AIFF or AU with what is there."""
    if head.startswith(b".snd"):
        field, claimed = 8, int.from_bytes(head[8:12])
        there = source.size - int.from_bytes(head[4:8])
    else:
        field, claimed = _sound_size(source, IFF_ORDER[head[:4]])
        there = source.size - field - 4
    if claimed == 0 and head.startswith(b"RIFF") and not _adds_up(source, head):
        source.hide_size(field)  # written to a pipe, or by a recorder that died
    elif claimed < UNKNOWN_BYTES and claimed > there + TOLERANCE_BYTES:
        raise AudioError(
            f"{source.label}: is truncated: the header promises {claimed} bytes of sound, {there} "
            f"are there; {RETRY}"
        )


def _adds_up(source: Source, head: bytes) -> bool:
    """Tell whether a WAV is as long as its header states."""
    return 0 <= source.size - 8 - int.from_bytes(head[4:8], "little") <= 1


def _sound_size(source: Source, order: Order) -> tuple[int, int]:
    """Find the chunk with the sound: position of its size, and the size in bytes."""
    position = 12
    for _ in range(MAX_CHUNKS):
        chunk = source.read_at(position, 8)
        size = int.from_bytes(chunk[4:], order)
        if chunk[:4] in (b"data", b"SSND"):
            return position + 4, size
        position += 8 + size + size % 2
    return position, UNKNOWN_BYTES  # none: libsndfile reports the error


def _check_last_page(source: Source) -> None:
    """Refuse an Ogg stream whose last page is cut or lacks the end-of-stream mark."""
    tail = source.read_at(max(0, source.size - MAX_OGG_PAGE_BYTES), MAX_OGG_PAGE_BYTES)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    segments = page[26] if len(page) > 26 else 255
    body = sum(page[27 : 27 + segments])
    if len(page) < 27 + segments + body:
        raise AudioError(f"{source.label}: is truncated: its last Ogg page is cut; {RETRY}")
    if not page[5] & 4:
        raise AudioError(
            f"{source.label}: is truncated: the Ogg stream lacks its end-of-stream mark; {RETRY}"
        )
