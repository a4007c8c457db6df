"""CorpusSpec: how the files of a corpus are named, its official counts and its licence.

A `CorpusSpec` reads an `Utterance` from a file name, and the utterances of a folder. No recording
is opened.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from serein.emotions import canonical_emotion
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
        Canonical emotion, a key of `serein.emotions.EMOTIONS`.
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
    """The labels in a file name; the speaker is without the prefix of the corpus."""

    speaker: str
    emotion: str
    gender: str | None = None
    intensity: str | None = None
    text: str | None = None


class SideTable(NamedTuple):
    """A table of the release with labels that are not in the file names.

    Its column `key` holds the group `group` of the match of a file name (0: the whole stem).
    """

    file: str
    delimiter: str
    key: str
    group: str | int
    gender: str
    text: str | None = None

    def read(self, folder: Path) -> dict[str, tuple[str | None, str | None]]:
        """Find the table in, above or below a folder: key -> (gender, text); empty if missing."""
        places = (
            folder,
            folder.absolute().parent,
            *sorted(path.parent for path in folder.rglob(self.file)),
        )
        for path in (place / self.file for place in places):
            if path.is_file() and (rows := self._rows(path)) is not None:
                return rows
        return {}

    def _rows(self, path: Path) -> dict[str, tuple[str | None, str | None]] | None:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, delimiter=self.delimiter)
                if not {self.key, self.gender} <= set(reader.fieldnames or ()):
                    return None  # another table of the same name
                return {
                    Path(row[self.key] or "").stem: (
                        (row[self.gender] or "").strip().lower() or None,
                        (row.get(self.text) if self.text else None) or None,
                    )
                    for row in reader
                }
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CorpusError(f"cannot read {path}: {error}; take it from the release") from error


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
    counts: Mapping[str, int]  # official number of recordings of each emotion
    speakers: int  # official number
    language: str | None  # as of an `Utterance`; None where nothing is said
    licence: str  # of the recordings
    citation: str  # paper to cite
    url: str  # official page
    left_out: re.Pattern[str] | None = None  # stems that are not of this corpus, such as song
    side_table: SideTable | None = None  # in the release; adds gender or text
    folders: tuple[str, ...] = ()  # other names of its folder
    part: Part | None = None  # a part of the release that people have
    whole: CorpusSpec | None = None  # of a part, its corpus

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
        self, path: Path, details: Mapping[str, tuple[str | None, str | None]] | None = None
    ) -> Utterance | None:
        """Read the labels in a path; the file is not opened.

        `path`: a recording, with any extension; `details`: as `SideTable.read` returns it.
        Returns: the utterance; None if the file name is not one of this corpus.
        """
        match = self.pattern.fullmatch(path.stem)
        fields = self.fields(match, path) if match else None
        if match is None or fields is None:
            return None
        gender, text = fields.gender, fields.text
        if details and self.side_table:
            more = details.get(match[self.side_table.group], (None, None))
            gender, text = more[0] or gender, more[1] or text
        return Utterance(
            path=path,
            corpus=self.name,
            speaker=f"{self.name}-{fields.speaker.lower()}",
            emotion=canonical_emotion(fields.emotion),
            gender=gender,
            intensity=fields.intensity,
            text=text,
            language=self.language,
        )

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
        kind = f"{len(paths)} audio files of other names" if paths else "no audio file but others"
        found = f"{kind}, for instance {seen[0].name!r}" if seen else "an empty folder"
        return (
            f"{folder} holds no recording of {self.title}: files are named like {self.example} "
            f"({' '.join(EXTENSIONS)}), in any sub-folder; found {found}"
        )


def _difference(one: Mapping[str, int], other: Mapping[str, int]) -> int:
    return sum(abs(one.get(key, 0) - other.get(key, 0)) for key in one.keys() | other.keys())
