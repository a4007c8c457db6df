"""Checks, before any features are extracted, that the folds inside training fit the speakers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from serein.corpora import Corpus
from serein.errors import ProtocolError, SettingError
from serein.evaluation.protocol import Fold, check_folds, speaker_k_fold
from serein.experiment.recipe import Recipe
from serein.models.catalogue import MODELS, member_names
from serein.training.holdout import held_out

Strings = npt.NDArray[np.str_]


def check_inner_folds(recipe: Recipe, corpus: Corpus, folds: list[Fold]) -> None:
    """Raise if calibration, early stopping or a nested search lack speakers in a training part."""
    speakers, emotions = _columns(corpus)
    for number, (train, _) in enumerate(folds):
        here = f"fold {number}"
        if recipe.search.nested:
            _check_search(recipe, speakers[train], emotions[train], here)
        _check_fit(recipe, speakers[train], emotions[train], here)


def check_search_folds(recipe: Recipe, corpus: Corpus) -> None:
    """Raise if a search on all speakers cannot make its folds, or train in them."""
    _check_search(recipe, *_columns(corpus), "the search")


def _columns(corpus: Corpus) -> tuple[Strings, Strings]:
    return np.array([row.speaker for row in corpus]), np.array([row.emotion for row in corpus])


def _check_search(recipe: Recipe, speakers: Strings, emotions: Strings, here: str) -> None:
    wanted, there = recipe.search.folds, len(np.unique(speakers))
    if there < wanted:
        allowed = f"set folds to 2 to {there} under [search]" if there > 1 else "add speakers"
        raise ProtocolError(
            f"{here} has {there} speaker(s), for search.folds = {wanted} folds of unseen speakers: "
            f"{allowed}"
        )
    labels, truth = np.unique(emotions, return_inverse=True)
    try:
        split = speaker_k_fold(
            *(speakers.tolist(), emotions.tolist()),
            folds=wanted,
            random_state=recipe.protocol.seed,
        )
        check_folds(split, speakers, truth, labels)
    except ProtocolError as error:
        raise ProtocolError(f"{here}, in search.folds: {error}") from error
    for train, _ in split:
        _check_early_stopping(recipe, speakers[train], emotions[train], f"{here}, in search.folds")


def _check_fit(recipe: Recipe, speakers: Strings, emotions: Strings, here: str) -> None:
    _check_early_stopping(recipe, speakers, emotions, here)
    folds, there = recipe.protocol.calibration_folds, np.unique(speakers)
    if not folds:
        return
    if len(there) < 2:
        raise ProtocolError(
            f"{here} trains on one speaker, {there[0]}, and calibration holds out others: set "
            "calibration_folds = 0 under [protocol], which leaves confidence as the model gives it"
        )
    for train, _ in GroupKFold(min(folds, len(there))).split(emotions, emotions, speakers):
        inner = f"{here}, in protocol.calibration_folds"
        if len(np.unique(emotions[train])) > 1:
            _check_early_stopping(recipe, speakers[train], emotions[train], inner)


def _check_early_stopping(recipe: Recipe, speakers: Strings, emotions: Strings, here: str) -> None:
    plan = recipe.training
    if plan.patience < 1 or not _has_networks(recipe):
        return
    try:
        held_out(emotions, speakers, plan.held_out, np.random.RandomState(0))
    except SettingError as error:
        raise ProtocolError(f"{here}: {error} (patience under [training])") from error


def _has_networks(recipe: Recipe) -> bool:
    name = recipe.model.name
    names = {name, *member_names(name, recipe.model.settings)}
    hybrid = recipe.fusion is not None and recipe.fusion.method == "hybrid"
    return hybrid or any(MODELS[one].kind == "network" for one in names)
