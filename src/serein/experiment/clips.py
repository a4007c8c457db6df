"""Which clips take part, how they are weighed, and how they are dealt into folds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serein.corpora import CORPORA, Corpus
from serein.errors import CorpusError
from serein.evaluation import protocol as protocols
from serein.experiment.recipe import Protocol, Recipe


def read_corpora(recipe: Recipe, data: str | Path | None = None) -> tuple[Corpus, ...]:
    """Read each corpus that a recipe names.

    Parameters
    ----------
    recipe : Recipe
        Names them.
    data : path, optional
        Folder that holds them, in place of the recipe's.

    Returns
    -------
    tuple of Corpus
        In the recipe's order.

    Raises
    ------
    CorpusError
        If no folder is known, or a corpus is not there.
    """
    folder = data or recipe.data.folder
    if folder is None:
        raise CorpusError(
            f"the recipe {recipe.name!r} does not say where its recordings are: "
            "give --data DIR, or folder under [data]"
        )
    if not Path(folder).is_dir():
        raise CorpusError(f"{folder} is not a folder; give the one with the corpora: --data DIR")
    return tuple(
        Corpus.load(name, folder) if name in CORPORA else Corpus.from_csv(Path(folder) / name)
        for name in recipe.data.corpora
    )


def combine(recipe: Recipe, sources: tuple[Corpus, ...]) -> Corpus:
    """Merge corpora into one, with emotions merged and left out as the recipe says.

    Parameters
    ----------
    recipe : Recipe
        Its section [data].
    sources : tuple of Corpus
        The corpora.

    Returns
    -------
    Corpus
        All clips that take part.

    Raises
    ------
    CorpusError
        If none are left.
    """
    mapping: dict[str, str | None] = {**recipe.data.merge}
    mapping.update(dict.fromkeys(recipe.data.leave_out))
    corpus = sources[0].merge(*sources[1:], name=recipe.name).map_emotions(mapping)
    if not len(corpus):
        raise CorpusError(f"the recipe {recipe.name!r} leaves no clip: see leave_out under [data]")
    return corpus


def make_folds(protocol: Protocol, corpus: Corpus) -> tuple[list[protocols.Fold], str]:
    """Make a protocol's folds, and refuse what could not be learnt or judged.

    Parameters
    ----------
    protocol : Protocol
        Section [protocol] of a recipe.
    corpus : Corpus
        The clips.

    Returns
    -------
    list of (train, test), str
        The folds, and the protocol in words.

    Raises
    ------
    CorpusError
        If there is one emotion only, or a single clip of one.
    ProtocolError
        If the speakers do not allow it.
    """
    _refuse_too_little(corpus)
    speakers = [clip.speaker for clip in corpus]
    if protocol.split == "leave_one_speaker_out":
        folds, words = protocols.leave_one_speaker_out(speakers), "leave one speaker out"
    elif protocol.split == "ravdess_actor_folds":
        folds = protocols.ravdess_actor_folds(speakers)
        words = "six RAVDESS actor folds, unseen speakers"
    else:
        strata = [f"{clip.corpus} {clip.emotion}" for clip in corpus]
        folds = protocols.speaker_k_fold(
            speakers, strata, folds=protocol.folds, random_state=protocol.seed
        )
        words = f"{protocol.folds} folds of unseen speakers"
    labels, truth = np.unique([clip.emotion for clip in corpus], return_inverse=True)
    protocols.refuse_unfair(folds, np.array(speakers), truth, labels)
    return folds, words


def _refuse_too_little(corpus: Corpus) -> None:
    counts = Counter(clip.emotion for clip in corpus)
    if len(counts) < 2:
        raise CorpusError(
            f"{corpus.name} has clips of {', '.join(counts)} only; a recogniser needs at least "
            "2 emotions"
        )
    single = sorted(emotion for emotion, count in counts.items() if count == 1)
    if single:
        raise CorpusError(
            f"{corpus.name} has a single clip of {', '.join(single)}; it cannot be learnt and "
            "judged: record more, or name it in leave_out under [data]"
        )


def balanced_weights(origin: list[str], emotions: list[str]) -> npt.NDArray[np.float64]:
    """Weigh clips so that every corpus, and every emotion within it, counts the same.

    Parameters
    ----------
    origin, emotions : list of str
        Corpus and emotion of each clip.

    Returns
    -------
    numpy.ndarray
        Shape (clips,), mean 1.

    Examples
    --------
    >>> balanced_weights(["a", "a", "a", "b"], ["joy", "joy", "fear", "joy"]).round(2).tolist()
    [0.5, 0.5, 1.0, 2.0]
    """
    pairs, which, counts = np.unique(
        np.array([origin, emotions]), axis=1, return_inverse=True, return_counts=True
    )
    cells = np.array([np.sum(pairs[0] == corpus) for corpus in pairs[0]])
    weight = 1.0 / (counts * cells)[which.ravel()]
    result: npt.NDArray[np.float64] = weight / weight.mean()
    return result
