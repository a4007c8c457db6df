"""Predictions as files that other programs open: subtitles, Praat, ELAN, RTTM, Label Studio ….

Segments with speech are written, in a row each, or on a tier for each channel and speaker that was
told apart: emotion, confidence, valence and arousal; times to a millisecond. Subtitles, TextGrid,
EAF and audformat need the extra [formats].
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from serein.emotions import emotion_name
from serein.errors import MissingExtraError
from serein.inference.prediction import Prediction, Segment, lane_name
from serein.tables import csv_bytes, load_pympi
from serein.untrusted import printable

COLUMNS = ("confidence", "valence", "arousal")
EXTRA = "formats"
VOICE = {False: "voice", True: "声音"}  # the lane of a recording where none is told apart
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold


@dataclass(frozen=True)
class Format:
    """How a file of one recording is written.

    `write`: makes its content from a prediction, with emotions named in Chinese or not.
    """

    suffix: str
    media_type: str
    write: Callable[[Prediction, bool], bytes]


def write_json(prediction: Prediction, chinese: bool) -> bytes:
    """Write all that a prediction holds, as one line of JSON; it has both languages."""
    return _json(prediction.to_dict())


def write_csv(prediction: Prediction, chinese: bool) -> bytes:
    """Write a row a segment, with the probability of each emotion."""
    labels = list(prediction.probabilities)
    header = ["file", "start", "end", "channel", "speaker", "emotion", *COLUMNS]
    rows = [
        [prediction.file, *_times(one), one.channel, one.speaker, _label(one, chinese)]
        + [_rounded(value) for value in _values(one)]
        + [_rounded(one.probabilities[label]) for label in labels]
        for one in spoken(prediction)
    ]
    return csv_bytes([*header, *(f"p_{label}" for label in labels)], rows)


def write_srt(prediction: Prediction, chinese: bool) -> bytes:
    """Write subtitles for video players."""
    return _subtitles(prediction, chinese, "srt")


def write_vtt(prediction: Prediction, chinese: bool) -> bytes:
    """Write subtitles for browsers."""
    return _subtitles(prediction, chinese, "vtt")


def write_textgrid(prediction: Prediction, chinese: bool) -> bytes:
    """Write tiers for Praat: of each lane the emotion, and one for each of `COLUMNS`."""
    grid = load_pympi().Praat.TextGrid(xmin=0.0, xmax=round(prediction.end, 3))
    for lane, segments in _lanes(prediction, chinese).items():
        for name, cells in _tiers(lane, segments, chinese).items():
            tier = grid.add_tier(name)
            for segment, cell in zip(segments, cells, strict=True):
                tier.add_interval(*_times(segment), cell, check=False)
    return _of_file(grid.to_file)


def write_eaf(prediction: Prediction, chinese: bool) -> bytes:
    """Write tiers for ELAN: of each lane the emotion, and below it one for each of `COLUMNS`."""
    eaf = load_pympi().Elan.Eaf(author="serein")
    eaf.remove_tier("default")
    eaf.add_linguistic_type("of emotion", "Symbolic_Association", timealignable=False)
    if prediction.file:
        name = printable(Path(prediction.file).name)
        eaf.add_linked_file(name, f"./{name}", mimetype="audio/*")
    for lane, segments in _lanes(prediction, chinese).items():
        for number, (name, cells) in enumerate(_tiers(lane, segments, chinese).items()):
            below: dict[str, Any] = {"ling": "of emotion", "parent": lane} if number else {}
            eaf.add_tier(name, part=lane, **below)
            for segment, cell in zip(segments, cells, strict=True):
                start, end = (round(1000 * time) for time in _times(segment))
                if number:
                    eaf.add_ref_annotation(name, lane, (start + end) // 2, cell)
                else:
                    eaf.add_annotation(name, start, end, cell)
    return _of_file(eaf.to_file)


def write_rttm(prediction: Prediction, chinese: bool) -> bytes:
    """Write a line a segment for tools of diarization; the emotion is where a word would be."""
    uri = _one_word(Path(prediction.file or "recording").stem)
    lines = []
    for lane, segments in _lanes(prediction, chinese).items():
        for one in segments:
            start, end = _times(one)
            fields: list[Any] = [uri, one.channel or 1, f"{start:.3f}", f"{end - start:.3f}"]
            fields += [
                _one_word(_label(one, chinese)),
                "<NA>",
                _one_word(lane),
                _rounded(one.confidence),
            ]
            lines.append((start, " ".join(map(str, ["SPEAKER", *fields, "<NA>"]))))
    return "".join(f"{line}\n" for _, line in sorted(lines)).encode()


def write_label_studio(prediction: Prediction, chinese: bool) -> bytes:
    """Write a task with the segments as predictions, to be imported by Label Studio."""
    results = []
    for lane, segments in _lanes(prediction, chinese).items():
        for number, one in enumerate(segments):
            region = {"id": f"{_one_word(lane)}-{number}", "to_name": "audio"}
            start, end = _times(one)
            where = {"start": start, "end": end, "channel": (one.channel or 1) - 1}
            kinds: dict[str, tuple[str, Any]] = {
                "emotion": ("labels", [_label(one, chinese)]),
                "lane": ("choices", [lane]),
            }
            for name, value in zip(COLUMNS, _values(one), strict=True):
                if value is not None:
                    kinds[name] = ("number", _rounded(value))
            results += [
                region | {"from_name": name, "type": kind, "value": where | {kind: value}}
                for name, (kind, value) in kinds.items()
            ]
    said: dict[str, Any] = {"model_version": prediction.model, "result": results}
    if prediction.confidence is not None:
        said["score"] = _rounded(prediction.confidence)
    task = {"data": {"audio": prediction.file}, "predictions": [said]}
    return _json([task], indent=1)


FORMATS: dict[str, Format] = {
    "json": Format(".json", "application/json", write_json),
    "csv": Format(".csv", "text/csv", write_csv),
    "srt": Format(".srt", "application/x-subrip", write_srt),
    "vtt": Format(".vtt", "text/vtt", write_vtt),
    "textgrid": Format(".TextGrid", "text/plain", write_textgrid),
    "eaf": Format(".eaf", "application/xml", write_eaf),
    "rttm": Format(".rttm", "text/plain", write_rttm),
    "labelstudio": Format(".labelstudio.json", "application/json", write_label_studio),
}


def audformat_files(predictions: Iterable[Prediction], chinese: bool) -> dict[str, bytes]:
    """Make the files of an audformat database, by their names.

    The table `segments` holds them all; where two channels have windows of the same times, there
    is a table for each: `segments1` and so on.
    """
    try:
        import audformat
    except ImportError as cause:
        raise MissingExtraError("audformat", EXTRA) from cause

    named = {printable(one.file or "recording"): one for one in predictions}  # each file once
    rows = [(name, part) for name, one in named.items() for part in spoken(one)]
    single = len({(name, *_times(part)) for name, part in rows}) == len(rows)
    database = audformat.Database("serein", usage="other")
    labels = sorted({_label(part, chinese) for _, part in rows})
    limits = {"confidence": (0, 1), "valence": (-1, 1), "arousal": (-1, 1)}
    database.schemes["emotion"] = audformat.Scheme("str", labels=labels)
    for name, (low, high) in limits.items():
        database.schemes[name] = audformat.Scheme("float", minimum=low, maximum=high)
    for name in ("channel", "speaker"):
        database.schemes[name] = audformat.Scheme("int", minimum=1)
    if single:
        _add_table(database, "segments", rows, chinese)
    else:
        for channel in sorted({part.channel or 0 for _, part in rows}):
            mine = [(name, part) for name, part in rows if (part.channel or 0) == channel]
            _add_table(database, f"segments{channel or ''}", mine, chinese)
    with TemporaryDirectory() as folder:
        database.save(folder, storage_format="csv")
        return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}


def _add_table(
    database: Any, name: str, rows: Sequence[tuple[str, Segment]], chinese: bool
) -> None:
    """Add a table of segments, each with the name of its recording."""
    import audformat

    times = [_times(part) for _, part in rows]
    starts, ends = ([f"{round(1000 * pair[side])}ms" for pair in times] for side in (0, 1))
    index = audformat.segmented_index([file for file, _ in rows], starts, ends)
    table = database[name] = audformat.Table(index)
    columns: dict[str, list[Any]] = {"emotion": [_label(part, chinese) for _, part in rows]}
    for number, column in enumerate(COLUMNS):
        columns[column] = [_rounded(_values(part)[number]) for _, part in rows]
    columns |= {"channel": [part.channel for _, part in rows]}
    columns |= {"speaker": [part.speaker for _, part in rows]}
    for column, cells in columns.items():
        table[column] = audformat.Column(scheme_id=column)
        table[column].set(cells)


def audformat_zip(prediction: Prediction, chinese: bool) -> bytes:
    """Make a zip of an audformat database of one recording."""
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in audformat_files([prediction], chinese).items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), content)
    return place.getvalue()


AUDFORMAT_ZIP = Format(".zip", "application/zip", audformat_zip)


def spoken(prediction: Prediction) -> list[Segment]:
    """Return the segments of a timeline in which somebody speaks."""
    return [segment for segment in prediction.timeline if segment.speech]


def _lanes(prediction: Prediction, chinese: bool) -> dict[str, list[Segment]]:
    """Return the segments with speech by the names of their lanes, also those without any."""
    count = len({lane.channel for lane in prediction.lanes})
    names = [lane_name(lane, count, chinese) for lane in prediction.lanes] or [VOICE[chinese]]
    found: dict[str, list[Segment]] = {name: [] for name in names}
    for segment in spoken(prediction):
        found[lane_name(segment, count, chinese) or VOICE[chinese]].append(segment)
    return found


def _tiers(lane: str, segments: Sequence[Segment], chinese: bool) -> Mapping[str, list[str]]:
    """Return the tiers of a lane: their names, and a text for each segment."""
    tiers = {lane: [_label(one, chinese) for one in segments]}
    for number, name in enumerate(COLUMNS):
        values = [_rounded(_values(one)[number]) for one in segments]
        tiers[f"{lane} {name}"] = ["" if value is None else str(value) for value in values]
    return tiers


def _subtitles(prediction: Prediction, chinese: bool, kind: str) -> bytes:
    try:
        import webvtt
    except ImportError as cause:
        raise MissingExtraError("subtitles", EXTRA) from cause

    captions = []
    for lane, segments in _lanes(prediction, chinese).items():
        who = f"{lane}: " if prediction.lanes else ""
        for one in segments:
            text = [f"{who}{_label(one, chinese)} {one.confidence:.2f}"]
            if one.valence is not None and one.arousal is not None:
                text.append(f"valence {one.valence:+z.2f}, arousal {one.arousal:+z.2f}")
            start, end = map(_clock, _times(one))
            captions.append(webvtt.Caption(start, end, text))
    captions.sort(key=lambda caption: caption.start_time)
    place = io.StringIO()
    webvtt.WebVTT(captions=captions).write(place, format=kind)
    return place.getvalue().encode()


def _label(segment: Segment, chinese: bool) -> str:
    emotion = segment.emotion or ""
    return emotion_name(emotion, "zh" if chinese else "en", segment.own)


def _values(segment: Segment) -> tuple[float | None, ...]:
    """Return confidence, valence and arousal; of own emotions the last two, if they are given."""
    return segment.confidence, segment.valence, segment.arousal


def _times(segment: Segment) -> tuple[float, float]:
    return round(segment.start, 3), round(segment.end, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4) + 0.0  # 0.0 in place of -0.0


def _clock(seconds: float) -> str:
    minutes, ms = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{ms // 1000:02}.{ms % 1000:03}"


def _one_word(text: str) -> str:
    return re.sub(r"\s+", "_", printable(text)) or "_"


def _json(values: Any, indent: int | None = None) -> bytes:
    """Write JSON; of a name that is no text, what stands for its bytes is escaped."""
    text = json.dumps(values, ensure_ascii=False, indent=indent)
    return (text + "\n").encode("utf-8", "backslashreplace")


def _of_file(write: Callable[[str], object]) -> bytes:
    """Return what a library writes into a file."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "file"
        write(str(place))
        return place.read_bytes()
