"""Validation of a corpus: duplicates, files that are missing, empty or no sound, unknown names.

A duplicate of the same speaker and emotion is a warning: training and tests use one. A duplicate
under another speaker or emotion makes a score wrong and is an error, as is any difference from the
official release.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from unicodedata import normalize

from serein.corpora.spec import CorpusSpec, Utterance
from serein.emotions import EMOTIONS, in_order, near_emotion
from serein.errors import CorpusError, counted
from serein.recordings import other_content
from serein.untrusted import printable

_Key = TypeVar("_Key", bound=Hashable)
_Row = TypeVar("_Row")

HEAD_BYTES = 512  # that say what a file is
_SHOWN = 5  # how many examples a sentence gives


@dataclass(frozen=True, slots=True)
class Validation:
    """The result of validating a corpus.

    `missing, unexpected`: emotion -> recordings fewer or more than in the official release.
    """

    corpus: str  # its name
    n_utterances: int
    n_speakers: int
    n_emotions: int
    duplicates: list[tuple[Utterance, ...]] = field(default_factory=list)  # of the same content
    missing: dict[str, int] = field(default_factory=dict)
    unexpected: dict[str, int] = field(default_factory=dict)
    empty: tuple[Path, ...] = ()  # files of 0 bytes
    no_sound: dict[str, tuple[Path, ...]] = field(default_factory=dict)  # what files are instead
    single_emotion_speakers: tuple[str, ...] = ()
    unparsed: tuple[Path, ...] = ()  # audio files with unknown names
    left_out: tuple[Path, ...] = ()  # audio files of other parts of the release
    speakers: tuple[str, ...] = ()  # of each utterance
    own: tuple[str, ...] = ()  # emotions without valence, arousal and a Chinese name
    spec: CorpusSpec | None = None  # the official corpus that it was compared with

    @property
    def ok(self) -> bool:
        """Whether there is no error; there may be warnings."""
        return not self.errors()

    @property
    def copies(self) -> int:
        """Number of files that duplicate another."""
        return sum(len(group) - 1 for group in self.duplicates)

    def errors(self) -> list[str]:
        """List what makes a score on this corpus wrong or not comparable."""
        found = [] if self.n_utterances else ["there are no utterances"]
        found += _conflicts(self.duplicates, "emotion", lambda row: row.emotion)
        found += _conflicts(self.duplicates, "speaker", lambda row: row.speaker)
        if self.empty:
            found.append(f"{_count(self.empty, 'file')} of 0 bytes: {_names(self.empty)}")
        for said, paths in self.no_sound.items():
            each = ", each" if len(paths) > 1 else ""
            found.append(f"{_count(paths, 'file')}{each} {said}: {_names(paths)}")
        return found + self._differences()

    def warnings(self) -> list[str]:
        """List what is unusual but leaves scores right."""
        found = []
        if self.duplicates:
            is_or_are = "is a copy" if self.copies == 1 else "are copies"
            found.append(
                f"{self.copies} of {self.n_utterances} files {is_or_are} of another file: "
                f"{_first(map(_group, self.duplicates), '; ')}"
            )
        if self.single_emotion_speakers:
            people = _count(self.single_emotion_speakers, "speaker")
            found.append(f"{people} in one emotion only: {_first(self.single_emotion_speakers)}")
        near = {own: near_emotion(own) for own in self.own}
        if any(near.values()):
            each = [f"{own} (is it {name}?)" for own, name in near.items() if name]
            found.append(f"labels that may be misspelt: {_first(each)}")
        found += speaker_warnings(self.speakers)
        if self.unparsed:
            unlike = f" named unlike {self.spec.example}" if self.spec else " with unknown names"
            files = _count(self.unparsed, "audio file")
            found.append(f"{files}{unlike}, not used: {_names(self.unparsed)}")
        return found

    def problems(self) -> list[str]:
        """List errors, then warnings."""
        return self.errors() + self.warnings()

    def summary(self) -> str:
        """Return a text with the size, the verdict and all problems."""
        size = f"{counted(self.n_utterances, 'utterance')}, {counted(self.n_speakers, 'speaker')}"
        verdict = "ok" if self.ok else "not ok"
        lines = [f"{self.corpus}: {size}, {counted(self.n_emotions, 'emotion')}: {verdict}"]
        lines += [f"  error: {sentence}" for sentence in self.errors()]
        lines += [f"  warning: {sentence}" for sentence in self.warnings()]
        if self.spec and self.spec.whole:
            sizes = f"{self.spec.total} of {self.spec.whole.total} files"
            lines.append(f"  note: compared with a known part of the release, {sizes}")
        if self.own:
            own = f"{_count(self.own, 'emotion')} of your own"
            lines.append(f"  note: {own}, without valence and arousal: {', '.join(self.own)}")
        if self.left_out:
            files = _count(self.left_out, "audio file")
            lines.append(f"  note: {files} of other parts of the release left out")
        return "\n".join(map(printable, lines))

    def _differences(self) -> list[str]:
        if self.spec is None:
            return []
        found = []
        release = "official" if self.spec.whole is None else "part's"
        for emotions, word in ((self.missing, "fewer"), (self.unexpected, "more")):
            if emotions:
                each = ", ".join(f"{emotion} {n}" for emotion, n in emotions.items())
                count = f"{sum(emotions.values())} {word}"
                found.append(f"{count} than the {release} {self.spec.total} files: {each}")
        if self.spec.speakers not in (0, self.n_speakers):
            where = "officially" if self.spec.whole is None else "in the part"
            found.append(f"{counted(self.n_speakers, 'speaker')}, {where} {self.spec.speakers}")
        return found


def validate(
    name: str,
    utterances: Sequence[Utterance],
    *,
    spec: CorpusSpec | None = None,
    unparsed: tuple[Path, ...] = (),
    left_out: tuple[Path, ...] = (),
) -> Validation:
    """Validate utterances; `Corpus.validate` calls this."""
    counts = Counter(row.emotion for row in utterances)
    spec = spec and spec.nearest(counts)
    official = spec.counts if spec and spec.counts else counts
    emotions = in_order({*official, *counts})
    speakers = _by(utterances, lambda row: row.speaker)
    others = _by(utterances, lambda row: other_content(_head(row.path)))
    return Validation(
        corpus=name,
        n_utterances=len(utterances),
        n_speakers=len(speakers),
        n_emotions=len(counts),
        speakers=tuple(row.speaker for row in utterances),
        duplicates=duplicates(others.pop(None, [])),
        missing=_positive({e: official.get(e, 0) - counts[e] for e in emotions}),
        unexpected=_positive({e: counts[e] - official.get(e, 0) for e in emotions}),
        empty=tuple(row.path for row in utterances if _size(row.path) == 0),
        no_sound={str(said): tuple(row.path for row in rows) for said, rows in others.items()},
        single_emotion_speakers=tuple(
            sorted(who for who, rows in speakers.items() if len({row.emotion for row in rows}) == 1)
        ),
        unparsed=unparsed,
        own=tuple(
            e for e in emotions if e not in EMOTIONS and e not in (spec.counts if spec else ())
        ),
        left_out=left_out,
        spec=spec,
    )


def _positive(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count > 0}


def speaker_warnings(speakers: Sequence[str]) -> list[str]:
    """Say what is odd about the speakers of utterances: one a file, or names that look alike."""
    found, alike = [], defaultdict(set)
    for name in speakers:
        alike[" ".join(normalize("NFKC", name).casefold().split())].add(name)
    pairs = [" and ".join(sorted(names)) for names in alike.values() if len(names) > 1]
    if pairs:
        found.append(
            f"{_count(pairs, 'group')} of speakers whose names look alike, and count as several "
            f"people: {_first(pairs, '; ')}"
        )
    if 2 < len(speakers) == len(set(speakers)):
        found.append(
            "each file has a speaker of its own: are they people? Folds cannot keep apart whom the "
            "column speaker does not name"
        )
    return found


def duplicates(utterances: Iterable[Utterance]) -> list[tuple[Utterance, ...]]:
    """Find groups of utterances whose files have the same bytes."""
    same_size = _by(utterances, lambda row: _size(row.path)).items()
    candidates = [row for size, rows in same_size if size and len(rows) > 1 for row in rows]
    groups = same_content([_sha256(row.path) for row in candidates])
    return [tuple(candidates[row] for row in group) for group in groups]


def same_content(contents: Sequence[Hashable]) -> list[list[int]]:
    """Group the rows whose contents are equal, where there are several."""
    groups = _by(range(len(contents)), lambda row: contents[row]).values()
    return [rows for rows in groups if len(rows) > 1]


def _by(rows: Iterable[_Row], key: Callable[[_Row], _Key]) -> dict[_Key, list[_Row]]:
    groups: defaultdict[_Key, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # reads block by block
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> CorpusError:
    return CorpusError(f"cannot read {path}: {error.strerror}; load the corpus again")


def _conflicts(
    groups: Iterable[tuple[Utterance, ...]], noun: str, label: Callable[[Utterance], str]
) -> list[str]:
    found = [group for group in groups if len({label(row) for row in group}) > 1]
    if not found:
        return []
    recordings = _count(found, "recording")
    return [f"{recordings} under more than one {noun}: {_first(map(_group, found), '; ')}"]


def _group(rows: Sequence[Utterance]) -> str:
    """Name equal files, by their paths if their names are equal too, and their labels."""
    short = len({row.path.name for row in rows}) == len(rows)
    names = " = ".join(row.path.name if short else str(row.path) for row in rows)
    labels = dict.fromkeys(f"{row.speaker} {row.emotion}" for row in rows)
    text = f', "{rows[0].text}"' if rows[0].text else ""
    return f"{names} ({' / '.join(labels)}{text})"


def _count(things: Sequence[object], noun: str) -> str:
    return counted(len(things), noun)


def _names(paths: Iterable[Path]) -> str:
    return _first(path.name for path in paths)


def _first(words: Iterable[str], separator: str = ", ") -> str:
    listed = list(words)
    more = [f"and {len(listed) - _SHOWN} more"] if len(listed) > _SHOWN else []
    return separator.join(listed[:_SHOWN] + more)
