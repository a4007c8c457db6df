"""The corpora serein knows: how their files are named, how many there are, under which licence.

Every corpus keeps its labels in its file names. A `CorpusSpec` turns one such name into an
`Utterance`, and a folder into a list of them; `CORPORA` lists the corpora. No recording is
opened here. A new corpus is one function and one entry.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from serein.emotions import canonical_emotion
from serein.errors import CorpusError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording of one person, with what is known of it.

    Parameters
    ----------
    path : Path
        The audio file.
    corpus : str
        Name of the corpus.
    speaker : str
        Who speaks, prefixed by the corpus: ``"ravdess-01"``.
    emotion : str
        Canonical emotion, a key of `serein.emotions.EMOTIONS`.
    gender : str, optional
        Usually ``"female"`` or ``"male"``.
    intensity : str, optional
        How strongly it is acted, in the corpus's own words.
    text : str, optional
        What is said.
    language : str, optional
        ISO 639-1 code.
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
    """What a file name says; the speaker is without the corpus's prefix."""

    speaker: str
    emotion: str
    gender: str | None = None
    intensity: str | None = None
    text: str | None = None


class SideTable(NamedTuple):
    """A table in the release that says what the file names do not.

    Its `key` column holds what group `group` of the name's match holds (0: the whole stem).
    """

    file: str
    delimiter: str
    key: str
    group: str | int
    gender: str
    text: str | None = None

    def read(self, folder: Path) -> dict[str, tuple[str | None, str | None]]:
        """Find the table in, above or below a folder: key -> (gender, text); empty if not there."""
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


class Found(NamedTuple):
    """What a folder holds: utterances, files of other parts of the release, unknown names."""

    utterances: tuple[Utterance, ...]
    left_out: tuple[Path, ...]
    unparsed: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """What is known of one corpus.

    Parameters
    ----------
    name, title : str
        Short name, a key of `CORPORA`, and full name.
    pattern : re.Pattern
        Matches the whole stem of a recording's file name.
    fields : callable
        From the match and the path to `Fields`, or None if the path does not say enough.
    example : str
        One official file name.
    counts : mapping of str to int
        Official number of recordings of each canonical emotion.
    speakers : int
        Official number of speakers.
    language : str
        ISO 639-1 code.
    licence, citation, url : str
        Licence of the recordings, the paper to cite, the official page.
    left_out : re.Pattern, optional
        Stems that belong to the release but not to this corpus, such as song.
    side_table : SideTable, optional
        A table in the release that adds gender or text.
    """

    name: str
    title: str
    pattern: re.Pattern[str]
    fields: Callable[[re.Match[str], Path], Fields | None]
    example: str
    counts: Mapping[str, int]
    speakers: int
    language: str
    licence: str
    citation: str
    url: str
    left_out: re.Pattern[str] | None = None
    side_table: SideTable | None = None

    @property
    def total(self) -> int:
        """Official number of recordings."""
        return sum(self.counts.values())

    def utterance(
        self, path: Path, details: Mapping[str, tuple[str | None, str | None]] | None = None
    ) -> Utterance | None:
        """Read an utterance off a path; the file itself is not opened.

        Parameters
        ----------
        path : Path
            A recording, with any extension.
        details : mapping, optional
            What `SideTable.read` gave.

        Returns
        -------
        Utterance or None
            None if the file is not named as in this corpus.

        Examples
        --------
        >>> CORPORA["emodb"].utterance(Path("wav/03a01Fa.wav")).emotion
        'happiness'
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
        """Sort the audio files of a folder, whatever its sub-folders.

        Parameters
        ----------
        folder : Path
            Where the recordings are. Hidden files and links to a folder already seen are ignored.

        Returns
        -------
        Found
            Each part sorted by file name.

        Raises
        ------
        CorpusError
            If the folder cannot be read, or no file in it is named as in this corpus.
        """
        paths = audio_files(folder)
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
            f"({' '.join(AUDIO_SUFFIXES)}), in any sub-folder; found {found}"
        )


def audio_files(folder: Path) -> list[Path]:
    """List the audio files in a folder and its sub-folders.

    Parameters
    ----------
    folder : Path
        Where to look. Hidden entries (``._x``, ``.git``) are passed over, and a folder reached
        twice through a link is read once.

    Returns
    -------
    list of Path
        Sorted by file name, then by path.

    Raises
    ------
    CorpusError
        If it is not a folder, or cannot be listed.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder: give the one that holds the recordings")
    found: list[Path] = []
    seen: set[Path] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        if here.resolve() in seen:
            continue
        seen.add(here.resolve())
        try:
            entries = sorted(path for path in here.iterdir() if not path.name.startswith("."))
        except OSError as error:
            raise CorpusError(f"cannot list {here}: {error.strerror}") from error
        waiting.extend(path for path in reversed(entries) if path.is_dir())
        found.extend(p for p in entries if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    return sorted(found, key=lambda path: (path.name, path.as_posix()))


_RAVDESS_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_RAVDESS_TEXTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}


