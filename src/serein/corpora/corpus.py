"""Corpus: a table of recordings with their speakers and emotions.

It is read from the folder of a known corpus (`Corpus.load`) or from a CSV file (`Corpus.from_csv`).
It is immutable: filtering, mapping and merging return a new one.
"""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

from serein.corpora.catalogue import CORPORA
from serein.corpora.spec import Utterance
from serein.corpora.validation import Validation, validate
from serein.emotions import EMOTIONS, in_order, label_name
from serein.errors import CorpusError, MissingFilesError, SereinError, reason_of, unknown_name
from serein.untrusted import check_file_name

__all__ = ["Corpus", "Utterance"]

_NEEDED_COLUMNS = ("file", "emotion", "speaker")
_KNOWN_COLUMNS = ("gender", "intensity", "text", "language", "corpus", "start", "end")
_MAX_HEADER = 500  # characters that an error shows
_TOLD = 10  # missing files that an error names
_HOW_TO_SAY_WHERE = ": give their folder (--data or FOLDER; in Python audio_root)"
_WHY_NEEDED = {"speaker": ": name each person, so that none is on both sides of a split"}
_GENDERS = {"f": "female", "w": "female", "woman": "female", "m": "male", "man": "male"}


@dataclass(frozen=True, slots=True, repr=False)
class Corpus:
    """A table of utterances.

    Parameters
    ----------
    name : str
        Name of the corpus; of merged ones, joined by ``+``.
    utterances : tuple of Utterance
        The rows.
    licence : str
        Licence of the recordings.
    root : Path, optional
        Their folder; None after merging different folders.
    unparsed : tuple of Path
        Audio files in the folder with unknown names.
    left_out : tuple of Path
        Audio files of other parts of the release, such as song.
    official : bool
        Whether this is a whole corpus of the catalogue, which `validate` compares with the official
        counts; not after filtering, mapping or merging.

    Examples
    --------
    >>> rows = [Utterance(Path(f"{e}.wav"), "my", "my-ann", e) for e in ("calm", "anger")]
    >>> corpus = Corpus("my", tuple(rows))
    >>> corpus
    Corpus('my', utterances=2, speakers=1, emotions=2)
    >>> corpus.map_emotions({"calm": "neutral"}).emotions
    ('neutral', 'anger')
    """

    name: str
    utterances: tuple[Utterance, ...]
    licence: str = "not stated"
    root: Path | None = None
    unparsed: tuple[Path, ...] = ()
    left_out: tuple[Path, ...] = ()
    official: bool = False

    @classmethod
    def load(cls, name: str, folder: str | Path) -> Corpus:
        """Read a corpus of the catalogue from its folder and sub-folders.

        Parameters
        ----------
        name : str
            A key of `serein.corpora.CORPORA`.
        folder : str or Path
            Its folder, or the folder above one of its name. Recordings may be WAV, FLAC, Ogg, Opus
            or MP3. Hidden files are ignored.

        Returns
        -------
        Corpus
            Sorted by file name.

        Raises
        ------
        CorpusError
            If the name is unknown, the folder is missing, or no file has a name of that corpus.
        """
        if name not in CORPORA:
            raise CorpusError(unknown_name("corpus", name, CORPORA))
        root, spec = Path(folder), CORPORA[name]
        below = [root / inner for inner in (name, *spec.folders) if (root / inner).is_dir()]
        root = below[0] if below else root
        found = spec.read(root)
        return cls(
            name=name,
            utterances=found.utterances,
            licence=spec.licence,
            root=root,
            unparsed=found.unparsed,
            left_out=found.left_out,
            official=True,
        )

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        audio_root: str | Path | None = None,
        licence: str = "not stated",
        labelled: bool = True,
    ) -> Corpus:
        r"""Read any corpus from a table with a header row.

        Parameters
        ----------
        path : str or Path
            A UTF-8 text file with cells separated by commas, semicolons or tabs. Its columns
            ``file``, ``emotion`` and ``speaker`` are needed; ``gender``, ``intensity``, ``text``,
            ``language`` and ``corpus`` are used if present; others are ignored. An emotion may
            be any label of your own.
        name : str, optional
            Name of the corpus; the table's stem if not given. Where a speaker does not begin
            with it (or with the row's ``corpus``), it is put in front.
        audio_root : str or Path, optional
            The folder that ``file`` is relative to, or the table's own. ``\`` may stand for ``/``.
        licence : str
            Licence of the recordings.
        labelled : bool
            Whether each row needs an emotion; if not, the column ``emotion`` is passed over.

        Returns
        -------
        Corpus
            In the order of the table.

        Raises
        ------
        CorpusError
            If the table cannot be read, has no row, lacks a column, or a row has no speaker, a
            file that is not there or is listed twice, or an emotion that is no name. The message
            names the line.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(folder, "1.wav").write_bytes(b"")
        ...     table = Path(folder, "calls.csv")
        ...     _ = table.write_text("file,emotion,speaker\n1.wav,angry,ann\n")
        ...     corpus = Corpus.from_csv(table)
        >>> corpus.utterances[0].speaker, corpus.utterances[0].emotion
        ('calls-ann', 'anger')
        """
        return read_corpus(
            path, name=name, audio_root=audio_root, licence=licence, labelled=labelled
        )

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotions that occur: those of `serein.emotions.EMOTIONS` in their order, then own."""
        return in_order(row.emotion for row in self.utterances)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers, sorted."""
        return tuple(sorted({row.speaker for row in self.utterances}))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The audio file of each utterance, in order."""
        return tuple(row.path for row in self.utterances)

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    def __repr__(self) -> str:
        sizes = f"utterances={len(self)}, speakers={len(self.speakers)}"
        return f"Corpus({self.name!r}, {sizes}, emotions={len(self.emotions)})"

    def filter(
        self,
        *,
        emotions: Iterable[str] | None = None,
        speakers: Iterable[str] | None = None,
        predicate: Callable[[Utterance], bool] | None = None,
    ) -> Corpus:
        """Keep the utterances that pass every condition given.

        Parameters
        ----------
        emotions : iterable of str, optional
            Emotions to keep, by any of their names. One that does not occur is no error.
        speakers : iterable of str, optional
            Speakers to keep.
        predicate : callable, optional
            From an utterance to whether it is kept.

        Returns
        -------
        Corpus
            In the same order; it may be empty.

        Raises
        ------
        CorpusError
            If an emotion is unknown, or a speaker is not in this corpus.
        """
        rows: Iterable[Utterance] = self.utterances
        if emotions is not None:
            kept = {self._emotion(word) for word in _words(emotions)}
            rows = [row for row in rows if row.emotion in kept]
        if speakers is not None:
            people = self._known_speakers(speakers)
            rows = [row for row in rows if row.speaker in people]
        if predicate is not None:
            rows = [row for row in rows if predicate(row)]
        return self._with(rows)

    def map_emotions(self, mapping: Mapping[str, str | None]) -> Corpus:
        """Rename emotions, or drop them.

        Parameters
        ----------
        mapping : mapping of str to str or None
            From an emotion to the one it becomes, by any of their names, or a label of your own;
            to None to drop its utterances. Emotions that are not keys stay as they are.

        Returns
        -------
        Corpus
            In the same order.

        Raises
        ------
        CorpusError
            If an emotion is unknown.
        """
        new: dict[str, str | None] = {emotion: emotion for emotion in self.emotions}
        for old, word in mapping.items():
            new[self._emotion(old)] = None if word is None else label_name(word)
        pairs = ((row, new[row.emotion]) for row in self.utterances)
        return self._with(replace(row, emotion=emotion) for row, emotion in pairs if emotion)

    def merge(self, *others: Corpus, name: str | None = None) -> Corpus:
        """Concatenate corpora; ``Corpus.merge(a, b, c)`` works too.

        Parameters
        ----------
        *others : Corpus
            The corpora to append.
        name : str, optional
            Name of the result; the names joined by ``+`` if not given.

        Returns
        -------
        Corpus
            The rows of all; its licence lists every licence once.

        Raises
        ------
        CorpusError
            If the same file is in two of them.
        """
        parts = (self, *others)
        rows = tuple(row for part in parts for row in part)
        path, times = Counter(row.path for row in rows).most_common(1)[0] if rows else (None, 0)
        if times > 1:
            raise CorpusError(f"{path} is in {times} of the corpora: filter before merging")
        roots = {part.root for part in parts}
        return Corpus(
            name=name or "+".join(dict.fromkeys(part.name for part in parts)),
            utterances=rows,
            licence="; ".join(dict.fromkeys(part.licence for part in parts)),
            root=roots.pop() if len(roots) == 1 else None,
        )

    def counts(self, by: str = "emotion") -> dict[str, int]:
        """Count the utterances of each emotion, speaker or other group.

        Parameters
        ----------
        by : {"emotion", "speaker", "gender", "intensity", "language", "corpus"}
            What to group by.

        Returns
        -------
        dict of str to int
            Emotions in the order of `EMOTIONS`, other groups sorted; ``"unknown"`` counts the
            utterances without the information.

        Raises
        ------
        CorpusError
            If `by` is none of these.

        Examples
        --------
        >>> rows = [Utterance(Path(f"{e}.wav"), "my", "my-ann", e) for e in ("anger", "calm")]
        >>> Corpus("my", tuple(rows)).counts()
        {'calm': 1, 'anger': 1}
        """
        groups = ("emotion", "speaker", "gender", "intensity", "language", "corpus")
        if by not in groups:
            raise CorpusError(unknown_name("group to count by", by, groups))
        counted = Counter(getattr(row, by) or "unknown" for row in self.utterances)
        order = self.emotions if by == "emotion" else sorted(counted)
        return {key: counted[key] for key in order}

    def validate(self) -> Validation:
        """Check the corpus: duplicates, missing or empty files, speakers with one emotion.

        Files of equal size are read to compare their contents.

        Returns
        -------
        Validation
            The result; print its ``summary()``.

        Raises
        ------
        CorpusError
            If a file cannot be read.
        """
        return validate(
            self.name,
            self.utterances,
            spec=CORPORA[self.name] if self.official else None,
            unparsed=self.unparsed,
            left_out=self.left_out,
        )

    def _emotion(self, word: str) -> str:
        """Return the name of an emotion, or of an own label that occurs here."""
        name, here = label_name(word), self.emotions
        if name not in EMOTIONS and name not in here:
            raise CorpusError(unknown_name("emotion", word, dict.fromkeys([*here, *EMOTIONS])))
        return name

    def _known_speakers(self, speakers: Iterable[str]) -> set[str]:
        people = set(_words(speakers))
        for unknown in sorted(people - set(self.speakers)):
            raise CorpusError(unknown_name(f"speaker of {self.name}", unknown, self.speakers))
        return people

    def _with(self, rows: Iterable[Utterance]) -> Corpus:
        return Corpus(self.name, tuple(rows), self.licence, self.root)


def is_table(name: str) -> bool:
    """Tell the file of a table from the name of a corpus."""
    return name.lower().endswith((".csv", ".tsv"))


def place_of(name: str, folder: Path) -> Path:
    """Find a table, or labelled segments: in the folder of the recordings, else as a path is."""
    inside = folder / name
    return Path(name) if Path(name).exists() and not inside.exists() else inside


def read_corpus(
    path: str | Path,
    *,
    name: str | None = None,
    audio_root: str | Path | None = None,
    licence: str = "not stated",
    labelled: bool = True,
    bad: Container[Path] = (),
) -> Corpus:
    """Read a table as `Corpus.from_csv` does, without the missing recordings among `bad`."""
    path = Path(path)
    root = path.parent if audio_root is None else Path(audio_root)
    name = check_file_name("the name of the corpus", name or path.stem, CorpusError)
    rows: dict[Path, Utterance] = {}
    missing: dict[Path, str] = {}
    places = dict.fromkeys((root, path.parent))
    needed = tuple(name for name in _NEEDED_COLUMNS if labelled or name != "emotion")
    for line, row in csv_rows(path, needed):
        try:
            file = _find(row["file"], places)
            if file is None:
                missing[root / row["file"]] = f"line {line}: {row['file']!r}"
                continue
            utterance = _row_utterance(row, file, name, needed)
            if utterance.path in rows:
                raise CorpusError(f"file {row['file']!r} is listed twice: keep one of the rows")
        except (SereinError, OSError) as error:
            raise CorpusError(f"{path}, line {line}: {reason_of(error)}") from error
        rows[utterance.path] = utterance
    if not rows or any(file not in bad for file in missing):
        _refuse_missing(missing, path, root, _HOW_TO_SAY_WHERE)
    if not rows:
        raise CorpusError(f"{path} has a header but no rows: add one for each recording")
    return Corpus(name=name, utterances=tuple(rows.values()), licence=licence, root=root)


def read_labels(path: Path) -> dict[Path, str]:
    """Read labelled recordings from a table with the columns ``file`` and ``emotion``.

    As `Corpus.from_csv` reads it, but for any labels, and whoever speaks. `file` is relative to it.
    """
    labels: dict[Path, str] = {}
    missing: dict[Path, str] = {}
    for line, row in csv_rows(path, ("file", "emotion")):
        try:
            file, emotion = _find(row["file"], [path.parent]), label_name(row["emotion"])
            if file is None:
                missing[path.parent / row["file"]] = f"line {line}: {row['file']!r}"
                continue
            if file in labels:
                raise CorpusError(f"file {row['file']!r} is listed twice: keep one of the rows")
        except (SereinError, OSError) as error:
            raise CorpusError(f"{path}, line {line}: {reason_of(error)}") from error
        labels[file] = emotion
    _refuse_missing(missing, path, path.parent)
    if not labels:
        raise CorpusError(f"{path} has a header but no rows: add one for each recording")
    return labels


def _refuse_missing(missing: Mapping[Path, str], table: Path, root: Path, how: str = "") -> None:
    """Raise an error that counts the files of a table that are not there, and names some."""
    if missing:
        more = f", and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
        raise MissingFilesError(
            {
                file: f"{file}: is not there ({table}, {where.partition(':')[0]})"
                for file, where in missing.items()
            },
            f"{table}: {len(missing)} of its files not found in {root}{how}; "
            f"{', '.join([*missing.values()][:_TOLD])}{more}",
            f"ls {shlex.quote(str(root))}",
        )


def _words(words: Iterable[str]) -> Iterable[str]:
    """Make a list of a single word."""
    return (words,) if isinstance(words, str) else words


def csv_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row with its line number; cells are stripped, column names in lower case."""
    text, first = _csv_text(path, needed), 0
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    if said := re.match(r"sep=(.)\r?\n", text):  # the first line of some of Excel's
        delimiter, text, first = said[1], text[said.end() :], 1
    reader = csv.DictReader(
        io.StringIO(text, newline=""), restval="", delimiter=delimiter, strict=True
    )
    try:
        header = reader.fieldnames = [cell.strip().lower() for cell in reader.fieldnames or ()]
        for column in {*_KNOWN_COLUMNS, *needed}:
            if header.count(column) > 1:
                raise CorpusError(f"{path} has the column {column!r} twice: keep one of them")
        if missing := [column for column in needed if column not in header]:
            names = ", ".join(header)
            there = names if len(names) <= _MAX_HEADER else f"{names[:_MAX_HEADER]} …"
            raise CorpusError(f"{path} has no column {missing[0]!r}; it has: {there}")
        for row in reader:
            if None in row:
                raise CorpusError(
                    f"{path}, line {reader.line_num + first}: more cells than column names: "
                    f"put double quotes around a text that holds {delimiter!r}"
                )
            cells = {column: cell.strip() for column, cell in row.items()}
            if any(cells.values()):
                yield reader.line_num + first, cells
    except csv.Error as error:
        raise CorpusError(f"{path}, after line {reader.line_num + first}: {error}") from error


