"""The first half of the story: recipe -> corpora -> features, folds and an untrained classifier."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.corpora import Corpus
from serein.errors import CorpusError, renamed
from serein.evaluation.cross_validation import Augmented
from serein.evaluation.protocol import Fold
from serein.evaluation.search.tuned import Tuned
from serein.experiment.checks import front_end
from serein.experiment.data import (
    AugmentingExtractor,
    balanced_weights,
    combine,
    left_out,
    read_corpora,
    read_vectors,
)
from serein.experiment.recipe import Recipe, uncalibrated, with_values
from serein.experiment.splits import make_folds, refuse_same_recordings
from serein.features.encoder import SpeechEncoder, one_thread_each
from serein.features.feature_cache import Extractor, extract
from serein.features.frontend import FrontEnd
from serein.models.calibration import TemperatureScaled
from serein.models.catalogue import MASKED, make_model, search_space
from serein.models.padding import pad
from serein.training.balance import Balanced

Array = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
ProgressBar = Callable[[str], AbstractContextManager[Progress]]
Front = SpeechEncoder | FrontEnd


def no_progress_bar(title: str) -> AbstractContextManager[Progress]:
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
    folds : list of (train, test)
        Of unseen speakers.
    protocol : str
        How the folds were made, in words.
    front : SpeechEncoder, FrontEnd or None
        What describes a signal; None where the vectors were read from a table.
    X : numpy.ndarray
        Shape (clips, columns), float32: vectors, or series as `serein.models.padding.pad` lays
        them out.
    augmented : Augmented or None
        Augmented data, for training folds only.
    public : numpy.ndarray or None
        Shape (recordings, columns): of other recordings, for the scaling.
    """

    recipe: Recipe
    corpus: Corpus
    sources: tuple[Corpus, ...]
    folds: list[Fold]
    protocol: str
    front: Front | None
    X: Array
    augmented: Augmented | None = None
    public: Array | None = None

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

    @property
    def about(self) -> dict[str, npt.NDArray[np.str_]]:
        """What else is known of each clip, a column a name."""
        columns = {
            "file": [clip.path.name for clip in self.corpus],
            "corpus": self.origin,
            "gender": [clip.gender or "" for clip in self.corpus],
            "language": [clip.language or "" for clip in self.corpus],
            "text": [clip.text or "" for clip in self.corpus],
        }
        return {name: np.array(column) for name, column in columns.items()}

    @property
    def left_out(self) -> list[str]:
        """A sentence for each emotion of a corpus that does not take part."""
        return left_out(self.recipe, self.sources, self.corpus)

    @property
    def width(self) -> int | None:
        """Features a frame, where `X` holds series."""
        return self.front.width if isinstance(self.front, FrontEnd) else None

    def per_sample(self) -> dict[str, npt.NDArray[Any]]:
        """Return what the classifier is told about each clip beside label and speaker."""
        told: dict[str, npt.NDArray[Any]] = {}
        if self.recipe.model.name in MASKED and len(set(self.origin)) > 1:
            told["label_set"] = np.array(self.origin)
        if self.recipe.balance.method == "corpora":
            told["sample_weight"] = balanced_weights(self.origin, self.emotions)
        return told


