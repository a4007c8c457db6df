"""CorpusSpec: how the files of a corpus are named, its official counts and its licence.

A `CorpusSpec` reads an `Utterance` from a file name, and the utterances of a folder. No recording
is opened.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from serein.emotions import label_name
from serein.errors import AudioError, CorpusError
from serein.recordings import EXTENSIONS, find_recordings


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording of one speaker, and its labels.

    Parameters
    ----------
    path : Path
        The audio file.
    corpus : str
        Name of the corpus.
    speaker : str
        The speaker, prefixed by the corpus: ``"ravdess-01"``.
    emotion : str
        Emotion: a key of `serein.emotions.EMOTIONS`, or a label of your own.
    gender : str, optional
        Usually ``"female"`` or ``"male"``.
    intensity : str, optional
        Intensity of the acted emotion, in the words of the corpus.
    text : str, optional
        The transcript.
    language : str, optional
        ISO 639-1 code, with a region where that matters: ``"en-IN"``.
    """

    path: Path
    corpus: str
    speaker: str
    emotion: str
    gender: str | None = None
    intensity: str | None = None
    text: str | None = None
    language: str | None = None


class Fields(NamedTuple):
    """The labels in a file name, empty where a table has them; the speaker without the corpus."""

    speaker: str
    emotion: str
    gender: str | None = None
    intensity: str | None = None
    text: str | None = None
    language: str | None = None


class Details(NamedTuple):
    """Labels of a recording that a table of the release has."""

    gender: str | None = None
    text: str | None = None
    emotion: str | None = None
    speaker: str | None = None


_Key = Callable[[Mapping[str, str], Path], str]


class SideTable(NamedTuple):
    """Tables of the release with labels that are not in the file names.

    `key` is the column that holds the group `group` of the match of a file name (0: the whole
    stem), or makes it of a row and the table's path. Lines are cells, or match `line`.
    """

    file: str  # its name, or a pattern of the names of several
    delimiter: str
    key: str | _Key
    group: str | int | Callable[[re.Match[str], Path], str]
    gender: str | None = None
    text: str | None = None
    emotion: str | None = None
    speaker: str | None = None
    line: re.Pattern[str] | None = None

    def read(self, folder: Path) -> dict[str, Details]:
        """Find the tables in, above or below a folder: key -> labels; empty if there are none."""
        above = folder.absolute().parent
        near = [path for place in (folder, above) for path in sorted(place.glob(self.file))]
        found: dict[str, Details] = {}
        for path in dict.fromkeys((*near, *sorted(folder.rglob(self.file)))):
            rows = self._rows(path) if path.is_file() else None
            if rows is not None and not self.several:
                return rows
            found = (rows or {}) | found
        return found

    @property
    def several(self) -> bool:
        """Whether labels are spread over several tables."""
        return "*" in self.file

    def key_of(self, match: re.Match[str], path: Path) -> str:
        """Return the key of a recording."""
        return self.group(match, path) if callable(self.group) else match[self.group]

    def _rows(self, path: Path) -> dict[str, Details] | None:
        """Read a table; None if it is another one of that name."""
        try:
            text = path.read_bytes().decode("utf-8-sig")
            rows = self._matches(text) if self.line else self._cells(text)
            return (
                None if rows is None else {self._key(row, path): self._details(row) for row in rows}
            )
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CorpusError(f"cannot read {path}: {error}; take it from the release") from error

    def _matches(self, text: str) -> list[dict[str, str]]:
        return [match.groupdict() for match in self.line.finditer(text)] if self.line else []

    def _cells(self, text: str) -> list[dict[str, str]] | None:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=self.delimiter)
        needed = {self.key if isinstance(self.key, str) else None, self.gender, self.emotion}
        return list(reader) if needed - {None} <= set(reader.fieldnames or ()) else None

    def _key(self, row: Mapping[str, str], path: Path) -> str:
        return Path(row[self.key] or "").stem if isinstance(self.key, str) else self.key(row, path)

    def _details(self, row: Mapping[str, str]) -> Details:
        named = ((name, getattr(self, name)) for name in Details._fields)
        cells = {name: (row.get(column or "") or "").strip() for name, column in named}
        if cells["speaker"].lower() == "unknown":
            cells["speaker"] = ""
        return Details(**{name: cell or None for name, cell in cells.items()})


class Part(NamedTuple):
    """A known part of a release: recordings of each emotion, and speakers."""

    counts: Mapping[str, int]
    speakers: int


