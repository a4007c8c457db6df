"""Checks a recording's container before it is decoded: formats that are read, truncated files.

libsndfile guesses among two dozen formats, each with a parser of its own; only files whose first
bytes name a format of `FORMATS` reach it, and in these only the encodings below.

libsndfile reports few losses: it cuts a WAV to the bytes that are there, reads a WAV from a pipe
(size 0) as empty, takes an Ogg stream without an end for a shorter one, stops where it guesses that
an MP3 without a Xing tag ends, and after the first of several files in one. These checks run first,
on a few hundred bytes or on the heads of pages and frames, and correct what they can.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from math import prod
from typing import Literal

from serein.audio.mpeg import Part, TooManyRuns, mpeg_parts
from serein.audio.source import RETRY, Source
from serein.errors import AudioError, FormatError
from serein.recordings import other_content

CONVERT = "convert it to WAV or FLAC, for instance with: ffmpeg -i recording.m4a recording.wav"
FORMATS = "WAV, FLAC, Ogg (Opus, Vorbis), MP3, AIFF, AU, CAF, W64 or SPH"

MEDIA = {  # (position, magic bytes) -> FFmpeg's name of the format: what PyAV reads
    (4, b"ftyp"): "mov",
    (4, b"moov"): "mov",
    (4, b"mdat"): "mov",
    (4, b"wide"): "mov",
    (0, b"\x1a\x45\xdf\xa3"): "matroska",
    (8, b"AVI "): "avi",
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"): "asf",
    (0, b"FLV\x01"): "flv",
    (0, b"\x00\x00\x01\xba"): "mpeg",
    (188, b"G"): "mpegts",  # and at 0
    (0, b"#!AMR"): "amr",
    (0, b"caff"): "caf",  # with a codec that libsndfile lacks
    (28, b"Speex   "): "ogg",
    (28, b"\x7fFLAC"): "ogg",
    (0, b"wvpk"): "wv",
    (0, b"TTA1"): "tta",
}
MEDIA_NAMES = {
    "mov": "MP4 (M4A, AAC)",
    "matroska": "Matroska (WebM)",
    "asf": "ASF (WMA)",
    "wv": "WavPack",
}
SOUND_FORMATS = ("aac", "ac3", "amr", "caf", "eac3", "ogg", "tta", "wv")  # without pictures
SOUND_BRANDS = (b"ftypM4A ", b"ftypM4B ", b"ftypM4P ")  # of MP4 without pictures
PICTURE_BRANDS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif")  # not read
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
CAF_ENCODINGS = (b"lpcm", b"alac", b"ulaw", b"alaw")
CAF_ALAC_BITS = (b"\x01", b"\x02", b"\x03", b"\x04")  # 16, 20, 24 or 32 of a sample
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
SPH_ENCODINGS = (b"pcm", b"ulaw", b"mu-law", b"alaw")
SPH = b"NIST_1A\n   1024\n"
AU_ENCODINGS = (*range(1, 8), 27)  # mu-law, PCM, float, A-law
TEXT_BYTES = 200  # of a file, that tell whether it is text
OGG_CODECS = (b"\x01vorbis", b"OpusHead")
JOINED = {  # first bytes of a file -> of another one after it
    b"fLaC": re.compile(rb"fLaC[\x00\x80]\x00\x00\x22"),
    b"caff": re.compile(rb"caff\x00\x01\x00\x00desc"),
    b"NIST": re.compile(re.escape(SPH)),
    b"#!AM": re.compile(rb"#!AMR(-WB)?\n"),
    b"TTA1": re.compile(rb"TTA1[\x01\x02]\x00"),
    b"\x1a\x45\xdf\xa3": re.compile(rb"\x1a\x45\xdf\xa3.{1,64}?(?:webm|matroska)", re.DOTALL),
    b"\x30\x26\xb2\x75": re.compile(re.escape(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa")),
}
SCAN_BYTES = 2**20
MAX_PARTS = 64  # files in one
MAX_ATOMS = 100_000  # of an MP4
MAX_TAGS = 8  # ID3v2, one after the other
MAX_CHUNKS = 1000  # before the sound; more is an attack
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
MAX_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
TOLERANCE_BYTES = 64  # some writers count the 44-byte header as sound
MIN_LINES = 16  # ends of lines in sound; where each follows a CR, it was copied as text
UNKNOWN_BYTES = 0x7FFF0000  # from here on, a 32-bit size is that of a writer to a pipe


def media_format(source: Source) -> str | None:
    """Tell FFmpeg's name of a format that PyAV reads and libsndfile does not; else None."""
    head = source.read_at(0, 256)
    if head[4:12] in PICTURE_BRANDS or (head[:4] == b"caff" and _is_plain_caf(head)):
        return None
    for (position, magic), kind in MEDIA.items():
        if head.startswith(magic, position) and (
            head.startswith({"mpegts": b"G", "ogg": b"OggS"}.get(kind, b""))
        ):
            return kind
    return _frames_format(source.read_at(_tag_bytes(source), 6))