def _ravdess(match: re.Match[str], _path: Path) -> Fields:
    return Fields(
        speaker=match["actor"],
        emotion=_RAVDESS_EMOTIONS[int(match["emotion"]) - 1],
        gender="male" if int(match["actor"]) % 2 else "female",
        intensity={"01": "normal", "02": "strong"}[match["intensity"]],
        text=_RAVDESS_TEXTS[match["text"]],
    )


# The letters are initials of the German words.
_EMODB_EMOTIONS = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness"}
_EMODB_EMOTIONS |= {"T": "sadness", "N": "neutral"}
_EMODB_TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def _emodb(match: re.Match[str], _path: Path) -> Fields:
    return Fields(
        speaker=match["speaker"],
        emotion=_EMODB_EMOTIONS[match["emotion"]],
        gender="male" if match["speaker"] in {"03", "10", "11", "12", "15"} else "female",
        text=_EMODB_TEXTS[match["text"]],
    )


_CREMAD_TEXTS = {
    "DFA": "Don't forget a jacket",
    "IEO": "It's eleven o'clock",
    "IOM": "I'm on my way to the meeting",
    "ITH": "I think I have a doctor's appointment",
    "ITS": "I think I've seen this before",
    "IWL": "I would like a new alarm clock",
    "IWW": "I wonder what this is about",
    "MTI": "Maybe tomorrow it will be cold",
    "TAI": "The airplane is almost full",
    "TIE": "That is exactly what happened",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}


def _cremad(match: re.Match[str], _path: Path) -> Fields:
    return Fields(
        speaker=match["actor"],
        emotion=match["emotion"],
        intensity={"LO": "low", "MD": "medium", "HI": "high"}.get(match["level"]),
        text=_CREMAD_TEXTS[match["text"]],
    )


def _tess(match: re.Match[str], _path: Path) -> Fields:
    return Fields(
        speaker=match["voice"][0] + "AF",  # one official file has "OA" for "OAF"
        emotion=match["emotion"].replace("_", " "),
        gender="female",
        text=f"Say the word {match['word'].lower()}",
    )


_SAVEE_EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral"}
_SAVEE_EMOTIONS |= {"sa": "sadness", "su": "surprise"}


def _savee(match: re.Match[str], path: Path) -> Fields | None:
    speaker = (match["speaker"] or path.parent.name).upper()
    if speaker not in {"DC", "JE", "JK", "KL"}:
        return None
    return Fields(speaker, _SAVEE_EMOTIONS[match["emotion"].lower()], gender="male")


def _nemo(match: re.Match[str], _path: Path) -> Fields:
    return Fields(match["speaker"], match["emotion"])


def _each(count: int, emotions: str, *, neutral: int) -> dict[str, int]:
    return {"neutral": neutral, **dict.fromkeys(emotions.split(), count)}


