"""Long recordings with labelled segments -> a corpus: a clip a segment, and a table of them."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile

from serein.audio.read import RATE_HZ, Signal, read_audio
from serein.corpora.segments import LabelledSegment, read_segments
from serein.errors import CorpusError, ResultsError
from serein.features.feature_cache import default_cache
from serein.private_files import private_folder
from serein.recordings import find_recordings
from serein.tables import make_folder, write_rows, write_whole

TABLE = "corpus.csv"
HEADER = ("file", "emotion", "speaker", "recording")
NUMBERED = re.compile(  # names for one recording alone
    r"(?:(?:left|right|channel|speaker|spk|左声道|右声道|声道|说话人)[ _\d-]*)*\d*|voice|声音", re.I
)


def cut_segments(annotations: Path, recordings: Path, out: Path) -> tuple[Path, Counter[str]]:
    """Write each labelled segment as a clip of FLAC, and the table of the corpus that they are.

    `annotations`: as `serein.corpora.segments.read_segments` reads them; `recordings`: the folder.
    A speaker without a name, such as ``speaker 1``, is another person in each recording.
    Returns: the table, and the labels of segments that were left out: no emotions.
    Raises: CorpusError if a recording is not found; AudioError if it cannot be read.
    """
    found, left_out = read_segments(annotations)
    files = _found({one.file for one in found}, recordings)
    make_folder(out)
    if any(out.iterdir()):
        raise ResultsError(f"{out}: holds files already: give another folder, or empty it")
    rows: list[tuple[str, ...]] = []
    for file in sorted({*files.values()}):
        signal = read_audio(file)
        for number, one in enumerate(one for one in found if files[one.file] == file):
            clip = f"{len(rows) + 1:05}.flac"
            write_whole(out / clip, _flac(_part(signal, one, file)))
            speaker = f"{file.stem} " * bool(NUMBERED.fullmatch(one.speaker)) + one.speaker
            rows.append((clip, one.emotion, speaker, f"{file.name} {number + 1}"))
    return write_rows(out / TABLE, HEADER, rows), left_out


def cut_once(annotations: Path, recordings: Path, cache: Path | None) -> Path:
    """Cut labelled segments into the cache, unless they are there; return the table of them.

    Warns of segments that are left out.
    """
    _, left_out = read_segments(annotations)
    if left_out:
        warnings.warn(f"{annotations}: {left_out_words(left_out)}", stacklevel=2)
    files = (
        [annotations, *sorted(annotations.rglob("*"))] if annotations.is_dir() else [annotations]
    )
    states = [(str(file), file.stat()) for file in [*files, *find_recordings(recordings)]]
    described = [(file, state.st_size, state.st_mtime_ns) for file, state in states]
    rule = NUMBERED.pattern  # clips that were cut when others were one speaker are cut anew
    key = hashlib.sha256(repr((rule, described)).encode()).hexdigest()[:20]
    kept = private_folder((cache or default_cache()) / "segments") / key
    if not (kept / TABLE).exists():
        with TemporaryDirectory(dir=kept.parent) as made:
            cut_segments(annotations, recordings, Path(made) / key)
            with suppress(OSError):  # another process was first
                (Path(made) / key).rename(kept)
    return kept / TABLE


def left_out_words(left_out: Counter[str]) -> str:
    """Count the segments that were left out, with their commonest labels."""
    most = ", ".join(f"{label} ({count})" for label, count in left_out.most_common(5))
    return f"{left_out.total()} segment(s) left out, labelled with no emotion: {most}"


def _found(names: Iterable[str], folder: Path) -> Mapping[str, Path]:
    """Find the recordings that annotations name: by the file's name, or that without its suffix."""
    there = find_recordings(folder)
    by_name = {file.stem: file for file in there} | {file.name: file for file in there}
    found = {}
    for name in names:
        last = name.replace("\\", "/").rpartition("/")[2]
        file = by_name.get(last) or by_name.get(Path(last).stem)
        if file is None:
            raise CorpusError(
                f"{folder}: has no recording {last!r}, of which segments are labelled"
            )
        found[name] = file
    return found


def _part(signal: Signal, one: LabelledSegment, file: Path) -> Signal:
    """Cut a segment out of a recording."""
    part = signal[round(one.start * RATE_HZ) : round(one.end * RATE_HZ)]
    if abs(part.size / RATE_HZ - (one.end - one.start)) > 0.5:
        raise CorpusError(
            f"{file}: lasts {signal.size / RATE_HZ:.2f} s, and a segment of it is labelled from "
            f"{one.start:.2f} to {one.end:.2f} s: is it another recording?"
        )
    return part


def _flac(signal: Signal) -> bytes:
    place = io.BytesIO()
    soundfile.write(place, signal, RATE_HZ, format="FLAC", subtype="PCM_16")
    return place.getvalue()
