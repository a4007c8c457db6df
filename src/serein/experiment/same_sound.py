"""Duplicates in a corpus: one is kept of a speaker and emotion, others are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serein.audio.read import read_audio
from serein.corpora import Corpus, Utterance
from serein.corpora.validation import duplicates, same_content
from serein.errors import BadFilesError, CorpusError

Groups = Iterable[Sequence[Utterance]]


def without_duplicates(
    corpus: Corpus, groups: Groups | None = None, *, overlap: str = "refuse"
) -> Corpus:
    """Keep the first of each group of duplicates; of files of the same bytes, if none are given.

    Raises: BadFilesError that names all duplicates of several speakers or emotions, unless
    `overlap` allows leaks.
    """
    groups = list(duplicates(corpus) if groups is None else groups)
    alike = [rows for rows in groups if len({(row.speaker, row.emotion) for row in rows}) == 1]
    if overlap == "refuse" and len(alike) < len(groups):
        raise BadFilesError(_conflicts(groups), len(corpus))
    repeated = {id(row) for rows in alike for row in rows[1:]}
    return corpus.filter(predicate=lambda row: id(row) not in repeated)


def duplicates_words(count: int) -> str:
    """Say how many were left out."""
    plural = "s" if count > 1 else ""
    return f"{count} duplicate{plural} of other recordings of the same speaker and emotion"


def same_sound(
    corpus: Sequence[Utterance], features: Sequence[npt.NDArray[np.float32]]
) -> list[tuple[Utterance, ...]]:
    """Group what sounds the same, in whatever kind of file; only equal features are decoded."""
    alike = same_content([_digest(array) for array in features])
    rows = [corpus[row] for group in alike for row in group]
    groups = same_content([_digest(read_audio(row.path)) for row in rows])
    return [tuple(rows[row] for row in group) for group in groups]


def _digest(array: npt.NDArray[np.float32]) -> bytes:
    return hashlib.sha256(array.tobytes()).digest()


def refuse_shared(groups: Groups, one: Iterable[Utterance], message: str) -> None:
    """Raise CorpusError if duplicates are both among some utterances and among others."""
    known = {id(row) for row in one}
    for rows in groups:
        if 0 < sum(id(row) in known for row in rows) < len(rows):
            raise CorpusError(message.format(" and ".join(str(row.path) for row in rows)))


def _conflicts(groups: Groups) -> dict[Path, str]:
    """Say of each duplicate whose speaker or emotion is another's what it duplicates."""
    found = {}
    for rows in groups:
        several = {
            "speaker": len({row.speaker for row in rows}) > 1,
            "emotion": len({row.emotion for row in rows}) > 1,
        }
        what = [noun for noun, conflict in several.items() if conflict]
        for row, other in zip(rows, (*rows[1:], rows[0]), strict=True):
            if what:
                found[row.path] = (
                    f"{row.path}: is the same sound as {other.path}, under more than one "
                    f"{' and '.join(what)}: keep one"
                )
    return found