def _is_plain_caf(head: bytes) -> bool:
    """Tell whether libsndfile reads the sound of a CAF: ALAC only where its bits are stated."""
    coding, bits = head[28:32], head[35:36]
    return coding in CAF_ENCODINGS and (coding != b"alac" or bits in CAF_ALAC_BITS)


def _frames_format(head: bytes) -> str | None:
    """Tell the format of frames without a container around them; None if they are of none."""
    if len(head) < 6:
        return None
    if head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # MPEG, layer 0: ADTS
        return "aac"
    if head.startswith(b"\x0b\x77") and head[5] >> 3 <= 16:  # the version of its bit stream
        return "ac3" if head[5] >> 3 <= 10 else "eac3"
    return None


def check_container(source: Source) -> list[Source]:
    """Refuse what is not read, or would be cut short; list the files that are joined in this one.

    Wrong lengths are corrected.
    """
    head = source.read_at(0, 256)
    if said := other_content(head):
        command = said.partition(" with: ")[2] or "file RECORDING"
        raise AudioError(f"{source.label}: {said}", to_try=command)
    parts = _parts(source, head)
    if len(parts) > MAX_PARTS:
        raise AudioError(
            f"{source.label}: is {len(parts)} files in one; at most {MAX_PARTS} are read: cut it"
        )
    return parts


def refuse_joined(source: Source) -> None:
    """Refuse several files in one, of a format that FFmpeg reads the first of."""
    atoms = _atoms(source) if source.read_at(4, 4) == b"ftyp" else []
    ogg = _ogg_parts(source, any_codec=True) if source.read_at(0, 4) == b"OggS" else []
    if atoms.count(b"ftyp") > 1 or len(_starts(source)) > 1 or len(ogg) > 1:
        raise AudioError(
            f"{source.label}: is several recordings in one file, of which only the first would be "
            "read: cut it, or join them with: ffmpeg -f concat"
        )


def check_asf(source: Source) -> None:
    """Refuse a WMA that is shorter than it says; FFmpeg would take the rest for all of it."""
    head = source.read_at(0, 2**16)
    at = head.find(ASF_PROPERTIES)
    flags = head[at + 88 : at + 89]
    if at < 0 or not flags or flags[0] & 1:  # written as it was sent, so that no size is known
        return
    size = int.from_bytes(head[at + 40 : at + 48], "little")
    if size > source.size + TOLERANCE_BYTES:
        raise AudioError(
            f"{source.label}: is truncated: the header promises {size} bytes, {source.size} are "
            f"there; {RETRY}"
        )


def _parts(source: Source, head: bytes) -> list[Source]:
    """Split a file into those that were joined in it, and check each."""
    start = _tag_bytes(source)
    if _is_chunked(head):
        parts = _split(source, _chunk_starts(source))
    elif source.read_at(start, len(SPH)).startswith((b"fLaC", b"caff", SPH)):
        parts = _split(source, _starts(source, start))
    elif head.startswith(b"OggS"):
        return _ogg_parts(source)
    else:
        return _mpeg_parts(source, start)
    for part in parts:
        _check_sound(part, part.read_at(0, 1024))
    return parts


def _is_chunked(head: bytes) -> bool:
    """Tell whether a WAV, AIFF, AU or W64 begins here, which states how long it is."""
    return (head[:4], head[8:12]) in IFF_ORDER or head.startswith((b".snd", W64_RIFF))


def _split(source: Source, starts: Sequence[int]) -> list[Source]:
    ends = [*starts[1:], source.size]
    return [source.part([range(*ends_of)]) for ends_of in zip(starts, ends, strict=True)]


def _starts(source: Source, start: int = 0) -> list[int]:
    """Find where files begin, by their first bytes: the one at this position, and joined ones."""
    found, pattern = [start], JOINED.get(source.read_at(start, 4))
    if pattern is None:
        return found
    for at in range(start + 1, source.size, SCAN_BYTES):
        block = source.read_at(at, SCAN_BYTES + 80)
        found += [at + one.start() for one in pattern.finditer(block) if one.start() < SCAN_BYTES]
    return found


