"""Checks a recording's container before it is decoded: formats that are read, truncated files.

libsndfile guesses among two dozen formats, each with a parser of its own; only files whose first
bytes name a format of `FORMATS` reach it, and in these only the encodings below.

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
FORMATS = "WAV, FLAC, Ogg (Opus, Vorbis), MP3, AIFF or AU"

UNSUPPORTED = {  # (position, magic bytes) -> what it is
    (4, b"ftyp"): "MP4 (M4A, AAC)",
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"): "ASF (WMA)",
    (0, b"\x1a\x45\xdf\xa3"): "Matroska (WebM)",
    (0, b"#!AMR"): "AMR",
}
Order = Literal["little", "big"]
IFF_ORDER: dict[tuple[bytes, bytes], Order] = {
    (b"RIFF", b"WAVE"): "little",
    (b"RF64", b"WAVE"): "little",  # a WAV that may be longer than 4 GB
    (b"RIFX", b"WAVE"): "big",
    (b"FORM", b"AIFF"): "big",
    (b"FORM", b"AIFC"): "big",
}
WAV_ENCODINGS = (1, 2, 3, 6, 7, 0x11, 0x31, 0x55)  # PCM, float, A-law, ADPCM, GSM 6.10, MP3 ...
WAV_EXTENSIBLE = 0xFFFE  # the encoding is further on, at the start of a GUID
AIFC_ENCODINGS = (  # in lower case
    *(b"none", b"sowt", b"twos", b"raw ", b"in24", b"ni24", b"42ni", b"in32", b"ni32", b"23ni"),
    *(b"fl32", b"fl64", b"ulaw", b"alaw", b"ima4", b"agsm", b"gsm "),
)
AU_ENCODINGS = (*range(1, 8), 27)  # mu-law, PCM, float, A-law
OGG_CODECS = (b"\x01vorbis", b"OpusHead")
MAX_TAGS = 8  # ID3v2, one after the other
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
    """Refuse what is not read, or would be cut short; correct wrong lengths."""
    start = _tag_bytes(source)
    head = source.read_at(start, 256)
    _refuse_unsupported(head, source.label)
    if start and not (head.startswith(b"fLaC") or _is_mp3_frame(head)):
        raise _not_read(source, "after its ID3 tag come neither MP3 nor FLAC")
    if (head[:4], head[8:12]) in IFF_ORDER or head.startswith(b".snd"):
        _check_chunks(source, head)
    elif head.startswith(b"OggS"):
        _check_ogg_codec(source, head)
        _check_last_page(source)
    elif _is_mp3_frame(head):
        if not (b"Xing" in head or b"Info" in head):
            source.hide_length()
    elif not head.startswith(b"fLaC"):
        raise _not_read(source, "its first bytes are of no format that is read")


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


def _tag_bytes(source: Source) -> int:
    """Return the size of the ID3v2 tags before an MP3, 0 without one."""
    start = 0
    for _ in range(MAX_TAGS):
        head = source.read_at(start, 10)
        if len(head) < 10 or head[:4] not in (b"ID3\2", b"ID3\3", b"ID3\4"):
            break
        size = 0
        for byte in head[6:10]:  # seven bits each
            size = size << 7 | byte & 0x7F
        start += 10 + size
    return start


def _is_mp3_frame(head: bytes) -> bool:
    """Tell whether a frame of MPEG audio, layer III, starts here."""
    return (
        len(head) > 3
        and head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[1] & 0x18 != 0x08  # these values are reserved: version, bit rate, sampling rate
        and head[2] & 0xF0 != 0xF0
        and head[2] & 0x0C != 0x0C
    )


def _not_read(source: Source, reason: str) -> AudioError:
    return AudioError(f"{source.label}: cannot be decoded ({reason}); need {FORMATS}: {CONVERT}")


def _refuse_unsupported(head: bytes, name: str) -> None:
    """Refuse formats that phones and browsers record and libsndfile does not decode, by name."""
    kind = next(
        (UNSUPPORTED[key] for key in UNSUPPORTED if head[key[0] :].startswith(key[1])), None
    )
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # an MPEG frame of layer 0
        kind = "AAC"
    if kind:
        raise AudioError(f"{name}: is {kind}, which cannot be decoded; {CONVERT}")


def _check_chunks(source: Source, head: bytes) -> None:
    """Check the encoding of a WAV, AIFF or AU, and that as much sound as it states is there."""
    if head.startswith(b".snd"):
        _check_encoding(source, int.from_bytes(head[12:16]) in AU_ENCODINGS)
        field, claimed = 8, int.from_bytes(head[8:12])
        there = source.size - int.from_bytes(head[4:8])
    else:
        field, claimed = _sound_size(source, IFF_ORDER[head[:4], head[8:12]])
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
        chunk = source.read_at(position, 36)
        size = int.from_bytes(chunk[4:8], order)
        if chunk[:4] == b"fmt ":
            tag = int.from_bytes(chunk[8:10], order)
            tag = int.from_bytes(chunk[32:34], order) if tag == WAV_EXTENSIBLE else tag
            _check_encoding(source, tag in WAV_ENCODINGS)
        elif chunk[:4] == b"COMM" and size > 18:  # of AIFC; AIFF's is PCM
            _check_encoding(source, chunk[26:30].lower() in AIFC_ENCODINGS)
        if chunk[:4] in (b"data", b"SSND"):
            return position + 4, size
        position += 8 + size + size % 2
    return position, UNKNOWN_BYTES  # none: libsndfile reports the error


def _check_encoding(source: Source, is_read: bool) -> None:
    """Refuse an encoding of WAV, AIFF or AU that is not read."""
    if not is_read:
        raise _not_read(source, "its sound is in an encoding that is not read")


def _check_ogg_codec(source: Source, head: bytes) -> None:
    """Refuse an Ogg stream whose first packet is of another codec than Vorbis and Opus."""
    segments = head[26] if len(head) > 26 else 0
    if not head[27 + segments :].startswith(OGG_CODECS):
        raise _not_read(source, "its Ogg stream is neither Opus nor Vorbis")


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
