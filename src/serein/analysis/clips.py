"""The clips of a robustness test: a folder as a corpus, and which of its clips are drawn."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from pathlib import Path

import numpy as np

from serein.audio.read import read_audio
from serein.corpora import CORPORA, Corpus, Utterance
from serein.corpora.corpus import is_table, place_of, read_corpus
from serein.corpora.same_sound import duplicates_words, same_sound, without_duplicates
from serein.errors import BadFilesError, CorpusError, ProtocolError, counted, unknown_name
from serein.recordings import find_recordings

NO_SPEECH = "no speech"
COLUMNS = ("file", "emotion", "speaker")
MAX_HEADER = 10_000  # characters
SHOWN = 3  # speakers named in a note
MIN_SHARE = 0.05  # of a folder's files; fewer look like a corpus by accident


def find_corpus(folder: str | Path, name: str | None = None, bad: Container[Path] = ()) -> Corpus:
    """Read a folder as a corpus, one that serein knows or that a table describes.

    `bad`: recordings of which a table may name some that are not there.
    """
    folder = Path(folder)
    if folder.is_file():
        return read_corpus(folder, bad=bad)
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder; give the one that holds the recordings")
    if name in CORPORA:
        return Corpus.load(str(name), folder)
    if name is not None and not is_table(name):
        raise CorpusError(f"{unknown_name('corpus', name, CORPORA)}; or name a CSV table")
    if name is not None:
        return read_corpus(place_of(name, folder), audio_root=folder, bad=bad)
    found: list[str] = [path.name for path in sorted(folder.iterdir()) if _is_table(path)]
    found = found or _known_corpora(folder)
    if len(found) == 1:
        return find_corpus(folder, found[0], bad)
    problem = f"could be any of {', '.join(found)}" if found else "is not named like a known corpus"
    raise CorpusError(
        f"{folder} {problem}; say which with --corpus: {', '.join(CORPORA)}, or a CSV table with "
        f"the columns {', '.join(COLUMNS)}"
    )


def draw_clips(clips: Sequence[Utterance], count: int, seed: int) -> tuple[Utterance, ...]:
    """Draw clips so that speakers, and emotions, come as equally often as there are clips."""
    if not 0 < count < len(clips):
        return tuple(clips)
    left: dict[str, dict[str, list[int]]] = {}  # rows by speaker and emotion
    for row in np.random.default_rng(seed).permutation(len(clips)).tolist():
        clip = clips[row]
        left.setdefault(clip.speaker, {}).setdefault(clip.emotion, []).append(row)
    drawn: list[int] = []
    times: Counter[str] = Counter()
    wanted = {f"speaker {clip.speaker}" for clip in clips} | {clip.emotion for clip in clips}
    while len(drawn) < count or not wanted <= times.keys():
        speaker = min(left, key=lambda name: times[f"speaker {name}"])
        by_emotion = left[speaker]
        emotion = min(by_emotion, key=lambda name: times[name])
        drawn.append(by_emotion[emotion].pop())
        times.update([f"speaker {speaker}", emotion])
        if not by_emotion[emotion]:
            del by_emotion[emotion]
        if not by_emotion:
            del left[speaker]
    return tuple(clips[row] for row in sorted(drawn))


def known_emotions(
    corpus: Corpus, labels: Sequence[str], name: str
) -> tuple[Corpus, tuple[str, ...]]:
    """Leave out clips of emotions that a model has no label for, and say so."""
    counts = corpus.counts()
    notes = []
    unknown = [
        f"{count} of {emotion}" for emotion, count in counts.items() if emotion not in labels
    ]
    if len(unknown) == len(counts):
        raise CorpusError(
            f"{corpus.name} has clips of {', '.join(counts) or 'nothing'}; {name} predicts "
            f"{', '.join(labels)}: map an emotion with --merge, for instance calm=neutral"
        )
    if unknown:
        notes.append(f"left out, as {name} has no such label: {', '.join(unknown)} (see --merge)")
    absent = [label for label in labels if label not in counts and label != NO_SPEECH]
    if absent:
        notes.append(f"{name} may also predict {', '.join(absent)}, of which there is no clip")
    return corpus.filter(predicate=lambda clip: clip.emotion in labels), tuple(notes)


def usable(
    corpus: Corpus, *, overlap: str, skip_bad: bool
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """Leave out duplicates and, with `skip_bad`, clips that cannot be used; say so."""
    bad: dict[Path, str] = {}
    while True:
        good = corpus.filter(predicate=lambda clip: clip.path not in bad)
        try:
            kept = without_duplicates(good, same_sound(good, read_audio), overlap=overlap)
        except BadFilesError as error:
            if not skip_bad or len(bad) + len(error.files) == len(corpus):
                raise
            bad.update(error.files)
        else:
            break
    notes = unusable_words(bad)
    left_out = len(good) - len(kept)
    return kept.utterances, (*notes, *[f"left out: {duplicates_words(left_out)}"] * bool(left_out))


def unusable_words(bad: Mapping[Path, str]) -> list[str]:
    """Say which recordings were left out, as they cannot be used, and why."""
    return [f"left out, as it cannot be used: {why}" for why in bad.values()]


def unseen(
    clips: Sequence[Utterance], trained_on: Collection[str], name: str
) -> tuple[tuple[Utterance, ...], str]:
    """Leave out clips of speakers that a model was trained on, and say so."""
    shown = ", ".join(sorted(trained_on)[:SHOWN]) + (" …" if len(trained_on) > SHOWN else "")
    known = f"{counted(len(trained_on), 'speaker')} ({shown})"
    found = tuple(clip for clip in clips if clip.speaker not in trained_on)
    if not found:
        raise ProtocolError(
            f"{name} was trained on every speaker of these recordings, {known}, so they say "
            "nothing of unseen ones: give recordings of other people; or test each fold's model on "
            "its unseen speakers with serein evaluate RECIPE --stress; or take --speaker-overlap "
            "allow, which stamps the title"
        )
    return found, f"left out, as {name} was trained on them: {known}"


def named_apart(clips: Sequence[Utterance], trained_on: Collection[str]) -> bool:
    """Whether some are of a table that names speakers in its own way, not as the training data."""
    corpora = {clip.corpus for clip in clips} - CORPORA.keys()
    return any(not any(name.startswith(f"{one}-") for name in trained_on) for one in corpora)


def perhaps_known(clips: Sequence[Utterance], trained_on: Collection[str], name: str) -> list[str]:
    """Say which recordings of a table are named like those that a model was trained on."""
    notes = []
    for corpus, spec in CORPORA.items():
        rows = [clip for clip in clips if clip.corpus not in CORPORA]
        found = [spec.utterance(clip.path) for clip in rows]
        count = sum(one is not None and one.speaker in trained_on for one in found)
        if count > MIN_SHARE * len(rows):
            notes.append(
                f"{count} of {counted(len(rows), 'file')} named like recordings of {corpus} on "
                f"which {name} was trained: see --corpus {corpus}"
            )
    return notes


def _is_table(path: Path) -> bool:
    """Whether a file is a table with the columns of a corpus."""
    if not is_table(path.name) or not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = (file.readline(MAX_HEADER), file.readline(MAX_HEADER))
    header = lines[lines[0].startswith("sep=")]
    return set(COLUMNS) <= {cell.strip(' "').lower() for cell in re.split("[,;\t]", header.strip())}


def _known_corpora(folder: Path) -> list[str]:
    """Name the corpora whose file names are found, but for a few by accident."""
    paths = find_recordings(folder)
    counts = {
        name: sum(spec.utterance(path) is not None for path in paths)
        for name, spec in CORPORA.items()
    }
    return [name for name, count in counts.items() if count > MIN_SHARE * len(paths)]