def _chunk_starts(source: Source) -> list[int]:
    """Find where files of chunks begin, by the lengths that they state."""
    starts, head = [0], source.read_at(0, 24)
    while len(starts) <= MAX_PARTS and (size := _stated_bytes(head)):
        head = source.read_at(starts[-1] + size, 24)
        if not _is_chunked(head):
            break
        starts.append(starts[-1] + size)
    return starts


def _stated_bytes(head: bytes) -> int:
    """Return how long a file of chunks is by its head; 0 if that was not known."""
    if head.startswith(W64_RIFF):
        return -(-int.from_bytes(head[16:24], "little") // 8) * 8
    if head.startswith(b".snd"):
        size = int.from_bytes(head[8:12])
        return int.from_bytes(head[4:8]) + size if 0 < size < UNKNOWN_BYTES else 0
    size = int.from_bytes(head[4:8], IFF_ORDER[head[:4], head[8:12]])
    return 8 + size + size % 2 if 0 < size < UNKNOWN_BYTES else 0


def _atoms(source: Source) -> list[bytes]:
    """List the names of an MP4's boxes, those within others left out."""
    names: list[bytes] = []
    at = 0
    while at < source.size and len(names) < MAX_ATOMS:
        head = source.read_at(at, 16)
        names.append(head[4:8])
        size = int.from_bytes(head[:4])
        size = int.from_bytes(head[8:16]) if size == 1 else size
        at += size if size >= 8 else source.size
    return names


def _wrongly_saved(head: bytes) -> str:
    """Say what a file of no format is: text or zeros; empty where it may be a recording."""
    if not any(head):
        return "it begins with zeros: its download, or the disk, failed: copy it again"
    text = head.removeprefix(b"\xef\xbb\xbf").decode(errors="ignore")
    lost = len(head) - len(text.encode())  # the mark, and a letter that the last bytes begin
    if lost > 6 or "\0" in text or not text.strip():
        return ""
    shown = "".join(one if one.isprintable() else "?" for one in " ".join(text.split())[:40])
    return f"it is text, not a recording: {shown}"


def _mpeg_parts(source: Source, start: int) -> list[Source]:
    """Leave the frames of MPEG audio alone, part by part."""
    try:
        found = mpeg_parts(source, start)
    except TooManyRuns as cause:
        raise AudioError(
            _cannot(source, "among its MP3 frames is too much that is none")
        ) from cause
    if not found and start:
        raise _not_read(source, "after its ID3 tag come neither MP3 nor FLAC")
    if not found:
        wrongly_saved = _wrongly_saved(source.read_at(0, TEXT_BYTES))
        if wrongly_saved:
            raise AudioError(_cannot(source, wrongly_saved))
        raise _not_read(source, "its first bytes are of no format that is read")
    return [_mpeg_source(source, part) for part in found]


def _mpeg_source(source: Source, part: Part) -> Source:
    if part.missing_s:
        raise AudioError(
            f"{source.label}: is truncated: the header promises "
            f"{part.seconds + part.missing_s:.3g} s, {part.seconds:.3g} s are there; {RETRY}"
        )
    alone = source.part(part.ranges)
    if not part.tagged:
        alone.hide_length()
    return alone


def _ogg_parts(source: Source, *, any_codec: bool = False) -> list[Source]:
    """Split an Ogg file into the streams that follow one another; check codecs, pages and ends."""
    starts, at, first_page, page = [0], 0, True, b""
    while (head := source.read_at(at, 282)).startswith(b"OggS"):
        is_first = len(head) > 5 and bool(head[5] & 2)
        if is_first and not first_page:
            _check_end(source, page)
            starts.append(at)
        if is_first and not any_codec:
            _check_ogg_codec(source, head)
        first_page, page = is_first, head
        at += _page_bytes(head)
        if at > source.size:
            raise AudioError(f"{source.label}: is truncated: its last Ogg page is cut; {RETRY}")
        if not _is_whole(source.read_at(at - _page_bytes(head), _page_bytes(head))):
            raise AudioError(
                f"{source.label}: is damaged: the checksum of an Ogg page is wrong; {RETRY}"
            )
    _check_end(source, page)
    return _split(source.part([range(at)]), starts)


def _page_bytes(head: bytes) -> int:
    """Return the size of an Ogg page by its head; as if cut, where that is."""
    segments = head[26] if len(head) > 26 else 255
    whole = len(head) >= 27 + segments
    return 27 + segments + sum(head[27 : 27 + segments]) if whole else MAX_OGG_PAGE_BYTES * 2


def _is_whole(page: bytes) -> bool:
    """Compare an Ogg page with its CRC-32, which is zlib's with the bits of each byte mirrored.

    libsndfile would pass over one that differs, and tell nobody.
    """
    rest = (page[:22] + bytes(4) + page[26:]).translate(MIRRORED)
    found = zlib.crc32(rest, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return page[22:26] == found.to_bytes(4).translate(MIRRORED)


def _check_end(source: Source, page: bytes) -> None:
    """Refuse an Ogg stream whose last page lacks the end-of-stream mark."""
    if not page[5] & 4:
        raise AudioError(
            f"{source.label}: is truncated: the Ogg stream lacks its end-of-stream mark; {RETRY}"
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


def _not_read(source: Source, reason: str) -> FormatError:
    return FormatError(_cannot(source, reason))


def _cannot(source: Source, reason: str) -> str:
    return f"{source.label}: cannot be decoded ({reason}); need {FORMATS}: {CONVERT}"


def _check_sound(source: Source, head: bytes) -> None:
    """Check the encoding of a file, and that as much sound as it states is there."""
    if head.startswith(b"caff"):
        _check_size_of_sound(source, *_caf_size(source))
    elif head.startswith(SPH):
        _check_sph(source, head)
    elif head.startswith(W64_RIFF):
        _check_size_of_sound(source, *_w64_size(source))
    elif not head.startswith(b"fLaC"):
        _check_chunks(source, head)


def _check_size_of_sound(source: Source, at: int, claimed: int) -> None:
    """Compare the stated size of the sound with what is there, and refuse one changed as text."""
    there = source.size - at
    if 0 <= claimed < 2**62 and claimed > there + TOLERANCE_BYTES:
        raise AudioError(
            f"{source.label}: is truncated: the header promises {claimed} bytes of sound, {there} "
            f"are there; {RETRY}"
        )
    block = source.read_at(at, 2**16)
    lines = block.count(b"\n")
    if lines >= MIN_LINES and lines == block.count(b"\r\n"):
        raise AudioError(
            f"{source.label}: was copied as if it were text (FTP in ASCII mode, for one), which "
            "changed its sound: copy it again, as binary",
            to_try="sha256sum RECORDING",
        )


def _caf_size(source: Source) -> tuple[int, int]:
    """Find the sound of a CAF: its position, and its size in bytes; -1 if it was not known."""
    at = 8
    for _ in range(MAX_CHUNKS):
        chunk = source.read_at(at, 12)
        size = int.from_bytes(chunk[4:12], signed=True)
        if chunk[:4] == b"data" or size < 0:
            return at + 12, size
        at += 12 + size
    return at, -1


def _w64_size(source: Source) -> tuple[int, int]:
    """Find the sound of a W64: its position, and its size in bytes."""
    at = 40
    for _ in range(MAX_CHUNKS):
        chunk = source.read_at(at, 50)
        size = int.from_bytes(chunk[16:24], "little")
        if chunk.startswith(b"fmt "):
            tag = int.from_bytes(chunk[24:26], "little")
            tag = int.from_bytes(chunk[48:50], "little") if tag == WAV_EXTENSIBLE else tag
            _check_encoding(source, tag in WAV_ENCODINGS)
        if chunk.startswith(b"data") or size < 24:
            return at + 24, size - 24
        at += -(-size // 8) * 8
    return at, -1


def _check_sph(source: Source, head: bytes) -> None:
    """Check the text that heads a SPHERE file."""
    fields = {line[0]: line[2] for line in map(bytes.split, head.split(b"\n")) if len(line) == 3}
    _check_encoding(source, fields.get(b"sample_coding", b"pcm") in SPH_ENCODINGS)
    names = (b"sample_count", b"channel_count", b"sample_n_bytes")
    numbers = [fields.get(name, b"").decode("ascii", "replace") for name in names]
    if all(number.isdigit() and len(number) < 12 for number in numbers):
        _check_size_of_sound(source, len(head), prod(map(int, numbers)))


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
    elif claimed < UNKNOWN_BYTES:
        _check_size_of_sound(source, source.size - there, claimed)


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
