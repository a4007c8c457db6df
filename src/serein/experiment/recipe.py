"""A recipe: which corpora, features, model, training and evaluation protocol."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from serein.emotions import OwnEmotion
from serein.errors import RecipeError
from serein.training.plan import Training

NAMES = {
    "model": (
        *("textbook_cnn", "cnn", "light_cnn", "rnn", "lstm", "bilstm", "transformer"),
        *("cnn_lstm_attention", "attentive_statistics", "graph", "mlp", "logistic", "ridge", "svm"),
        *("naive_bayes", "random_forest", "knn", "gradient_boosting", "gmm_hmm", "bagging"),
        *("boosting", "voting", "stacking"),
    ),
    "split": (
        *("leave_one_speaker_out", "ravdess_actor_folds", "speaker_k_fold", "named_folds"),
        *("leave_one_sentence_out", "leave_one_corpus_out", "train_and_test", "random_k_fold"),
    ),
}
"""What a recipe may call by name; a test holds it to the registries, which import torch."""


@dataclass(frozen=True)
class Data:
    """Which recordings.

    Attributes
    ----------
    corpora : tuple of str
        Names of known corpora, or CSV tables with the columns file, emotion, speaker.
    folder : str or None
        Folder that holds them; relative to the recipe's own folder.
    folders : dict of str to str
        Folders of corpora that are elsewhere, by their names in the lists here; of a table, where
        it lies: ``{ savee = "/data/SAVEE" }``.
    merge : dict of str to str
        Emotions to count as others, for instance calm as neutral.
    leave_out : tuple of str
        Emotions to leave out.
    public : tuple of str
        With differential privacy: other corpora or tables, of recordings that are public. Feature
        scaling is computed on them, and nothing else.
    unlabelled : tuple of str
        With semi-supervised fusion: other corpora, or tables that need no emotion; they are trained
        on without their labels.
    """

    corpora: tuple[str, ...]
    folder: str | None = None
    folders: dict[str, str] = field(default_factory=dict)
    merge: dict[str, str] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoder:
    """A pre-trained encoder as feature extractor.

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
    trim_noise : bool
        Whether noise at either end is cut off too: all up to 10 dB over the noise floor.
    pool_after : int
        For Whisper: temporal pooling with stride 2 after this layer; 0 for none.
    frames : bool
        Whether the hidden states stay a series of 25 frames a second, the mean of the layers, for
        networks to learn from; else each is pooled to its mean and deviation over time.
    """

    name: str = "openai/whisper-base"
    weights: str | None = None
    layers: tuple[int, ...] = (2, 3, 4)
    level: str = "speech_rms"
    trim: bool = True
    trim_noise: bool = False
    pool_after: int = 0
    frames: bool = False


@dataclass(frozen=True)
class Features:
    """Acoustic feature sets in place of an encoder.

    Attributes
    ----------
    sets : tuple of str
        Keys of `serein.features.feature_sets.SETS`; what suits the model, if not given.
    functionals : tuple of str
        Functionals that pool frames to one vector a recording; none for series.
    step : int
        For series: this many frames of 10 ms are averaged to one.
    utterance_normalisation : bool
        Whether each column of a series is brought to mean 0 and variance 1, recording by recording.
    level : str
        ``as_recorded``, or ``speech_rms`` to make the gain of the microphone irrelevant.
    trim : bool
        Whether silence at either end is cut off.
    table : str or None
        In place of all that, a CSV file with the column ``file`` and columns of numbers, as
        ``serein features`` writes it; relative to the recipe's own folder.
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
    """The classifier.

    Attributes
    ----------
    name : str
        A key of `serein.models.catalogue.MODELS`; or ``module:Name`` of your own, in ``module.py``
        beside the recipe, which is run.
    settings : dict
        Its hyperparameters: the other keys of the section.
    """

    name: str = "logistic"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fusion:
    """How voice, face and text are fused; any of them may be missing.

    Attributes
    ----------
    method : str
        ``late``, ``early`` or ``hybrid``: `serein.models.fusion.LateFusion`, `EarlyFusion` or
        `HybridFusion`, which trains one network in place of ``[model]``.
    semi_supervised : str
        ``self_training`` or ``co_training``: learn from clips without labels too; or ``none``.
    labelled : float
        Share of the training clips, of each emotion alike, that keep their label.
    settings : dict
        Parameters of the two; the other keys of the section.
    """

    method: str = "late"
    semi_supervised: str = "none"
    labelled: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Face:
    """The face beside the voice: action units of OpenFace 2, the mean of each clip.

    Attributes
    ----------
    table : str
        A CSV file with the column ``file`` and the 35 action units, a row a clip; or a folder of
        OpenFace's own tables, ``clip.csv`` beside ``clip.wav``. Relative to the recipe's own
        folder. A clip that is not there has no face.
    model : str
        For late fusion: a key of `serein.models.catalogue.MODELS`.
    settings : dict
        The model's own parameters; the other keys of the section.
    """

    table: str
    model: str = "logistic"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Text:
    """What is said, beside the voice: the corpus's own texts, as sentence vectors.

    Attributes
    ----------
    encoder : str or None
        Folder of a sentence encoder, relative to the recipe's own folder; the packaged MiniLM, if
        not given.
    model : str
        For late fusion: a key of `serein.models.catalogue.MODELS`.
    settings : dict
        The model's own parameters; the other keys of the section.
    """

    encoder: str | None = None
    model: str = "logistic"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Balance:
    """Class balancing, inside the training fold.

    Attributes
    ----------
    method : str
        A key of `serein.training.balance.METHODS`; or ``corpora``: every corpus, and every emotion
        in it, has the same weight.
    weight : dict of str to float
        For ``corpora``: the weight of a whole corpus of `Data.corpora` relative to the others,
        above 0; 1 where it is not given: ``{ emogator = 0.35 }``.
    """

    method: str = "none"
    weight: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Augmentation:
    """Augmented data of the training recordings; they stay with their parent.

    Attributes
    ----------
    per_clip : int
        Augmented versions of each recording; 0 for none.
    chain : tuple of str
        Keys of `serein.audio.chain.AUGMENTATIONS`: each version goes through them in this order,
        with parameters drawn anew.
    ranges : dict
        Ranges to draw from, where they are not the default: ``speed = { rate = [0.88, 1.12] }``.
        Noise and overlay (a second voice) may be recordings of a folder, relative to the recipe's
        own: ``noise = { folder = "street", snr_db = [0, 20] }``.
    probability : dict
        With which each version goes through an augmentation of the chain, where it is not 1:
        ``{ reverb = 0.5 }``.
    weight : float
        Of an augmented version in training, beside 1 for its recording; needs ``balance.method =
        "corpora"``.
    """

    per_clip: int = 0
    chain: tuple[str, ...] = ()
    ranges: dict[str, dict[str, Any]] = field(default_factory=dict)
    probability: dict[str, float] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True)
