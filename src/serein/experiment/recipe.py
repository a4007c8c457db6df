"""A recipe: what to learn from, with which encoder and classifier, judged how. Read from TOML."""

from __future__ import annotations

import tomllib
import types
import typing
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from serein.corpora import CORPORA
from serein.emotions import EMOTIONS
from serein.errors import RecipeError, unknown_name
from serein.features.frontend import LEVELS

SPLITS = ("leave_one_speaker_out", "ravdess_actor_folds", "speaker_k_fold")


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
    """

    corpora: tuple[str, ...]
    folder: str | None = None
    merge: dict[str, str] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()


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
    """

    name: str = "openai/whisper-base"
    weights: str | None = None
    layers: tuple[int, ...] = (2, 3, 4)
    level: str = "speech_rms"
    trim: bool = True


@dataclass(frozen=True)
class Classifier:
    """Logistic regression on the encoder's vectors.

    Attributes
    ----------
    C : float
        Inverse strength of the L2 penalty.
    balance : bool
        Whether every corpus, and every emotion in it, counts the same.
    """

    C: float = 0.02
    balance: bool = False


@dataclass(frozen=True)
class Protocol:
    """How it is judged.

    Attributes
    ----------
    split : str
        One of `SPLITS`; no speaker is ever on both sides.
    folds : int
        For ``speaker_k_fold``.
    calibration_folds : int
        Inner folds over training speakers, for the temperature.
    seed : int
        Seed of everything random.
    """

    split: str = "leave_one_speaker_out"
    folds: int = 6
    calibration_folds: int = 5
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
    hop_s: float = 2.5


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a recogniser.

    Attributes
    ----------
    name : str
        Name of the recogniser.
    data : Data
        What to learn from.
    encoder : Encoder
        The pre-trained front.
    classifier : Classifier
        What is trained.
    protocol : Protocol
        How it is judged.
    bundle : Packing
        How it is packed.
    """

    name: str
    data: Data
    encoder: Encoder = Encoder()
    classifier: Classifier = Classifier()
    protocol: Protocol = Protocol()
    bundle: Packing = Packing()


def read_recipe(file: str | Path) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    file : str or path
        A TOML file; its keys are the attributes of `Recipe` and its sections.

    Returns
    -------
    Recipe
        With folders made absolute.

    Raises
    ------
    RecipeError
        If it cannot be read, or a key or value is wrong.
    """
    file = Path(file)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{file}: cannot be read as a TOML recipe: {error}") from error
    recipe: Recipe = _section(Recipe, table, str(file))
    _check(recipe, str(file))
    near = file.resolve().parent
    return replace(
        recipe,
        data=replace(recipe.data, folder=_beside(near, recipe.data.folder)),
        encoder=replace(
            recipe.encoder,
            name=_folder_beside(near, recipe.encoder.name),
            weights=_beside(near, recipe.encoder.weights),
        ),
    )


def _section(kind: type, table: dict[str, Any], place: str) -> Any:
    hints = typing.get_type_hints(kind)
    unknown = [key for key in table if key not in hints]
    if unknown:
        raise RecipeError(f"{place}: {unknown_name('key', unknown[0], hints)}")
    values = {key: _value(hints[key], value, f"{place}: {key}") for key, value in table.items()}
    defaults = {entry.name for entry in fields(kind)} - _required(kind)
    missing = sorted(set(hints) - defaults - set(values))
    if missing:
        raise RecipeError(f"{place}: {missing[0]} is missing")
    return kind(**values)


def _required(kind: type) -> set[str]:
    return {
        entry.name
        for entry in fields(kind)
        if entry.default is MISSING and entry.default_factory is MISSING
    }


def _value(hint: Any, value: Any, place: str) -> Any:
    """Check a TOML value against a field's type; lists become tuples, tables sections."""
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        if not isinstance(value, dict):
            raise RecipeError(
                f"{place} is {value!r}; allowed: a table [{place.rsplit(maxsplit=1)[-1]}]"
            )
        return _section(hint, value, place)
    if isinstance(hint, types.UnionType):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], entry, place) for entry in value)
    if origin is dict and isinstance(value, dict):
        return {key: _value(arguments[1], entry, place) for key, entry in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if origin is None and type(value) is hint:
        return value
    raise RecipeError(f"{place} is {value!r}; allowed: {getattr(origin or hint, '__name__', hint)}")


def _check(recipe: Recipe, place: str) -> None:
    for name in recipe.data.corpora:
        if name not in CORPORA and not name.endswith(".csv"):
            raise RecipeError(f"{place}: {unknown_name('corpus', name, CORPORA)}; or a .csv table")
    for emotion in (*recipe.data.merge, *recipe.data.merge.values(), *recipe.data.leave_out):
        if emotion not in EMOTIONS:
            raise RecipeError(f"{place}: {unknown_name('emotion', emotion, EMOTIONS)}")
    if recipe.encoder.level not in LEVELS:
        raise RecipeError(f"{place}: {unknown_name('level', recipe.encoder.level, LEVELS)}")
    if recipe.protocol.split not in SPLITS:
        raise RecipeError(f"{place}: {unknown_name('split', recipe.protocol.split, SPLITS)}")
    checks = {
        "data.corpora must name at least one corpus": bool(recipe.data.corpora),
        "classifier.C must be above 0": recipe.classifier.C > 0,
        "protocol.folds must be at least 2": recipe.protocol.folds >= 2,
        "protocol.calibration_folds must be at least 2": recipe.protocol.calibration_folds >= 2,
        "protocol.seed must be 0 to 4294967295": 0 <= recipe.protocol.seed < 2**32,
        "bundle.window_s must be 1 to 30": 1 <= recipe.bundle.window_s <= 30,
        "bundle.hop_s must be above 0 and at most window_s": 0
        < recipe.bundle.hop_s
        <= recipe.bundle.window_s,
    }
    for rule, holds in checks.items():
        if not holds:
            raise RecipeError(f"{place}: {rule}")


def _folder_beside(folder: Path, name: str) -> str:
    """Take an encoder's name as a folder beside the recipe if there is one, else as it is."""
    return str((folder / name).resolve()) if (folder / name).is_dir() else name


def _beside(folder: Path, path: str | None) -> str | None:
    return None if path is None else str((folder / path).resolve())
