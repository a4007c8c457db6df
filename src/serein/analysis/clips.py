"""What a trial is about: a folder as a corpus, and which of its clips take part."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from serein.corpora import CORPORA, Corpus, Utterance
from serein.errors import CorpusError, ProtocolError, unknown_name
from serein.recordings import find_recordings

NO_SPEECH = "no speech"
COLUMNS = ("file", "emotion", "speaker")
SHOWN = 3  # speakers named in a note
STRAY = 0.05  # share of a folder's files that may look like another corpus by accident


def find_corpus(folder: str | Path, name: str | None = None) -> Corpus:
    """Make a corpus of a folder, whether serein knows it or a table describes it."""
    folder = Path(folder)
    if folder.is_file():
        return Corpus.from_csv(folder)
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder; give the one that holds the recordings")
    if name in CORPORA:
        return Corpus.load(str(name), folder)
    if name is not None and not name.lower().endswith(".csv"):
        raise CorpusError(f"{unknown_name('corpus', name, CORPORA)}; or name a CSV table")
    if name is not None:
        inside = (folder / name).is_file()
        return Corpus.from_csv(folder / name if inside else name, audio_root=folder)
    found: list[str] = [path.name for path in sorted(folder.glob("*.csv")) if _is_table(path)]
    found = found or _kinds(folder)
    if len(found) == 1:
        return find_corpus(folder, found[0])
    holds = f"could be any of {', '.join(found)}" if found else "is not named like a known corpus"
    raise CorpusError(
        f"{folder} {holds}; say which with --corpus: {', '.join(CORPORA)}, or a CSV table with the "
        f"columns {', '.join(COLUMNS)}"
    )


def draw_clips(clips: Sequence[Utterance], count: int, seed: int) -> tuple[Utterance, ...]:
    """Draw clips so that speakers, and emotions, come equally often as far as there are any."""
    if not 0 < count < len(clips):
        return tuple(clips)
    piles: dict[str, dict[str, list[int]]] = {}
    for row in np.random.default_rng(seed).permutation(len(clips)).tolist():
        clip = clips[row]
        piles.setdefault(clip.speaker, {}).setdefault(clip.emotion, []).append(row)
    taken: list[int] = []
    times: Counter[str] = Counter()
    everyone = {f"speaker {clip.speaker}" for clip in clips} | {clip.emotion for clip in clips}
    while len(taken) < count or not everyone <= times.keys():
        speaker = min(piles, key=lambda name: times[f"speaker {name}"])
        pile = piles[speaker]
        emotion = min(pile, key=lambda name: times[name])
        taken.append(pile[emotion].pop())
        times.update([f"speaker {speaker}", emotion])
        if not pile[emotion]:
            del pile[emotion]
        if not pile:
            del piles[speaker]
    return tuple(clips[row] for row in sorted(taken))


def known_emotions(
    corpus: Corpus, labels: Sequence[str], name: str
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """Leave out clips that a model has no word for, and say so."""
    counts = corpus.counts()
    notes = []
    strange = [
        f"{count} of {emotion}" for emotion, count in counts.items() if emotion not in labels
    ]
    if len(strange) == len(counts):
        raise CorpusError(
            f"{corpus.name} has clips of {', '.join(counts) or 'nothing'}; {name} answers "
            f"{', '.join(labels)}: map an emotion with --merge, for instance calm=neutral"
        )
    if strange:
        notes.append(f"left out, as {name} has no word for it: {', '.join(strange)} (see --merge)")
    never = [label for label in labels if label not in counts and label != NO_SPEECH]
    if never:
        notes.append(f"{name} may also answer {', '.join(never)}, of which there is no clip")
    return corpus.filter(predicate=lambda clip: clip.emotion in labels).utterances, tuple(notes)


def unheard(
    clips: Sequence[Utterance], heard: Collection[str], name: str
) -> tuple[tuple[Utterance, ...], str]:
    """Leave out clips of speakers that a model heard in training, and say so."""
    shown = ", ".join(sorted(heard)[:SHOWN]) + (" …" if len(heard) > SHOWN else "")
    known = f"{len(heard)} speakers ({shown})"
    left = tuple(clip for clip in clips if clip.speaker not in heard)
    if not left:
        raise ProtocolError(
            f"{name} heard every speaker of these recordings in training, {known}, so they say "
            "nothing of new ones: give recordings of other people; or judge each fold's model on "
            "its unseen speakers with serein evaluate RECIPE --stress; or take --speaker-overlap "
            "allow, which stamps the title"
        )
    return left, f"left out, as {name} heard them in training: {known}"


def _is_table(path: Path) -> bool:
    """Say whether a CSV file's header has what a corpus needs."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = {cell.strip(' "').lower() for cell in re.split("[,;\t]", file.readline().strip())}
    return set(COLUMNS) <= header


def _kinds(folder: Path) -> list[str]:
    """Name the corpora whose file names are found, but for stray ones."""
    paths = find_recordings(folder)
    counts = {
        name: sum(spec.utterance(path) is not None for path in paths)
        for name, spec in CORPORA.items()
    }
    return [name for name, count in counts.items() if count > STRAY * len(paths)]