class Adaptation:
    """Domain adaptation in feature space: `serein.models.domain_adaptation.DomainAdapted`.

    Attributes
    ----------
    relative : bool
        Whether a second head is trained, on features relative to their corpus or speaker, and
        confidence on corpora that are left out in turn.
    near_alpha : float
        Regularisation of one more head, for recordings that are like those of training: less than
        that of the model, so that it fits them more closely; 0 for none.
    means_only : bool
        Whether the general and the relative head see the means of the encoder's layers over time
        alone, not the deviations, which tell more of the corpus.
    """

    relative: bool = False
    near_alpha: float = 0.0
    means_only: bool = False


@dataclass(frozen=True)
class Bursts:
    """Vocal bursts: laughs, cries, sighs …, told from speech and from each other.

    Attributes
    ----------
    corpus : str
        A key of `serein.corpora.CORPORA`, or a CSV table, of bursts. Where it is among
        `Data.corpora` too, its clips do not count as speech here.
    merge : dict of str to str
        Emotions of bursts to count as others.
    leave_out : tuple of str
        Emotions of bursts to leave out.
    """

    corpus: str
    merge: dict[str, str] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Search:
    """Hyperparameter search, as `serein tune` runs it.

    Attributes
    ----------
    method : str
        A key of `serein.evaluation.search.search.METHODS`.
    trials : int
        Number of trials.
    folds : int
        Folds of speakers on which each trial is scored.
    space : dict
        ``model.KEY`` or ``training.KEY`` to a range or a list of choices; the model's own if empty.
    nested : bool
        Whether `serein evaluate` and `serein train` search too, anew inside each training part, so
        that the choice is independent of the test speakers.
    """

    method: str = "bayesian"
    trials: int = 30
    folds: int = 5
    space: dict[str, Any] = field(default_factory=dict)
    nested: bool = False


