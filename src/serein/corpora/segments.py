"""Segments of long recordings with labels, as other programs write them.

CSV with ``start`` and ``end``, Praat's TextGrid, ELAN's EAF, a folder of audformat, Label Studio's
JSON: among others, what `serein predict --format` writes. All but CSV and JSON need [formats].
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from serein.emotions import canonical_emotion
from serein.errors import CorpusError, MissingExtraError, reason_of
from serein.tables import read_rows

EXTRA = "formats"
COLUMNS = ("file", "start", "end", "emotion")  # of a CSV, and speaker where it is known
MAX_BYTES = 256 * 2**20
MAX_S = 1e6
HEADER = "db.yaml"  # of a folder of audformat


@dataclass(frozen=True)
class LabelledSegment:
    """A part of a recording: seconds, a canonical emotion, and who speaks.

    `file`: as the annotation names it.
    """

    file: str
    start: float
    end: float
    emotion: str
    speaker: str


def read_segments(place: Path) -> tuple[list[LabelledSegment], Counter[str]]:
    """Read all segments with an emotion; and count the labels of those that are left out.

    `place`: a file, a folder of audformat, or a folder of files, each of one recording.
    Raises: CorpusError if there are none, or one cannot be read.
    """
    database = place.is_dir() and (place / HEADER).exists()
    files = sorted(place.iterdir()) if place.is_dir() and not database else [place]
    kinds = {file: "" if file.is_dir() else file.suffix.lower() for file in files}
    known = [file for file in files if kinds[file] in READERS and (database or kinds[file])]
    if not known:
        raise CorpusError(
            f"{place}: no annotation; need .csv, .TextGrid, .eaf, .json of Label Studio, or a "
            "folder of audformat"
        )
    left_out: Counter[str] = Counter()
    found = [one for file in known for one in _read(file, READERS[kinds[file]], left_out)]
    if not found:
        raise CorpusError(f"{place}: no segment of it is labelled with an emotion")
    return found, left_out


def _read(
    place: Path, read: Callable[[Path], Iterator[LabelledSegment | str]], left_out: Counter[str]
) -> Iterator[LabelledSegment]:
    """Read an annotation; a segment that names no recording is of the one named like it.

    Labels without letters are numbers, or nothing at all, and not counted.
    """
    try:
        if place.is_file() and place.stat().st_size > MAX_BYTES:
            raise CorpusError(f"{place}: has more than {MAX_BYTES >> 20} MB: not an annotation")
        there = list(read(place))
    except (CorpusError, MissingExtraError):
        raise
    except Exception as error:  # of the libraries, each their own
        raise CorpusError(f"{place}: cannot be read ({reason_of(error)})") from error
    words = [one for one in there if isinstance(one, str)]
    left_out.update(word for word in words if any(map(str.isalpha, word)))
    for one in there:
        if isinstance(one, str):
            continue
        if not 0 <= one.start < one.end < MAX_S:
            raise CorpusError(f"{place}: a segment lasts from {one.start} to {one.end} s")
        yield one if one.file else replace(one, file=place.stem)


def _segment(file: Any, start: Any, end: Any, label: Any, speaker: Any) -> LabelledSegment | str:
    """Make a segment; return the label where that is no emotion."""
    try:
        emotion = canonical_emotion(str(label).strip())
    except CorpusError:
        return str(label).strip()
    return LabelledSegment(str(file), float(start), float(end), emotion, str(speaker))


def _csv(place: Path) -> Iterator[LabelledSegment | str]:
    rows = read_rows(place)
    missing = {*COLUMNS} - {*(rows[0] if rows else COLUMNS)}
    if missing:
        raise CorpusError(f"{place}: has no column {min(missing)!r}; need {', '.join(COLUMNS)}")
    for row in rows:
        who = row.get("speaker") or row.get("channel") or "1"
        yield _segment(row["file"], row["start"], row["end"], row["emotion"], who)


def _textgrid(place: Path) -> Iterator[LabelledSegment | str]:
    for tier in _pympi().Praat.TextGrid(str(place)).get_tiers():
        if tier.tier_type == "IntervalTier":
            for start, end, label in tier.get_all_intervals():
                yield _segment("", start, end, label, tier.name)


def _eaf(place: Path) -> Iterator[LabelledSegment | str]:
    eaf = _pympi().Elan.Eaf(str(place))
    linked = [unquote(urlparse(one["MEDIA_URL"]).path) for one in eaf.media_descriptors]
    for tier in eaf.get_tier_names():
        for start, end, label, *_ in eaf.get_annotation_data_for_tier(tier):
            yield _segment(next(iter(linked), ""), start / 1000, end / 1000, label, tier)


def _audformat(place: Path) -> Iterator[LabelledSegment | str]:
    try:
        import audformat
    except ImportError as cause:
        raise MissingExtraError("audformat", EXTRA) from cause

    for table in audformat.Database.load(str(place)).tables.values():
        if table.type != "segmented" or "emotion" not in table.columns:
            continue
        frame = table.df.reset_index()
        speakers = frame.get("speaker", frame.get("channel", ["1"] * len(frame)))
        columns = (frame["file"], frame["start"], frame["end"], frame["emotion"], speakers)
        for file, start, end, label, who in zip(*columns, strict=True):
            yield _segment(file, start.total_seconds(), end.total_seconds(), label, who)


def _label_studio(place: Path) -> Iterator[LabelledSegment | str]:
    """Read what people annotated, or where nobody did, what was predicted."""
    for task in json.loads(place.read_bytes()):
        data = [one for one in task["data"].values() if isinstance(one, str)]
        said: list[Any] = next(filter(None, (task.get("annotations"), task.get("predictions"))), [])
        for result in (one for done in said[-1:] for one in done["result"]):
            value = result["value"]
            for label in value.get("labels", ()):
                who = _choice(said[-1]["result"], result.get("id"))
                yield _segment(unquote(data[0]), value["start"], value["end"], label, who)


def _choice(results: Iterable[Mapping[str, Any]], region: object) -> str:
    """Find the choice made for a region: the speaker."""
    own = (one["value"].get("choices") for one in results if one.get("id") == region)
    return next((choices[0] for choices in own if choices), "1")


def _pympi() -> Any:
    try:
        import pympi
    except ImportError as cause:
        raise MissingExtraError("files of Praat and ELAN", EXTRA) from cause
    return pympi


READERS: dict[str, Callable[[Path], Iterator[LabelledSegment | str]]] = {
    ".csv": _csv,
    ".textgrid": _textgrid,
    ".eaf": _eaf,
    ".json": _label_studio,
    "": _audformat,
}
