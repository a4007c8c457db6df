"""Which clips take part, and how they are weighed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.corpora import CORPORA, Corpus
from serein.errors import CorpusError
from serein.experiment.recipe import Recipe
from serein.experiment.splits import common_emotions


def read_corpora(
    recipe: Recipe, data: str | Path | None = None, *, names: tuple[str, ...] | None = None
) -> tuple[Corpus, ...]:
    """Read each corpus that a recipe names.

    Parameters
    ----------
    recipe : Recipe
        Names them.
    data : path, optional
        Folder that holds them, in place of the recipe's.
    names : tuple of str, optional
        Others to read, in place of those to learn from.

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
        for name in (recipe.data.corpora if names is None else names)
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
        If none are left, or corpora that are judged across have fewer than two emotions in common.
    """
    mapping: dict[str, str | None] = {**recipe.data.merge}
    mapping.update(dict.fromkeys(recipe.data.leave_out))
    corpus = sources[0].merge(*sources[1:], name=recipe.name).map_emotions(mapping)
    if not len(corpus):
        raise CorpusError(f"the recipe {recipe.name!r} leaves no clip: see leave_out under [data]")
    return common_emotions(recipe.protocol, corpus)


def left_out(recipe: Recipe, sources: tuple[Corpus, ...], corpus: Corpus) -> list[str]:
    """Say which clips of the corpora do not take part, and why.

    Parameters
    ----------
    recipe : Recipe
        Its sections [data] and [protocol].
    sources : tuple of Corpus
        The corpora as read.
    corpus : Corpus
        The clips that take part.

    Returns
    -------
    list of str
        A sentence for each emotion of a corpus.
    """
    used = set(corpus.paths)
    lost = Counter((clip.corpus, clip.emotion) for part in sources for clip in part)
    lost -= Counter(
        (clip.corpus, clip.emotion) for part in sources for clip in part if clip.path in used
    )
    sentences = []
    for (name, emotion), count in sorted(lost.items()):
        named = emotion in recipe.data.leave_out
        why = "left out by the recipe" if named else "the other side of the split has none"
        sentences.append(f"{count} clips of {emotion} in {name}: {why}")
    return sentences


def describe_corpora(sources: tuple[Corpus, ...], used: Corpus) -> list[dict[str, Any]]:
    """Say of each corpus what takes part.

    Parameters
    ----------
    sources : tuple of Corpus
        The corpora as read.
    used : Corpus
        The clips that take part.

    Returns
    -------
    list of dict
        ``corpus``, ``licence``, ``clips``, ``emotions``, ``languages`` and ``speakers`` of each.
    """
    described = []
    for source in sources:
        names = {clip.corpus for clip in source}
        clips = [clip for clip in used if clip.corpus in names]
        described.append(
            {
                "corpus": source.name,
                "licence": source.licence,
                "clips": len(clips),
                "emotions": dict(Counter(clip.emotion for clip in clips).most_common()),
                "languages": sorted({clip.language for clip in clips if clip.language}),
                "speakers": sorted({clip.speaker for clip in clips}),
            }
        )
    return described


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
