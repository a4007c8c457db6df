"""Segments of long recordings with labels, as other programs write them.

CSV with ``start`` and ``end``, Praat's TextGrid, ELAN's EAF, a folder of audformat, Label Studio's
JSON: among others, what `serein predict --format` writes. All but CSV and JSON need [formats].
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from serein.corpora.corpus import csv_rows
from serein.emotions import EMOTIONS, label_name
from serein.errors import CorpusError, MissingExtraError, SereinError, reason_of
from serein.tables import load_pympi

EXTRA = "formats"
COLUMNS = ("file", "start", "end", "emotion")  # of a CSV, and speaker where it is known
MAX_BYTES = 256 * 2**20
MAX_S = 1e6
HEADER = "db.yaml"  # of a folder of audformat


@dataclass(frozen=True)
class LabelledSegment:
    """A part of a recording: seconds, an emotion, and who speaks.

    `file`: as the annotation names it. `tier`: where other things than emotions may be labelled.
    """

    file: str
    start: float
    end: float
    emotion: str
    speaker: str
    tier: str | None = None


def is_annotation(name: str) -> bool:
    """Tell a file of labelled segments, or a folder of them ("calls/"), from a name of a corpus."""
    return name.endswith("/") or Path(name).suffix.lower() in READERS.keys() - {"", ".csv", ".tsv"}


def has_segments(table: Path) -> bool:
    """Whether a table of a corpus names parts of recordings, by start and end."""
    return any(row.get("start") or row.get("end") for _, row in csv_rows(table, ("file",)))


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
    place: Path, read: Callable[[Path], Iterator[LabelledSegment]], left_out: Counter[str]
) -> Iterator[LabelledSegment]:
    """Read an annotation; a segment that names no recording is of the one named like it.

    Labels without letters are numbers, or nothing at all, and not counted among those left out.
    """
    try:
        if place.is_file() and place.stat().st_size > MAX_BYTES:
            raise CorpusError(f"{place}: has more than {MAX_BYTES >> 20} MB: not an annotation")
        there = list(read(place))
    except (CorpusError, MissingExtraError):
        raise
    except Exception as error:  # of the libraries, each their own
        raise CorpusError(f"{place}: cannot be read ({reason_of(error)})") from error
    own = _own_tiers(there)
    for one in there:
        emotion = _emotion(one.emotion, own=one.tier in own)
        if emotion is None:
            left_out.update([one.emotion] if any(map(str.isalpha, one.emotion)) else [])
            continue
        if not 0 <= one.start < one.end < MAX_S:
            raise CorpusError(
                f"{place}: a segment of {one.file or place.stem} lasts from {one.start} to "
                f"{one.end} s; its end must come after its start, and within {MAX_S:g} s"
            )
        yield replace(one, emotion=emotion, file=one.file or place.stem)


def _own_tiers(there: Iterable[LabelledSegment]) -> set[str | None]:
    """Return the tiers of emotions: half of the labels are known ones, or the name says so.

    Others may hold words or sounds.
    """
    known: defaultdict[str, list[bool]] = defaultdict(list)
    for one in there:
        if one.tier is not None and one.emotion:
            known[one.tier].append(_emotion(one.emotion, own=False) is not None)
    said = {tier for tier in known if "emotion" in tier.lower()}
    return {None, *said, *(tier for tier, each in known.items() if 2 * sum(each) >= len(each))}


def _emotion(label: str, *, own: bool) -> str | None:
    """Name the emotion of a label; None where it is none, such as "no speech"."""
    try:
        name = label_name(label)
    except SereinError:
        return None
    there = name in EMOTIONS or (own and any(map(str.isalpha, name)))
    return name if there else None


def _segment(
    file: Any, start: Any, end: Any, label: Any, speaker: Any, tier: str | None = None
) -> LabelledSegment:
    label = str(label).strip()
    return LabelledSegment(str(file), float(start), float(end), label, str(speaker), tier)


def _csv(place: Path) -> Iterator[LabelledSegment]:
    for line, row in csv_rows(place, COLUMNS):
        who = row.get("speaker") or row.get("channel") or "1"
        try:  # 0,5 is as in German
            start, end = (float(row[name].replace(",", ".")) for name in ("start", "end"))
        except ValueError as error:
            raise CorpusError(
                f"{place}, line {line}: start is {row['start']!r} and end {row['end']!r}; need "
                "seconds, such as 1.25"
            ) from error
        yield _segment(row["file"], start, end, row["emotion"], who)


def _textgrid(place: Path) -> Iterator[LabelledSegment]:
    for tier in load_pympi().Praat.TextGrid(str(place)).get_tiers():
        if tier.tier_type == "IntervalTier":
            for start, end, label in tier.get_all_intervals():
                yield _segment("", start, end, label, tier.name, tier.name)


def _eaf(place: Path) -> Iterator[LabelledSegment]:
    eaf = load_pympi().Elan.Eaf(str(place))
    linked = [unquote(urlparse(one["MEDIA_URL"]).path) for one in eaf.media_descriptors]
    for tier in eaf.get_tier_names():
        for start, end, label, *_ in eaf.get_annotation_data_for_tier(tier):
            yield _segment(next(iter(linked), ""), start / 1000, end / 1000, label, tier, tier)


def _audformat(place: Path) -> Iterator[LabelledSegment]:
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


def _label_studio(place: Path) -> Iterator[LabelledSegment]:
    """Read what people annotated, or where nobody did, what was predicted."""
    for task in json.loads(place.read_bytes()):
        data = [one for one in task["data"].values() if isinstance(one, str)]
        said: list[Any] = next(filter(None, (task.get("annotations"), task.get("predictions"))), [])
        for result in (one for done in said[-1:] for one in done["result"]):
            value = result["value"]
            for label in value.get("labels", ()):
                who = _choice(said[-1]["result"], result.get("id"))
                yield _segment(unquote(data[0]), value["start"], value["end"], label, who, "")


def _choice(results: Iterable[Mapping[str, Any]], region: object) -> str:
    """Find the choice made for a region: the speaker."""
    own = (one["value"].get("choices") for one in results if one.get("id") == region)
    return next((choices[0] for choices in own if choices), "1")


READERS: dict[str, Callable[[Path], Iterator[LabelledSegment]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".textgrid": _textgrid,
    ".eaf": _eaf,
    ".json": _label_studio,
    "": _audformat,
}
