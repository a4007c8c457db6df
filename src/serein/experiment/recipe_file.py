"""From a recipe file, or from the names of a corpus and a model, to a checked `Recipe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from serein.corpora import CORPORA
from serein.corpora.corpus import csv_rows, is_table, place_of
from serein.errors import RecipeError, SettingError
from serein.experiment.checks import VECTORS, complete
from serein.experiment.fusion import with_plan
from serein.experiment.recipe import Recipe, Search
from serein.experiment.recipe_table import read_table, sections_of
from serein.models.catalogue import MEMBERS, MODELS, takes_series
from serein.models.own import add_own


def read_recipe(file: str | Path) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    file : str or path
        A TOML file; its keys are the attributes of `Recipe` and of its sections.

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
    return make_recipe(read_table(file), str(file), file.resolve().parent)


WHISPER = "whisper"  # in place of a model: its default encoder, with the default classifier
SPLITS = {"ravdess": "ravdess_actor_folds"}
LICENCES = {"emodb": "CC0-1.0 (from EmoDB, according to audeering/emodb)"}
SETTINGS: dict[str, dict[str, Any]] = {
    "bagging": {"base": "svm", "count": 10},
    "stacking": {"members": [*MEMBERS]},
    "voting": {"members": [*MEMBERS]},
}
TRAININGS: dict[str, dict[str, Any]] = {"mlp": {"epochs": 20}, "textbook_cnn": {"epochs": 10}}
TRAINING = {"epochs": 20, "spec_augment": True}
"""What `short_recipe` says of a corpus or a model beyond its defaults; `TRAINING` of networks that
are not in `TRAININGS`."""


def short_recipe(
    corpus: str,
    model: str,
    *,
    features: str | None = None,
    split: str | None = None,
    data: Path | None = None,
) -> Recipe:
    """Make the recipe of a corpus and a model: those of ``make table`` and docs/MODELS.md.

    Parameters
    ----------
    corpus : str
        A key of `serein.corpora.CORPORA`, or a CSV table.
    model : str
        A key of `serein.models.catalogue.MODELS`; or ``whisper``: that encoder, and logistic
        regression on it.
    features : str, optional
        Keys of `serein.features.feature_sets.SETS`, with commas between; or a table of features,
        ``.csv``. What suits the model, if not given.
    split : str, optional
        A key of `serein.experiment.splits.SPLITS`; of unseen speakers, if not given.
    data : path, optional
        Folder of a CSV table, whose speakers are then counted.

    Returns
    -------
    Recipe
        Features that suit the model, unseen speakers in every test fold, and folds of calibration
        and search that fit the number of speakers.

    Raises
    ------
    RecipeError
        If a name is unknown.
    """
    table = short_table(corpus, model)
    _fit_folds(table, _speakers(corpus, data))
    if features is not None:
        if model == WHISPER:
            raise RecipeError(f"--model {WHISPER} computes its own features: leave --features out")
        table["features"] = _features(features, table["model"])
    if split is not None:
        table["protocol"]["split"] = split
    return make_recipe(table, "--corpus and --model", Path.cwd())


def _speakers(corpus: str, data: Path | None) -> int:
    """Count the speakers of a corpus by the catalogue or its table; 0 if they are not known yet."""
    if corpus in CORPORA:
        return CORPORA[corpus].speakers
    file = place_of(corpus, data) if data is not None and is_table(corpus) else None
    if file is None or not file.is_file():
        return 0
    return len({row["speaker"] for _, row in csv_rows(file, ("speaker",))})


def _fit_folds(table: dict[str, Any], speakers: int) -> None:
    """Set the folds inside training to what few speakers allow."""
    if speakers == 2:  # one is tested, and one trained on: none to calibrate on
        table["protocol"]["calibration_folds"] = 0
    if 2 <= speakers < Search.folds:
        table["search"] = {"folds": speakers}


def _features(given: str, model: dict[str, Any]) -> dict[str, Any]:
    """Return the section of features named on the command line, pooled where the model needs it."""
    if given.lower().endswith(".csv"):
        return {"table": given}
    sets = [name.strip() for name in given.split(",")]
    settings = {key: value for key, value in model.items() if key != "name"}
    if model["name"] in MODELS and takes_series(model["name"], settings):
        return {"sets": sets}
    return {"sets": sets, "functionals": [*VECTORS.functionals]}


def short_table(corpus: str, model: str) -> dict[str, Any]:
    """Return the recipe of a corpus and a model as a TOML table."""
    name = Path(corpus).stem
    table: dict[str, Any] = {
        "name": f"{name}-{model}".replace(":", " "),
        "data": {"corpora": [corpus]},
        "features": {},
        "model": {"name": model} | SETTINGS.get(model, {}),
        "protocol": {"split": SPLITS.get(corpus, "leave_one_speaker_out")},
    }
    if model == WHISPER:
        del table["features"]
        table |= {"encoder": {}, "model": {"name": "logistic"}}
    if model in MODELS and MODELS[model].kind == "network":
        table["training"] = TRAININGS.get(model, TRAINING)
    if corpus in CORPORA:
        spec = CORPORA[corpus]
        title = spec.title.partition(",")[0]
        table["bundle"] = {"licence": LICENCES.get(corpus, f"{spec.licence} (from {title})")}
    return table


def with_search(recipe: Recipe, *, trials: int | None, method: str | None) -> Recipe:
    """Replace the trials and method of a recipe's search, where given."""
    given: dict[str, Any] = {"trials": trials, "method": method}
    options = {name: value for name, value in given.items() if value is not None}
    return complete(replace(recipe, search=replace(recipe.search, **options)), recipe.name)


def make_recipe(table: Mapping[str, Any], place: str, near: Path) -> Recipe:
    """Make a checked recipe from a TOML table; errors name its place."""
    recipe = sections_of(with_plan(table), place)
    if ":" in recipe.model.name:
        try:
            add_own(recipe.model.name, near)
        except SettingError as error:
            raise RecipeError(f"{place}: {error}") from error
    recipe = complete(recipe, place)
    try:
        return _absolute(recipe, near)
    except (OSError, RuntimeError, ValueError) as error:  # too long, in a circle, with a zero byte
        raise RecipeError(f"{place}: holds what cannot be a path: {error}") from error


def _absolute(recipe: Recipe, near: Path) -> Recipe:
    """Make paths that are relative to the recipe's folder absolute."""

    def beside(path: str | None) -> str | None:
        return None if path is None else str((near / path).resolve())

    encoder, features = recipe.encoder, recipe.features
    if encoder:
        folder = near / encoder.name  # a folder beside the recipe, or a name on the hub
        name = str(folder.resolve()) if folder.is_dir() else encoder.name
        encoder = replace(encoder, name=name, weights=beside(encoder.weights))
    if features:
        features = replace(features, table=beside(features.table))
    folders = {name: str((near / path).resolve()) for name, path in recipe.data.folders.items()}
    data = replace(recipe.data, folder=beside(recipe.data.folder), folders=folders)
    ranges = {
        name: options | {"folder": beside(options["folder"])} if "folder" in options else options
        for name, options in recipe.augmentation.ranges.items()
    }
    recipe = replace(recipe, augmentation=replace(recipe.augmentation, ranges=ranges))
    face, text = recipe.face, recipe.text
    if face:
        face = replace(face, table=str((near / face.table).resolve()))
    if text:
        text = replace(text, encoder=beside(text.encoder))
    return replace(recipe, data=data, encoder=encoder, features=features, face=face, text=text)