def _csv_text(path: Path, needed: Sequence[str]) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        near = path if path.exists() else path.parent
        raise CorpusError(
            f"cannot read the table {path}: {error.strerror}", to_try=f"ls {shlex.quote(str(near))}"
        ) from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    if "\0" in text:
        raise CorpusError(f"{path} is no text, but binary: save it as a CSV table in UTF-8")
    if not text.strip():
        raise CorpusError(f"{path} is empty: it needs a header, {','.join(needed)}")
    return text


def _find(name: str, places: Iterable[Path]) -> Path | None:
    """Find the file of a row, whatever the separators of its path, and the form of its accents."""
    names = [name, *(normalize(form, name) for form in ("NFC", "NFD"))]
    names += [one.replace("\\", "/") for one in names]
    if not name:
        raise CorpusError("file is blank")
    found = (place / one for one in dict.fromkeys(names) for place in places)
    return next((file for file in found if file.is_file()), None)


def _row_utterance(
    row: dict[str, str], path: Path, name: str, needed: Sequence[str] = _NEEDED_COLUMNS
) -> Utterance:
    for column in needed:
        if not row[column]:
            raise CorpusError(f"{column} is blank" + _WHY_NEEDED.get(column, ""))
    if row.get("start") or row.get("end"):
        raise CorpusError(
            "start and end name a part of a recording: cut the recordings with serein corpus "
            "TABLE FOLDER --cut NEW, and take the table that it writes"
        )
    corpus = check_file_name("the name of the corpus", row.get("corpus") or name, CorpusError)
    speaker, gender = row["speaker"], row.get("gender", "").lower()
    return Utterance(
        path=path,
        corpus=corpus,
        speaker=speaker if speaker.startswith(f"{corpus}-") else f"{corpus}-{speaker}",
        emotion=label_name(row["emotion"]) if "emotion" in needed else "",
        gender=_GENDERS.get(gender, gender) or None,
        intensity=row.get("intensity") or None,
        text=row.get("text") or None,
        language=row.get("language", "").lower() or None,
    )