@renamed(progress="progress_bar")
def prepare(
    recipe: Recipe,
    *,
    data: str | Path | None = None,
    weights: str | Path | None = None,
    cache: Path | None = None,
    download: bool = False,
    progress_bar: ProgressBar = no_progress_bar,
) -> Prepared:
    """Read the corpora, deal the folds and describe every clip.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    data, weights : path, optional
        In place of the recipe's folders.
    cache : path, optional
        Folder of the feature cache.
    download : bool
        Whether an encoder that is not on this machine may be fetched from the model hub.
    progress_bar : callable
        Makes a progress bar with a title: a context manager that gives callable(done, total).

    Returns
    -------
    Prepared
        Everything that evaluation and training start from.

    Raises
    ------
    CorpusError, ProtocolError
        If data cannot be used as the recipe says; before any time is spent on features.
    EncoderError, AudioError
        If the encoder or a recording cannot be used.
    """
    sources = read_corpora(recipe, data)
    others = read_corpora(recipe, data, names=recipe.data.public)
    corpus = combine(recipe, sources)
    folds, words = make_folds(recipe.protocol, corpus)
    if recipe.protocol.speaker_overlap == "refuse":
        refuse_same_recordings(corpus, folds)
    if recipe.features and recipe.features.table:
        vectors = read_vectors(recipe.features.table, corpus)
        return Prepared(recipe, corpus, sources, folds, words, None, vectors)
    front = _front(recipe, weights, download=download)
    extractors: list[Extractor] = [front]
    changes = recipe.augmentation
    extractors += [
        AugmentingExtractor(front, changes, number, recipe.protocol.seed)
        for number in range(changes.per_clip)
    ]
    arrays = [describe(corpus, extractor, cache, progress_bar) for extractor in extractors]
    X = stack([array for each in arrays for array in each], front)
    clips = len(corpus)
    augmented = None
    if changes.per_clip:
        augmented = Augmented(X[clips:], np.tile(np.arange(clips), changes.per_clip))
    known = [array for other in others for array in describe(other, front, cache, progress_bar)]
    public = stack(known, front) if known else None
    return Prepared(recipe, corpus, sources, folds, words, front, X[:clips], augmented, public)


def describe(
    corpus: Corpus, extractor: Extractor, cache: Path | None, progress_bar: ProgressBar
) -> list[Array]:
    """Describe all clips of a corpus."""
    inner = extractor.extractor if isinstance(extractor, AugmentingExtractor) else extractor
    in_python = isinstance(inner, FrontEnd)
    with progress_bar("features") as progress, one_thread_each():
        return extract(corpus.paths, extractor, cache=cache, processes=in_python, progress=progress)


def stack(arrays: list[Array], front: Front) -> Array:
    """Lay vectors, or series, out as one matrix."""
    series = isinstance(front, FrontEnd) and front.width is not None
    return pad(arrays) if series else np.stack(arrays)


def make_classifier(prepared: Prepared, *, checkpoint: Path | None = None) -> Any:
    """Build the untrained classifier that a recipe describes."""
    if prepared.recipe.search.nested:
        return _searching(prepared, checkpoint)
    recipe = prepared.recipe
    classifier = make_model(
        recipe.model.name,
        recipe.model.settings,
        training=recipe.training,
        width=prepared.width,
        random_state=recipe.protocol.seed,
        checkpoint=checkpoint,
        scaling=prepared.public,
    )
    if recipe.balance.method not in {"none", "corpora"}:
        classifier = Balanced(classifier, recipe.balance.method, random_state=recipe.protocol.seed)
    folds = recipe.protocol.calibration_folds
    return TemperatureScaled(classifier, folds=folds) if folds else classifier


def _searching(prepared: Prepared, checkpoint: Path | None) -> Tuned:
    """Build the classifier that looks for its own settings, as section [search] says."""
    recipe = replace(prepared.recipe, search=replace(prepared.recipe.search, nested=False))
    settings = recipe.search

    def final(values: dict[str, Any]) -> Any:
        found = replace(prepared, recipe=with_values(recipe, values))
        return make_classifier(found, checkpoint=checkpoint)

    def candidate(values: dict[str, Any]) -> Any:
        tried = replace(prepared, recipe=uncalibrated(with_values(recipe, values)))
        return make_classifier(tried)

    return Tuned(
        candidate({}),
        search_space(recipe.model.name, settings.space),
        method=settings.method,
        trials=settings.trials,
        folds=settings.folds,
        random_state=recipe.protocol.seed,
        candidate=candidate,
        final=final,
    )


def _front(recipe: Recipe, weights: str | Path | None, *, download: bool) -> Front:
    if recipe.features:
        return front_end(recipe.features)
    if recipe.encoder is None:
        raise CorpusError(f"the recipe {recipe.name!r} has neither [encoder] nor [features]")
    return SpeechEncoder(
        recipe.encoder.name,
        layers=recipe.encoder.layers,
        level=recipe.encoder.level,
        trim=recipe.encoder.trim,
        weights=weights or recipe.encoder.weights,
        pool_after=recipe.encoder.pool_after,
        download=download,
    )
