"""Finds the frames of MPEG audio (MP3, MP2) in a file, between tags, padding and other parts.

libmpg123 stops where the Xing tag of the first part ends, gives up after a kilobyte of padding, and
writes what it thinks of it to standard error. It gets frames alone, the tag of a part only where it
is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple, Protocol

BLOCK_BYTES = 2**20
MAX_FRAME_BYTES = 2**13
HEADER = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff].{2}", re.DOTALL)  # of layers I to III
IN_A_ROW = 3  # frames that make sure that something is a frame
MAX_TRIALS = 100_000  # of places that look like a frame
MAX_LEADING_BYTES = 2**16  # of what is no frame, before the first; after tags
MAX_RUNS = 4096
TAG_NAMES = (b"Xing", b"Info")
TAG_TOLERANCE = 0.01  # of its size in bytes, of which libmpg123 complains
MISSING_FRAMES = 2  # that a tag may promise in excess: encoders count themselves differently
RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8000)}
KBPS = {  # (is MPEG-1, layer bits) -> bit rates
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


class Readable(Protocol):
    """A file that is read anywhere."""

    size: int

    def read_at(self, position: int, count: int) -> bytes:
        """Read ``count`` bytes from ``position``; fewer only at the end of the file."""


class Layout(NamedTuple):
    """What all frames of a part have in common."""

    version: int  # bits: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5
    layer: int  # bits: 3 is I, 2 is II, 1 is III
    rate: int
    mono: bool

    @property
    def samples(self) -> int:
        """Samples of a frame."""
        if self.layer == 3:
            return 384
        return 1152 if self.layer == 2 or self.version == 3 else 576

    @property
    def tag_at(self) -> int:
        """Position of a Xing tag in a frame: after its header and side information."""
        return 4 + {(True, False): 32, (False, True): 9}.get((self.version == 3, self.mono), 17)


@dataclass
class Part:
    """Frames that belong together: the ranges of their bytes, whatever lies between."""

    layout: Layout
    ranges: list[range] = field(default_factory=list)
    frames: int = 0
    promised: int | None = None  # frames, by a Xing tag
    tagged: bool = False  # the first frame is a Xing tag that libmpg123 may see

    @property
    def seconds(self) -> float:
        """Duration of the frames that are there."""
        return self.frames * self.layout.samples / self.layout.rate

    @property
    def missing_s(self) -> float:
        """How much sound its tag promises that is not there."""
        missing = (self.promised or 0) - self.frames
        return max(0, missing - MISSING_FRAMES) * self.layout.samples / self.layout.rate


class TooManyRuns(Exception):  # noqa: N818
    """So often does nobody join files: it is an attack."""


def mpeg_parts(source: Readable, start: int) -> list[Part]:
    """List the parts of MPEG audio in a file, from a position on."""
    parts: list[Part] = []
    search, runs = _Search(source), 0
    at = search.next(start, start + MAX_LEADING_BYTES)
    while at is not None:
        runs += 1
        if runs > MAX_RUNS:
            raise TooManyRuns
        run = _run(source, at)
        head = source.read_at(at, 256)
        if not parts or parts[-1].layout != run.layout or _tag(head, run.layout) is not None:
            parts.append(_part(run.layout, head))
        at = search.next(run.last + 4, source.size)
        if at is not None and at < run.end:  # its last frame was cut, and others follow
            run = run._replace(end=run.last, frames=run.frames - 1)
        parts[-1].ranges.append(range(run.start, run.end))
        parts[-1].frames += run.frames
    for part in parts:
        _distrust_tag(part, source)
    return parts


@lru_cache(4096)
def layout_of(header: bytes) -> Layout | None:
    """Read what four bytes say of their part; None if they are no header of a frame."""
    if len(header) < 4 or header[0] != 0xFF or not _size(header[1], header[2]):
        return None
    version = header[1] >> 3 & 3
    rate = RATES_HZ[version][header[2] >> 2 & 3]
    return Layout(version, header[1] >> 1 & 3, rate, header[3] >= 0xC0)


@cache
def _size(second: int, third: int) -> int:
    """Return the bytes of a frame, by the second and third of its header; 0 if it is none."""
    version, layer = second >> 3 & 3, second >> 1 & 3
    kbps, rate = third >> 4, third >> 2 & 3
    if second < 0xE0 or version == 1 or not layer or kbps in (0, 15) or rate == 3:
        return 0
    bits = KBPS[version == 3, layer][kbps - 1] * 1000
    rate_hz, padding = RATES_HZ[version][rate], third >> 1 & 1
    if layer == 3:
        return (12 * bits // rate_hz + padding) * 4
    return (144 if layer == 2 or version == 3 else 72) * bits // rate_hz + padding


class _Search:
    """Finds frames, within a number of trials."""

    def __init__(self, source: Readable) -> None:
        self._source, self._trials = source, 0

    def next(self, start: int, stop: int) -> int | None:
        """Find the next frame that begins before a position."""
        for at in self._candidates(start, stop):
            self._trials += 1
            if self._trials > MAX_TRIALS:
                raise TooManyRuns
            if self._is_frame(at):
                return at
        return None

    def _candidates(self, start: int, stop: int) -> Iterator[int]:
        """Find places that look like the header of a frame."""
        while start < min(stop, self._source.size - 3):
            block = self._source.read_at(start, BLOCK_BYTES)
            for found in HEADER.finditer(block):
                if start + found.start() < stop and _size(found[0][1], found[0][2]):
                    yield start + found.start()
            start += max(1, len(block) - 3)

    def _is_frame(self, at: int) -> bool:
        """Tell whether so many frames of one layout follow one another here."""
        layout = layout_of(self._source.read_at(at, 4))
        for _ in range(IN_A_ROW):
            header = self._source.read_at(at, 4)
            if layout is None or layout_of(header) != layout:
                return False
            at += _size(header[1], header[2])
        return at <= self._source.size


class _Run(NamedTuple):
    """Frames without a gap: where they begin and end, where the last begins, and how many."""

    start: int
    last: int
    end: int
    frames: int
    layout: Layout


def _run(source: Readable, start: int) -> _Run:
    """Follow frames of one layout."""
    layout = layout_of(source.read_at(start, 4))
    if layout is None:
        raise ValueError("no frame begins here")
    run, ended = _Run(start, start, start, 0, layout), False
    while not ended:
        run, ended = _follow(source.read_at(run.end, BLOCK_BYTES), run)
    return run


def _follow(block: bytes, run: _Run) -> tuple[_Run, bool]:
    """Follow frames in the block behind a run; tell whether there is no other."""
    at, last, count, layout = 0, run.last - run.end, 0, run.layout
    while layout_of(block[at : at + 4]) == layout:
        if block.startswith(TAG_NAMES, at + layout.tag_at) and run.frames + count:
            break
        end = at + _size(block[at + 1], block[at + 2])
        if end > len(block):
            break
        at, last, count = end, at, count + 1
    longer = _Run(run.start, run.end + last, run.end + at, run.frames + count, layout)
    return longer, not count or len(block) < BLOCK_BYTES or len(block) - at > MAX_FRAME_BYTES


def _tag(frame: bytes, layout: Layout) -> bytes | None:
    """Return the Xing tag of a frame: flags, and what they say is there."""
    if frame.startswith(TAG_NAMES, layout.tag_at):
        return frame[layout.tag_at + 4 :]
    return None


def _part(layout: Layout, first: bytes) -> Part:
    """Begin a part with its first frame, which may be a tag rather than sound."""
    tag = _tag(first, layout)
    if tag is None:
        return Part(layout)
    promised = int.from_bytes(tag[4:8]) if tag[3] & 1 else None
    return Part(layout, [], -1, promised, tagged=True)


def _distrust_tag(part: Part, source: Readable) -> None:
    """Leave out a tag that does not fit the frames: libmpg123 would cut them, or complain."""
    if not part.tagged:
        return
    first = part.ranges[0].start
    head = source.read_at(first, 256)
    tag = _tag(head, part.layout) or bytes(12)
    there = sum(map(len, part.ranges))
    stated = int.from_bytes(tag[8:12]) if tag[3] & 3 == 3 else there
    fits = part.promised is not None and abs(part.promised - part.frames) <= MISSING_FRAMES
    if not fits or abs(stated - there) > TAG_TOLERANCE * there:
        part.tagged = False
        part.ranges[0] = range(first + _size(head[1], head[2]), part.ranges[0].stop)
