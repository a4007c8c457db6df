"""From a recipe to its corpora, features and folds, and to an untrained classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from serein.audio.read import read_audio
from serein.corpora import Corpus
from serein.corpora.same_sound import (
    duplicates_words,
    refuse_shared,
    same_sound,
    without_duplicates,
)
from serein.engine import torch_threads
from serein.errors import (
    BadFilesError,
    CorpusError,
    RecipeError,
    SereinError,
    SettingError,
    counted,
    renamed,
)
from serein.evaluation.cross_validation import Augmented
from serein.evaluation.protocol import Fold
from serein.evaluation.search.tuned import Tuned
from serein.experiment.checks import front_end
from serein.experiment.data import (
    SHARED,
    AugmentingExtractor,
    babble_parts,
    balanced_weights,
    combine,
    corpus_weights,
    describe_corpora,
    read_bursts,
    read_corpora,
    read_sounds,
    read_unlabelled,
    read_vectors,
)
from serein.experiment.fusion import (
    augmented_beside,
    beside,
    labelled,
    make_fusion,
    other_modalities,
    space_of,
    widths_of,
)
from serein.experiment.inner_folds import check_inner_folds, check_search_folds
from serein.experiment.recipe import Recipe, uncalibrated, with_values
from serein.experiment.splits import make_folds
from serein.features.encoder import SpeechEncoder
from serein.features.feature_cache import Extractor, extract
from serein.features.frontend import FrontEnd
from serein.models.calibration import TemperatureScaled
from serein.models.catalogue import MASKED, make_model
from serein.models.domain_adaptation import DomainAdapted
from serein.models.fusion import Unlabelled
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
    """A recipe with its data.

    Attributes
    ----------
    recipe : Recipe
        The recipe.
    corpus : Corpus
        All clips, with emotions merged and left out as the recipe says.
    sources : tuple of Corpus
        The corpora as read.
    folds : list of (train, test)
        Index arrays.
    protocol : str
        How the folds were made, in words.
    front : SpeechEncoder, FrontEnd or None
        The feature extractor; None where features were read from a table.
    X : numpy.ndarray
        Shape (clips, columns), float32: vectors, or series as `serein.models.padding.pad` lays
        them out.
    augmented : Augmented or None
        Augmented data, for training folds only.
    public : numpy.ndarray or None
        Shape (recordings, columns): features of public recordings, for feature scaling.
    widths : mapping of str to int
        With fusion: the columns of `X` that each modality has, one after the other; else empty.
    unlabelled : Unlabelled or None
        Other recordings, for semi-supervised learning.
    unlabelled_sources : tuple of Corpus
        The corpora they are from.
    bursts : Corpus or None
        Vocal bursts, with emotions merged and left out as the recipe says.
    skipped : mapping of Path to str
        Recordings that cannot be used, and why.
    duplicates : frozenset of Path
        Recordings left out as duplicates of others of the same speaker and emotion.
    burst_duplicates : frozenset of Path
        The same of vocal bursts.
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
    widths: Mapping[str, int] = field(default_factory=dict)
    unlabelled: Unlabelled | None = None
    unlabelled_sources: tuple[Corpus, ...] = ()
    bursts: Corpus | None = None
    skipped: Mapping[Path, str] = field(default_factory=dict)
    duplicates: frozenset[Path] = frozenset()
    burst_duplicates: frozenset[Path] = frozenset()

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
        """More metadata of each clip, by column."""
        columns = {
            "file": [clip.path.name for clip in self.corpus],
            "corpus": self.origin,
            "gender": [clip.gender or "" for clip in self.corpus],
            "language": [clip.language or "" for clip in self.corpus],
            "text": [clip.text or "" for clip in self.corpus],
        }
        return {name: np.array(column) for name, column in columns.items()}

    @property
    def corpora(self) -> list[dict[str, Any]]:
        """What took part of each corpus, also of those without labels, as plain values."""
        return describe_corpora(self.sources, self.corpus, self.unlabelled_sources, self.duplicates)

    @property
    def left_out(self) -> list[str]:
        """A sentence for each emotion of a corpus that does not take part."""
        used, named = {*self.corpus.paths, *self.duplicates}, self.recipe.data.leave_out
        clips = (clip for source in self.sources for clip in source if clip.path not in used)
        lost = Counter((clip.corpus, clip.emotion) for clip in clips)
        why = {True: "left out by the recipe", False: "the other side of the split has none"}
        lines = [
            f"{counted(count, 'clip')} of {emotion} in {corpus}: {why[emotion in named]}"
            for (corpus, emotion), count in sorted(lost.items())
        ]
        lines += self.duplicates_told
        return lines + [f"a recording that cannot be used: {why}" for why in self.skipped.values()]

    @property
    def duplicates_told(self) -> list[str]:
        """Say how many duplicates were left out, of vocal bursts apart."""
        parts = ((self.duplicates, ""), (self.burst_duplicates, ", of vocal bursts"))
        return [f"{duplicates_words(len(files))}{of}" for files, of in parts if files]

    @property
    def voice(self) -> Array:
        """The columns of the voice."""
        return self.X[:, : self.widths.get("voice", self.X.shape[1])]

    def with_voice(self, vectors: Array) -> Array:
        """Return `X` with other vectors of the same voices."""
        return np.hstack([vectors, self.X[:, vectors.shape[1] :]])

    @property
    def width(self) -> int | None:
        """Features a frame, where `X` holds series."""
        return self.front.width if self.front else None

    def part(self, kept: npt.NDArray[np.bool_]) -> Prepared:
        """Keep some clips, and what was derived from them, without folds."""
        augmented = self.augmented
        if augmented is not None:
            rows = kept[augmented.parent]
            parent = np.cumsum(kept)[augmented.parent[rows]] - 1
            augmented = replace(augmented, X=augmented.X[rows], parent=parent)
        clips = tuple(clip for clip, taken in zip(self.corpus, kept, strict=True) if taken)
        corpus = replace(self.corpus, utterances=clips)
        return replace(self, corpus=corpus, folds=[], X=self.X[kept], augmented=augmented)

    def per_sample(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arguments of the classifier's `fit` beside labels and speakers."""
        given: dict[str, npt.NDArray[Any]] = {}
        if self.recipe.fusion and self.recipe.fusion.labelled < 1:
            given["labelled"] = labelled(self.recipe, self.emotions)
        masked = self.recipe.model.name in MASKED and not self.recipe.fusion
        if masked and len(set(self.origin)) > 1:
            given["label_set"] = np.array(self.origin)
        if self.recipe.balance.method == "corpora":
            given["sample_weight"] = balanced_weights(
                self.origin, self.emotions, corpus_weights(self.recipe, self.sources)
            )
        return given


@renamed(progress="progress_bar")
def prepare(
    recipe: Recipe,
    *,
    data: str | Path | None = None,
    weights: str | Path | None = None,
    cache: Path | None = None,
    download: bool = False,
    search: bool = False,
    skip_bad: bool = False,
    progress_bar: ProgressBar = no_progress_bar,
) -> Prepared:
    """Read a recipe's corpora, make the folds and extract the features of every clip.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    data, weights : path, optional
        Folders to use in place of the recipe's.
    cache : path, optional
        Folder of the feature cache.
    download : bool
        Whether an encoder that is not on this machine may be fetched from the model hub.
    search : bool
        Whether it is for `serein.experiment.tune`, whose folds are then checked in place of those
        of training.
    skip_bad : bool
        Whether recordings that cannot be used are left out, and named in `Prepared.left_out`.
    progress_bar : callable
        Makes a progress bar with a title.

    Returns
    -------
    Prepared
        Everything that evaluation and training start from.

    Raises
    ------
    CorpusError, ProtocolError
        If the corpora or their speakers do not allow what the recipe says; raised before any
        features are extracted.
    EncoderError, AudioError
        If the encoder or recordings cannot be used; a duplicate cannot, whose speaker or emotion
        is another.
    """
    bad: dict[Path, str] = {}
    while True:
        try:
            made = _prepare(
                *(recipe, data, weights, cache, progress_bar, bad), download=download, search=search
            )
        except BadFilesError as error:  # all of them; the features of others are cached
            if not skip_bad or error.files.keys() <= bad.keys():
                raise
            bad |= error.files
        else:
            return replace(made, skipped=bad)


def _prepare(
    recipe: Recipe,
    data: str | Path | None,
    weights: str | Path | None,
    cache: Path | None,
    progress_bar: ProgressBar,
    bad: Container[Path],
    *,
    download: bool,
    search: bool,
    duplicates: frozenset[Path] = frozenset(),
) -> Prepared:
    """Prepare a recipe without some of its recordings."""
    sources = _without(bad, read_corpora(recipe, data, cache=cache, bad=bad))
    others = _without(
        bad, read_corpora(recipe, data, names=recipe.data.public, cache=cache, bad=bad)
    )
    whole, overlap = combine(recipe, sources), recipe.protocol.speaker_overlap
    corpus = without_duplicates(_without(duplicates, (whole,))[0], overlap=overlap)
    duplicates = frozenset(whole.paths) - frozenset(corpus.paths)
    without = _without(bad, read_unlabelled(recipe, data, corpus, cache, bad))
    bursts, same_bursts = read_bursts(recipe, data, bad)
    more = without[0].merge(*without[1:], name="unlabelled") if without else None
    folds, words = make_folds(recipe.protocol, corpus)
    if search:
        check_search_folds(recipe, corpus)
    else:
        check_inner_folds(recipe, corpus, folds)
    parts = babble_parts(recipe.augmentation, corpus, folds)
    sounds = read_sounds(recipe, corpus, bad)
    modalities, rest = other_modalities(recipe, corpus, more)
    front: Front | None = None
    if recipe.features and recipe.features.table:
        arrays = list(read_vectors(recipe.features.table, corpus))
    else:
        front = _front(recipe, weights, download=download)
        arrays = describe(corpus, front, cache, progress_bar)
    kept = without_duplicates(corpus, same_sound(corpus, read_audio, arrays), overlap=overlap)
    if len(kept) < len(corpus):  # in other kinds of file; the features of all are cached
        given = (recipe, data, weights, cache, progress_bar, bad)
        duplicates = frozenset(whole.paths) - frozenset(kept.paths)
        return _prepare(*given, download=download, search=search, duplicates=duplicates)
    if front is None:
        vectors = np.stack(arrays)
        widths, X = widths_of(vectors, modalities), beside(vectors, modalities)
        return Prepared(
            *(recipe, corpus, sources, folds, words, None, X), widths=widths, duplicates=duplicates
        )
    times, clips, plain = recipe.augmentation.per_clip, len(corpus), list(arrays)
    for number in range(times):
        extractor = AugmentingExtractor(
            *(front, recipe.augmentation, number, recipe.protocol.seed), sounds=sounds
        )
        arrays += describe(corpus, extractor, cache, progress_bar, parts)
    X = stack(arrays, front)
    augmented = None
    if times:
        augmented = Augmented(
            X[clips:], np.tile(np.arange(clips), times), recipe.augmentation.weight
        )
        augmented = augmented_beside(augmented, modalities, recipe)
    known = [array for other in others for array in describe(other, front, cache, progress_bar)]
    public = stack(known, front) if known else None
    unlabelled = None
    if more is not None:
        extracted = describe(more, front, cache, progress_bar)
        if overlap == "refuse":
            groups = same_sound((*corpus, *more), read_audio, [*plain, *extracted])
            refuse_shared(groups, corpus, SHARED)
        voices = stack(extracted, front)
        speakers = np.array([clip.speaker for clip in more])
        unlabelled = Unlabelled(beside(voices, rest), speakers)
    return Prepared(
        *(recipe, corpus, sources, folds, words, front, beside(X[:clips], modalities)),
        *(augmented, public, widths_of(X, modalities), unlabelled, without, bursts),
        duplicates=duplicates,
        burst_duplicates=same_bursts,
    )


def _without(bad: Container[Path], sources: tuple[Corpus, ...]) -> tuple[Corpus, ...]:
    return tuple(source.filter(predicate=lambda row: row.path not in bad) for source in sources)


def describe(
    corpus: Corpus,
    extractor: Extractor,
    cache: Path | None,
    progress_bar: ProgressBar,
    parts: Sequence[Sequence[int]] = (),
) -> list[Array]:
    """Extract the features of all clips of a corpus; the voices of each part make its babble."""
    augmenting = extractor if isinstance(extractor, AugmentingExtractor) else None
    in_python = isinstance(augmenting.extractor if augmenting else extractor, FrontEnd)
    paths, found = corpus.paths, dict[int, Array]()
    with progress_bar("features") as progress, torch_threads(1):
        for rows in parts or [range(len(paths))]:
            files = tuple(paths[row] for row in rows)
            arrays = extract(
                files,
                replace(augmenting, voices=files) if augmenting and parts else extractor,
                cache=cache,
                processes=in_python,
                progress=lambda done, _: progress(len(found) + done, len(paths)),
            )
            found.update(zip(rows, arrays, strict=True))
    return [found[row] for row in range(len(paths))]


def stack(arrays: list[Array], front: Front) -> Array:
    """Lay vectors out as one matrix, or pad series."""
    return np.stack(arrays) if front.width is None else pad(arrays)


def make_classifier(prepared: Prepared, *, checkpoint: Path | None = None) -> Any:
    """Build the untrained classifier that a recipe describes."""
    if prepared.recipe.search.nested:
        return _searching(prepared, checkpoint)
    recipe = prepared.recipe
    if recipe.fusion:
        return make_fusion(
            recipe, prepared.widths, unlabelled=prepared.unlabelled, checkpoint=checkpoint
        )
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
    if folds and recipe.adaptation.relative:
        return _domain_adapted(prepared, classifier, folds)
    return TemperatureScaled(classifier, folds=folds) if folds else classifier


def _domain_adapted(prepared: Prepared, classifier: Any, folds: int) -> DomainAdapted:
    """Wrap a linear classifier as a recipe's [adaptation] says."""
    adaptation, seed = prepared.recipe.adaptation, prepared.recipe.protocol.seed
    near, columns = None, None
    if adaptation.near_alpha:
        near = clone(classifier).set_params(alpha=adaptation.near_alpha)
    if adaptation.means_only and isinstance(prepared.front, SpeechEncoder):
        columns = np.concatenate(
            [mine for name, mine in prepared.front.columns().items() if name.endswith("mean")]
        )
    return DomainAdapted(classifier, near=near, columns=columns, folds=folds, random_state=seed)


def make_candidate(prepared: Prepared, values: dict[str, Any]) -> Any:
    """Build the classifier of a search's trial; the temperature would not change its score."""
    return make_classifier(
        replace(prepared, recipe=uncalibrated(with_values(prepared.recipe, values)))
    )


@contextmanager
def named_errors(recipe: Recipe) -> Iterator[None]:
    """Name the recipe in errors that only fitting finds, of serein's settings or of a library."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, SereinError) and not isinstance(error, SettingError):
            raise
        raise RecipeError(f"{recipe.name}: {error}") from error


def inside(classifier: Any, attribute: str) -> Any:
    """Find an attribute of a fitted classifier, or of what it is wrapped around; else None."""
    while classifier is not None and not hasattr(classifier, attribute):
        classifier = getattr(classifier, "estimator_", None)
    return getattr(classifier, attribute, None)


def temperature_of(classifier: Any) -> float | dict[str, float]:
    """Return the temperature of a fitted classifier, 1 if there is none; in late fusion, each."""
    found = inside(classifier, "temperature_")
    parts = inside(classifier, "estimators_") if found is None else None
    if isinstance(parts, dict):  # late fusion: by modality
        return {name: round(float(part.temperature_), 6) for name, part in parts.items()}
    return 1.0 if found is None else round(float(found), 6)


def _searching(prepared: Prepared, checkpoint: Path | None) -> Tuned:
    """Build the classifier that searches its own settings, as section [search] says."""
    recipe = replace(prepared.recipe, search=replace(prepared.recipe.search, nested=False))
    plain, settings = replace(prepared, recipe=recipe), recipe.search
    candidate = partial(make_candidate, plain)

    def final(values: dict[str, Any]) -> Any:
        found = replace(plain, recipe=with_values(recipe, values))
        return make_classifier(found, checkpoint=checkpoint)

    return Tuned(
        candidate({}),
        space_of(recipe),
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
    options = asdict(recipe.encoder) | {"weights": weights or recipe.encoder.weights}
    return SpeechEncoder(options.pop("name"), **options, download=download)
