"""Hyperparameter search on a recipe, and the recipe with the best values."""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from serein.errors import renamed
from serein.evaluation.search.search import SearchResult, search
from serein.experiment.checks import complete
from serein.experiment.fusion import space_of
from serein.experiment.prepare import (
    Prepared,
    ProgressBar,
    make_candidate,
    named_errors,
    no_progress_bar,
)
from serein.experiment.recipe import Recipe, with_values
from serein.experiment.recipe_table import OPEN_SECTIONS
from serein.tables import make_folder, write_rows, write_whole


@renamed(progress="progress_bar")
def tune(
    prepared: Prepared,
    *,
    storage: str | Path | None = None,
    progress_bar: ProgressBar = no_progress_bar,
) -> SearchResult:
    """Search as section [search] of a recipe says, in folds of unseen speakers.

    The recipe as it stands is tried first. Confidence is not calibrated: the temperature does not
    change the score.

    Parameters
    ----------
    prepared : Prepared
        The recipe with its data.
    storage : str or path, optional
        A file ending in ``.db`` or a storage URL of Optuna, from which a search is resumed.
    progress_bar : callable
        Makes a progress bar with a title.

    Returns
    -------
    SearchResult
        All trials and the best.

    Raises
    ------
    RecipeError
        If the search is impossible, or the storage holds another one of that name.
    """
    recipe, settings = prepared.recipe, prepared.recipe.search
    with progress_bar("search") as progress, named_errors(recipe):
        return search(
            partial(make_candidate, prepared),
            prepared.X,
            prepared.emotions,
            prepared.speakers,
            space_of(recipe),
            method=settings.method,
            trials=settings.trials,
            folds=settings.folds,
            start=({},),
            storage=storage,
            name=recipe.name,
            about=repr(_without_search(recipe)),
            random_state=recipe.protocol.seed,
            per_sample=prepared.per_sample(),
            augmented=prepared.augmented,
            progress=progress,
        )


def write_search(result: SearchResult, recipe: Recipe, folder: str | Path) -> Path:
    """Write the table of trials, and the recipe with the best values."""
    folder = make_folder(folder)
    names = sorted({name for row in result.table for name in row["values"]})
    columns = ["number", "state", "score", "folds", "seconds", *names, "error"]
    rows = ([(row | row["values"]).get(name, "") for name in columns] for row in result.table)
    write_rows(folder / "trials.csv", columns, rows)
    best = complete(with_values(recipe, result.best_values), recipe.name)
    note = (
        f"# Found by {result.method} search, {result.tried} trials: UAR {result.best_score:.4f} "
        "on the\n# folds it was chosen on, which is optimistic. Evaluate it on others.\n"
    )
    return write_whole(folder / "best.toml", (note + tomli_w.dumps(_table(best))).encode())


def _table(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as a TOML table, without what has its default."""
    table: dict[str, Any] = _plain(_not_default(recipe))
    for name in OPEN_SECTIONS:
        section = table.pop(name, {})
        if getattr(recipe, name) is not None:
            table[name] = section | section.pop("settings", {})
    table["model"] = {"name": recipe.model.name} | table["model"]
    if recipe.fusion and recipe.fusion.method == "hybrid":  # whose defaults are others
        table["training"] = _plain(asdict(recipe.training))
    return table


def _not_default(section: Any) -> dict[str, Any]:
    given = {}
    for entry in fields(section):
        value = getattr(section, entry.name)
        default = entry.default if entry.default_factory is MISSING else entry.default_factory()
        if is_dataclass(value):
            given[entry.name] = _not_default(value)
        elif value != default:
            given[entry.name] = value
    return {name: value for name, value in given.items() if value != {}}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _without_search(recipe: Recipe) -> dict[str, Any]:
    """Return the sections that scores depend on: not how many trials are made."""
    kept = ("model", "training", "balance", "augmentation", "features", "encoder")
    table = asdict(recipe)
    fused = {name: table[name] for name in ("fusion", "face", "text")}
    fused["unlabelled"] = recipe.data.unlabelled
    return {name: table[name] for name in table if name in kept} | {
        name: value for name, value in fused.items() if value
    }
