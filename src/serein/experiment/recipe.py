"""A recipe: what to learn from, with which features and model, judged how."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from serein.errors import RecipeError
from serein.training.plan import Training


@dataclass(frozen=True)
class Data:
    """What to learn from.

    Attributes
    ----------
    corpora : tuple of str
        Names of known corpora, or CSV tables with the columns file, emotion, speaker.
    folder : str or None
        Folder that holds them; relative to the recipe's own folder.
    merge : dict of str to str
        Emotions to count as others, for instance calm as neutral.
    leave_out : tuple of str
        Emotions to leave out.
    public : tuple of str
        With privacy: other corpora or tables, of which nothing need be hidden. The scaling of
        features is taken from them, and nothing else.
    """

    corpora: tuple[str, ...]
    folder: str | None = None
    merge: dict[str, str] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    public: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoder:
    """Which pre-trained encoder, and which of its layers.

    Attributes
    ----------
    name : str
        Hub name or folder.
    weights : str or None
        Folder searched for `name` before the hub; relative to the recipe's own folder.
    layers : tuple of int
        Hidden states, counted from 1.
    level : str
        ``as_recorded``, or ``speech_rms`` to make the gain of the microphone irrelevant.
    trim : bool
        Whether silence at either end is cut off.
    pool_after : int
        For Whisper: temporal pooling with stride 2 after this layer; 0 for none.
    """

    name: str = "openai/whisper-base"
    weights: str | None = None
    layers: tuple[int, ...] = (2, 3, 4)
    level: str = "speech_rms"
    trim: bool = True
    pool_after: int = 0


@dataclass(frozen=True)
class Features:
    """Which feature sets, without a pre-trained encoder.

    Attributes
    ----------
    sets : tuple of str
        Keys of `serein.features.feature_sets.SETS`; what suits the model, if not given.
    functionals : tuple of str
        How they are pooled to one vector a recording; none for series.
    step : int
        For series: so many frames of 10 ms are averaged to one.
    utterance_normalisation : bool
        Whether each column of a series is brought to mean 0 and variance 1, recording by recording.
    level : str
        ``as_recorded``, or ``speech_rms`` to make the gain of the microphone irrelevant.
    trim : bool
        Whether silence at either end is cut off.
    table : str or None
        In place of all that, vectors that are there already: a CSV file with the column ``file``
        and numbers, as ``serein features`` writes it; relative to the recipe's own folder.
    """

    sets: tuple[str, ...] = ()
    functionals: tuple[str, ...] = ()
    step: int = 4
    utterance_normalisation: bool = False
    level: str = "speech_rms"
    trim: bool = True
    table: str | None = None


@dataclass(frozen=True)
class Model:
    """What is trained.

    Attributes
    ----------
    name : str
        A key of `serein.models.catalogue.MODELS`.
    settings : dict
        The model's own parameters; the other keys of the section.
    """

    name: str = "logistic"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Balance:
    """What is done about rare emotions, inside the training fold.

    Attributes
    ----------
    method : str
        A key of `serein.training.balance.METHODS`; or ``corpora``: every corpus, and every emotion
        in it, counts the same.
    """

    method: str = "none"


@dataclass(frozen=True)
class Augmentation:
    """Augmented data of the training recordings; they stay with their parent.

    Attributes
    ----------
    per_clip : int
        Augmented versions of each recording; 0 for none.
    chain : tuple of str
        Keys of `serein.audio.chain.AUGMENTATIONS`: each version goes through them in this order,
        drawn anew.
    ranges : dict
        What is drawn, where it is not the default: ``speed = { rate = [0.88, 1.12] }``.
    probability : dict
        With which each version goes through an augmentation of the chain, where it is not 1:
        ``{ reverb = 0.5 }``.
    """

    per_clip: int = 0
    chain: tuple[str, ...] = ()
    ranges: dict[str, dict[str, Any]] = field(default_factory=dict)
    probability: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """How `serein tune` looks for better settings.

    Attributes
    ----------
    method : str
        A key of `serein.evaluation.search.search.METHODS`.
    trials : int
        Candidates tried.
    folds : int
        Folds of speakers that each is judged on.
    space : dict
        ``model.KEY`` or ``training.KEY`` to a range or a list of choices; the model's own if empty.
    nested : bool
        Whether `serein evaluate` and `serein train` search too, anew inside each training part, so
        that no test speaker has a say in what is chosen.
    """

    method: str = "bayesian"
    trials: int = 30
    folds: int = 5
    space: dict[str, Any] = field(default_factory=dict)
    nested: bool = False


@dataclass(frozen=True)
class Protocol:
    """How it is judged.

    Attributes
    ----------
    split : str
        A key of `serein.experiment.splits.SPLITS`.
    folds : int
        Groups of speakers, for ``speaker_k_fold`` and ``leave_one_sentence_out``.
    named : dict of str to tuple of str
        For ``named_folds``: the test speakers of each fold.
    test : tuple of str
        For ``train_and_test``: the corpora to test on; those of data.corpora that are left are
        learnt from.
    speaker_overlap : str
        ``refuse``; or ``allow`` to run what leaks, such as a speaker on both sides, and to stamp
        the report with it.
    calibration_folds : int
        Inner folds over training speakers, for the temperature; 0 leaves confidence as the model
        gives it. If not given, 2 for networks and ensembles and 5 for all else.
    seed : int
        Seed of everything random.
    """

    split: str = "leave_one_speaker_out"
    folds: int = 6
    named: dict[str, tuple[str, ...]] = field(default_factory=dict)
    test: tuple[str, ...] = ()
    speaker_overlap: str = "refuse"
    calibration_folds: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Packing:
    """What the bundle says and how it listens.

    Attributes
    ----------
    licence : str
        Licence of the trained weights.
    window_s, hop_s : float
        Longer recordings are cut into windows of this length, this far apart.
    """

    licence: str = "unstated: see the licences of the corpora"
    window_s: float = 4.0
    hop_s: float = 4.0


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a recogniser.

    Attributes
    ----------
    name : str
        Name of the recogniser.
    data : Data
        What to learn from.
    encoder : Encoder or None
        The pre-trained front; None where features stand in its place.
    features : Features or None
        Feature sets in place of an encoder.
    model : Model
        What is trained.
    training : Training
        How a network is trained.
    balance : Balance
        What is done about rare emotions.
    augmentation : Augmentation
        Augmented data to train on as well.
    protocol : Protocol
        How it is judged.
    search : Search
        How better settings are looked for.
    bundle : Packing
        How it is packed.
    """

    name: str
    data: Data
    encoder: Encoder | None = None
    features: Features | None = None
    model: Model = Model()
    training: Training = field(default_factory=Training)
    balance: Balance = Balance()
    augmentation: Augmentation = Augmentation()
    protocol: Protocol = Protocol()
    search: Search = Search()
    bundle: Packing = Packing()


def with_values(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """Put values of a search into a recipe."""
    settings = dict(recipe.model.settings)
    training: dict[str, Any] = {}
    for name, value in values.items():
        where, _, key = name.partition(".")
        if where not in {"model", "training"} or not key:
            raise RecipeError(
                f"search.space: {name!r} cannot be searched; allowed: model.KEY, training.KEY"
            )
        (settings if where == "model" else training)[key] = value
    return replace(
        recipe,
        model=Model(recipe.model.name, settings),
        training=replace(recipe.training, **training),
    )


def uncalibrated(recipe: Recipe) -> Recipe:
    """Leave out the inner folds that set confidence: they change neither UAR nor accuracy."""
    return replace(recipe, protocol=replace(recipe.protocol, calibration_folds=0))