class Found(NamedTuple):
    """The content of a folder: utterances, files of other parts of the release, unknown names."""

    utterances: tuple[Utterance, ...]
    left_out: tuple[Path, ...]
    unparsed: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """The file names, official counts and licence of one corpus.

    `fields` makes `Fields` of a match of `pattern` and the path; None if labels are missing.
    """

    name: str  # as in `serein.corpora.CORPORA`
    title: str  # full name
    pattern: re.Pattern[str]  # matches the stem of a recording's file name
    fields: Callable[[re.Match[str], Path], Fields | None]
    example: str  # an official file name
    counts: Mapping[str, int]  # official number of recordings of each emotion; none: not compared
    speakers: int  # official number; 0: not compared
    language: str | None  # as of an `Utterance`; None where nothing is said
    licence: str  # of the recordings
    citation: str  # paper to cite
    url: str  # official page
    left_out: re.Pattern[str] | None = None  # stems that are not of this corpus, such as song
    side_table: SideTable | None = None  # in the release; adds gender or text
    folders: tuple[str, ...] = ()  # other names of its folder
    part: Part | None = None  # a part of the release that people have
    whole: CorpusSpec | None = None  # of a part, its corpus
    words: Mapping[str, str] = field(default_factory=dict)  # of a table -> emotions
    acted: bool = True  # by actors in a studio

    @property
    def total(self) -> int:
        """Official number of recordings."""
        return sum(self.counts.values())

    def nearest(self, counts: Mapping[str, int]) -> CorpusSpec:
        """Return the known part as a corpus if recordings are fewer off from it than from all."""
        if self.part is None:
            return self
        part = replace(self, **self.part._asdict(), part=None, whole=self)
        return min((self, part), key=lambda spec: _difference(spec.counts, counts))

    def utterance(
        self, path: Path, details: Mapping[str, Details] | None = None
    ) -> Utterance | None:
        """Read the labels in a path; the file is not opened.

        `path`: a recording, with any extension; `details`: as `SideTable.read` returns it.
        Returns: the utterance; None if the file name is not one of this corpus.
        """
        match = self.pattern.fullmatch(path.stem)
        fields = self.fields(match, path) if match else None
        if match is None or fields is None:
            return None
        more = Details()
        if details and self.side_table:
            more = details.get(self.side_table.key_of(match, path), more)
        speaker, emotion = more.speaker or fields.speaker, more.emotion or fields.emotion
        if not speaker or not emotion:
            return None
        gender = more.gender or fields.gender
        return Utterance(
            path=path,
            corpus=self.name,
            speaker=f"{self.name}-{speaker.lower()}",
            emotion=label_name(self.words.get(emotion, emotion)),
            gender=gender and gender.lower(),
            intensity=fields.intensity,
            text=more.text or fields.text,
            language=fields.language or self.language,
        )

    def _is_named(self, path: Path) -> bool:
        return self.pattern.fullmatch(path.stem) is not None

    def read(self, folder: Path) -> Found:
        """Find the recordings of the corpus in a folder and its sub-folders.

        Hidden files, and links to folders already seen, are ignored.
        Returns: the utterances and files, sorted by file name.
        Raises: CorpusError if the folder holds no recording of the corpus.
        """
        try:
            paths = sorted(find_recordings(folder), key=lambda path: (path.name, path.as_posix()))
        except AudioError as error:
            raise CorpusError(str(error)) from error
        details = self.side_table.read(folder) if self.side_table else None
        rows = {path: row for path in paths if (row := self.utterance(path, details))}
        if not rows:
            raise CorpusError(self._nothing_in(folder, paths))
        others = [path for path in paths if path not in rows]
        known = {path for path in others if self.left_out and self.left_out.fullmatch(path.stem)}
        return Found(
            utterances=tuple(rows.values()),
            left_out=tuple(path for path in others if path in known),
            unparsed=tuple(path for path in others if path not in known),
        )

    def _nothing_in(self, folder: Path, paths: list[Path]) -> str:
        seen = paths or sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        if self.side_table and self.side_table.emotion and any(map(self._is_named, paths)):
            return (
                f"{folder} holds recordings of {self.title} without their labels: put its tables, "
                f"{self.side_table.file}, beside or below them, as in the release"
            )
        kind = f"{len(paths)} audio files of other names" if paths else "no audio file but others"
        found = f"{kind}, for instance {seen[0].name!r}" if seen else "an empty folder"
        return (
            f"{folder} holds no recording of {self.title}: files are named like {self.example} "
            f"({' '.join(EXTENSIONS)}), in any sub-folder; found {found}"
        )


def _difference(one: Mapping[str, int], other: Mapping[str, int]) -> int:
    return sum(abs(one.get(key, 0) - other.get(key, 0)) for key in one.keys() | other.keys())
