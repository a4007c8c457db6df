"""The first half of the story: recipe -> corpora -> vectors, folds and an untrained classifier."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.corpora import CORPORA, Corpus
from serein.errors import CorpusError
from serein.evaluation import protocol as protocols
from serein.experiment.recipe import Protocol, Recipe
from serein.features.cache import Extractor, extract
from serein.features.encoder import SpeechEncoder, one_thread_each
from serein.models.calibration import TemperatureScaled
from serein.models.linear import MaskedLogisticRegression

Array = npt.NDArray[np.float32]
Tick = Callable[[int, int], None]
Progress = Callable[[str], AbstractContextManager[Tick]]


def no_progress(title: str) -> AbstractContextManager[Tick]:
    """Show nothing: the default for what is called from Python."""
    del title
    return nullcontext(lambda done, total: None)


@dataclass(frozen=True)
class Prepared:
    """A recipe with its data at hand.

    Attributes
    ----------
    recipe : Recipe
        What was asked for.
    corpus : Corpus
        All clips, emotions merged and left out as the recipe says.
    sources : tuple of Corpus
        The corpora by themselves, as read.
    encoder : SpeechEncoder
        The front.
    X : numpy.ndarray
        Shape (clips, features), float32.
    """

    recipe: Recipe
    corpus: Corpus
    sources: tuple[Corpus, ...]
    encoder: SpeechEncoder
    X: Array

    @property
    def emotions(self) -> list[str]:
        """The label of each clip."""
        return [clip.emotion for clip in self.corpus]

    @property
    def speakers(self) -> list[str]:
        """The speaker of each clip."""
        return [clip.speaker for clip in self.corpus]

    @property
    def origin(self) -> list[str]:
        """The corpus of each clip."""
        return [clip.corpus for clip in self.corpus]

    def per_sample(self) -> dict[str, npt.NDArray[Any]]:
        """Return what the classifier is told about each clip beside its label."""
        told: dict[str, npt.NDArray[Any]] = {"label_set": np.array(self.origin)}
        if self.recipe.classifier.balance:
            told["sample_weight"] = balanced_weights(self.origin, self.emotions)
        return told

    def vectors(self, extractor: Extractor, cache: Path | None, progress: Progress) -> Array:
        """Describe all clips with another extractor."""
        with progress("features") as tick:
            return extract(self.corpus.paths, extractor, cache=cache, progress=tick)


def prepare(
    recipe: Recipe,
    *,
    data: str | Path | None = None,
    weights: str | Path | None = None,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> Prepared:
    """Read the corpora and describe every clip.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    data, weights : path, optional
        In place of the recipe's folders.
    cache : path, optional
        Folder of the feature cache.
    progress : callable
        Makes a progress bar with a title.

    Returns
    -------
    Prepared
        Everything that evaluation and training start from.

    Raises
    ------
    CorpusError, EncoderError, AudioError
        If data, encoder or a recording cannot be used.
    """
    sources = read_corpora(recipe, data)
    corpus = combine(recipe, sources)
    encoder = SpeechEncoder(
        recipe.encoder.name,
        layers=recipe.encoder.layers,
        level=recipe.encoder.level,
        trim=recipe.encoder.trim,
        weights=weights or recipe.encoder.weights,
    )
    with progress("features") as tick, one_thread_each():
        X = extract(corpus.paths, encoder, cache=cache, progress=tick)
    return Prepared(recipe, corpus, sources, encoder, X)


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


def make_folds(protocol: Protocol, prepared: Prepared) -> tuple[list[protocols.Fold], str]:
    """Make a protocol's folds.

    Parameters
    ----------
    protocol : Protocol
        Section [protocol] of a recipe.
    prepared : Prepared
        The clips.

    Returns
    -------
    list of (train, test), str
        The folds, and the protocol in words.

    Raises
    ------
    ProtocolError
        If the speakers do not allow it.
    """
    speakers = prepared.speakers
    if protocol.split == "leave_one_speaker_out":
        return protocols.leave_one_speaker_out(speakers), "leave one speaker out"
    if protocol.split == "ravdess_actor_folds":
        return protocols.ravdess_actor_folds(speakers), "six RAVDESS actor folds, unseen speakers"
    strata = [f"{clip.corpus} {clip.emotion}" for clip in prepared.corpus]
    folds = protocols.speaker_k_fold(
        speakers, strata, folds=protocol.folds, random_state=protocol.seed
    )
    return folds, f"{protocol.folds} folds of unseen speakers"


def make_classifier(recipe: Recipe) -> TemperatureScaled:
    """Build the untrained classifier that a recipe describes."""
    return TemperatureScaled(
        MaskedLogisticRegression(C=recipe.classifier.C), folds=recipe.protocol.calibration_folds
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