_SPECS = (
    CorpusSpec(
        name="ravdess",
        title="RAVDESS, speech",
        pattern=re.compile(
            r"03-01-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<text>0[12])-0[12]"
            r"-(?P<actor>0[1-9]|1\d|2[0-4])"
        ),
        fields=_ravdess,
        example="03-01-06-01-02-01-12.wav",
        counts=_each(192, "calm happiness sadness anger fear disgust surprise", neutral=96),
        speakers=24,
        language="en",
        licence="CC BY-NC-SA 4.0",
        citation="S. R. Livingstone, F. A. Russo, PLoS ONE 13(5): e0196391, 2018",
        url="https://zenodo.org/records/1188976",
        left_out=re.compile(r"0[12]-0[12](-\d\d){5}|03-02(-\d\d){5}"),  # videos and song
    ),
    CorpusSpec(
        name="emodb",
        title="EmoDB, Berlin Database of Emotional Speech",
        pattern=re.compile(
            r"(?P<speaker>03|08|09|1[0-6])(?P<text>a0[12457]|b0[1239]|b10)"
            r"(?P<emotion>[WLEAFTN])[a-z]"
        ),
        fields=_emodb,
        example="03a01Fa.wav",
        counts={"neutral": 79, "happiness": 71, "sadness": 62, "anger": 127}
        | {"fear": 69, "disgust": 46, "boredom": 81},
        speakers=10,
        language="de",
        licence="CC0-1.0 according to audeering/emodb; the original release states none",
        citation="F. Burkhardt et al., Interspeech 2005",
        url="http://emodb.bilderbar.info/",
    ),
    CorpusSpec(
        name="cremad",
        title="CREMA-D",
        pattern=re.compile(
            rf"(?P<actor>10(?:0[1-9]|[1-8]\d|9[01]))_(?P<text>{'|'.join(_CREMAD_TEXTS)})"
            r"_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<level>LO|MD|HI|XX?)"
        ),
        fields=_cremad,
        example="1001_DFA_ANG_XX.wav",
        counts=_each(1271, "happiness sadness anger fear disgust", neutral=1087),
        speakers=91,
        language="en",
        licence="ODbL 1.0",
        citation="H. Cao et al., IEEE Transactions on Affective Computing 5(4), 377-390, 2014",
        url="https://github.com/CheyneyComputerScience/CREMA-D",
        side_table=SideTable("VideoDemographics.csv", ",", "ActorID", "actor", gender="Sex"),
    ),
    CorpusSpec(
        name="tess",
        title="TESS, Toronto Emotional Speech Set",
        pattern=re.compile(
            r"(?P<voice>OAF?|YAF)_(?P<word>[a-z]+)"
            r"_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad|pleasant_surprised?)",
            re.IGNORECASE,
        ),
        fields=_tess,
        example="OAF_back_angry.wav",
        counts=_each(400, "happiness sadness anger fear disgust surprise", neutral=400),
        speakers=2,
        language="en",
        licence="CC BY-NC-ND 4.0",
        citation="M. K. Pichora-Fuller, K. Dupuis, doi:10.5683/SP2/E8H2MF, 2020",
        url="https://tspace.library.utoronto.ca/handle/1807/24487",
    ),
    CorpusSpec(
        name="savee",
        title="SAVEE, Surrey Audio-Visual Expressed Emotion",
        pattern=re.compile(
            r"(?:(?P<speaker>DC|JE|JK|KL)_)?(?P<emotion>sa|su|[adfhn])\d\d", re.IGNORECASE
        ),
        fields=_savee,
        example="DC_a01.wav",
        counts=_each(60, "happiness sadness anger fear disgust surprise", neutral=120),
        speakers=4,
        language="en",
        licence="research use only, on registration",
        citation="S. Haq, P. J. B. Jackson, in Machine Audition, IGI Global, 2010",
        url="http://kahlan.eps.surrey.ac.uk/savee/",
    ),
    CorpusSpec(
        name="nemo",
        title="nEMO, Dataset of Emotional Speech in Polish",
        pattern=re.compile(
            r"(?P<speaker>EB0|IC0|KD0|KS0|MK0|MP0|SM0|TP0|WR0)"
            r"_(?P<emotion>anger|fear|happiness|neutral|sadness|surprised)_\d{1,2}"
        ),
        fields=_nemo,
        example="EB0_anger_1.wav",
        counts={"neutral": 809, "happiness": 749, "sadness": 769, "anger": 749}
        | {"fear": 736, "surprise": 669},
        speakers=9,
        language="pl",
        licence="CC BY-NC-SA 4.0",
        citation="I. Christop, LREC-COLING 2024",
        url="https://github.com/amu-cai/nEMO",
        side_table=SideTable("data.tsv", "\t", "file_id", 0, gender="gender", text="raw_text"),
    ),
)

CORPORA: dict[str, CorpusSpec] = {spec.name: spec for spec in _SPECS}
"""Corpus name -> what is known of it."""