@dataclass(frozen=True)
class Protocol:
    """The evaluation protocol.

    Attributes
    ----------
    split : str
        A key of `serein.experiment.splits.SPLITS`.
    folds : int
        Groups of speakers, for ``speaker_k_fold`` and ``leave_one_sentence_out``.
    named : dict of str to tuple of str
        For ``named_folds``: the test speakers of each fold.
    test : tuple of str
        For ``train_and_test``: the corpora to test on; the others of data.corpora are trained on.
        For ``leave_one_corpus_out``: those that are left out in turn; all, if not given.
    emotions : str
        For those two: ``common``, the emotions that each side has; or ``all``, for models that take
        a corpus without some emotions: no clip is left out, and each is tested among all emotions.
    speaker_overlap : str
        ``refuse``; or ``allow`` to run what leaks, such as a speaker on both sides, and to stamp
        the report with it.
    calibration_folds : int
        Inner folds over training speakers, for the temperature; 0 leaves confidence as the model
        gives it. If not given, 2 for networks and ensembles and 5 for all else. Late fusion fits
        its rule in them too, and needs at least 2; hybrid fusion has 0 if not given.
    seed : int
        Seed of everything random.
    """

    split: str = "leave_one_speaker_out"
    folds: int = 6
    named: dict[str, tuple[str, ...]] = field(default_factory=dict)
    test: tuple[str, ...] = ()
    emotions: str = "common"
    speaker_overlap: str = "refuse"
    calibration_folds: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Packing:
    """Licence and windows of the bundle.

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
    """Everything that defines a recognizer; each attribute but `name` is a section of the file.

    Attributes
    ----------
    name : str
        Name of the recognizer.
    data : Data
        Which recordings.
    encoder : Encoder or None
        The pre-trained encoder; None where `features` stands in its place.
    features : Features or None
        Acoustic feature sets in place of an encoder.
    model, training : Model, Training
        The classifier, and how networks are trained.
    fusion, face, text : Fusion, Face, Text or None
        What is fused with the voice, and how; None where it is alone.
    balance, augmentation : Balance, Augmentation
        Class balancing and augmented data, in training only.
    adaptation : Adaptation
        Domain adaptation.
    bursts : Bursts or None
        Vocal bursts; None for a recognizer that does not know them.
    protocol, search : Protocol, Search
        Evaluation protocol and hyperparameter search.
    bundle : Packing
        Licence and windows of the bundle.
    emotions : dict of str to OwnEmotion
        What is said of labels of its own: a section ``[emotions.LABEL]`` each.
    """

    name: str
    data: Data
    encoder: Encoder | None = None
    features: Features | None = None
    model: Model = Model()
    fusion: Fusion | None = None
    face: Face | None = None
    text: Text | None = None
    training: Training = field(default_factory=Training)
    balance: Balance = Balance()
    augmentation: Augmentation = Augmentation()
    adaptation: Adaptation = Adaptation()
    bursts: Bursts | None = None
    protocol: Protocol = Protocol()
    search: Search = Search()
    bundle: Packing = Packing()
    emotions: dict[str, OwnEmotion] = field(default_factory=dict)

    @property
    def series(self) -> bool:
        """Whether the features of the voice are a series of frames, not a vector."""
        if self.encoder:
            return self.encoder.frames
        features = self.features
        return features is not None and not (features.functionals or features.table)


def with_values(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """Put values of a search into a recipe."""
    found: dict[str, dict[str, Any]] = {"model": {}, "training": {}}
    for name, value in values.items():
        section, _, key = name.partition(".")
        if section not in found or not key:
            raise RecipeError(
                f"search.space: {name!r} cannot be searched; allowed: model.KEY, training.KEY"
            )
        found[section][key] = value
    return replace(
        recipe,
        model=replace(recipe.model, settings=recipe.model.settings | found["model"]),
        training=replace(recipe.training, **found["training"]),
    )


def uncalibrated(recipe: Recipe) -> Recipe:
    """Leave out the inner folds that set confidence: they change neither UAR nor accuracy."""
    return replace(recipe, protocol=replace(recipe.protocol, calibration_folds=0))
