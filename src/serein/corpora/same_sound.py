"""Duplicates in a corpus: one is kept of a speaker and emotion, others are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from serein.corpora.corpus import Corpus, Utterance
from serein.corpora.validation import duplicates, same_content
from serein.engine import usable_cores
from serein.errors import AudioError, BadFilesError, CorpusError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

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


def duplicates_words(count: int, same: str = "speaker and emotion") -> str:
    """Say how many were left out."""
    plural = "s" if count > 1 else ""
    return f"{count} duplicate{plural} of other recordings of the same {same}"


def same_sound(
    utterances: Iterable[Utterance],
    decode: Callable[[Path], Array],
    features: Sequence[Array] | None = None,
) -> list[tuple[Utterance, ...]]:
    """Group what sounds the same, in whatever kind of file; of features, only equal are decoded.

    Raises: BadFilesError that names all recordings that cannot be decoded.
    """
    rows = list(utterances)
    if features is not None:
        alike = same_content([_digest(array) for array in features])
        rows = [rows[row] for group in alike for row in group]
    groups = same_content(_digests([row.path for row in rows], decode))
    return [tuple(rows[row] for row in group) for group in groups]


def _digests(paths: Sequence[Path], decode: Callable[[Path], Array]) -> list[bytes]:
    """Hash the samples of recordings."""

    def found(path: Path) -> bytes | str:
        try:
            return _digest(decode(path))
        except AudioError as error:
            return str(error)

    with ThreadPoolExecutor(usable_cores()) as pool:
        results = list(pool.map(found, paths))
    bad = {path: why for path, why in zip(paths, results, strict=True) if isinstance(why, str)}
    if bad:
        raise BadFilesError(bad, len(paths))
    return [digest for digest in results if isinstance(digest, bytes)]


def _digest(array: Array) -> bytes:
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
