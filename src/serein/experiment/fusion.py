"""Recipes that fuse the voice with the face and the text of each clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.corpora import Corpus
from serein.errors import CorpusError, RecipeError, SettingError, unknown_name
from serein.evaluation.cross_validation import Augmented
from serein.experiment.data import read_vectors, refuse_same_names
from serein.experiment.recipe import Face, Fusion, Model, Recipe, Text
from serein.experiment.toml_sections import arguments
from serein.features.openface import ACTION_UNITS, read_openface
from serein.features.text import SentenceEncoder
from serein.inference.fusion import face_features
from serein.models.calibration import TemperatureScaled
from serein.models.catalogue import make_model, search_space, takes_series
from serein.models.fusion import FUSIONS, BlockRidge, ColumnFusion, Unlabelled
from serein.models.fusion.hybrid import PLAN
from serein.models.fusion.semi_supervised import METHODS

Array = npt.NDArray[np.float32]
SET_ELSEWHERE = ("estimator", "estimators", "folds", "calibration_folds", "training")
NOT_IN_RECIPES = (*SET_ELSEWHERE, "random_state")


def with_plan(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fill in how a hybrid fusion is trained, where the table of its recipe does not say."""
    fusion, training = table.get("fusion"), table.get("training", {})
    if not (isinstance(fusion, dict) and isinstance(training, dict)):
        return table
    hybrid = fusion.get("method") == "hybrid"
    return {**table, "training": PLAN | training} if hybrid else table


def checked_fusion(fusion: Fusion, place: str) -> Fusion:
    """Check the names and settings of a section [fusion], key by key."""
    if fusion.method not in FUSIONS:
        raise RecipeError(f"{place}: {unknown_name('method', fusion.method, FUSIONS)}")
    if fusion.semi_supervised not in {"none", *METHODS}:
        names = ("none", *METHODS)
        raise RecipeError(f"{place}: {unknown_name('method', fusion.semi_supervised, names)}")
    own, semi = _split(fusion)
    settings = arguments(FUSIONS[fusion.method], own, place, without=NOT_IN_RECIPES)
    if semi:
        kind = METHODS[fusion.semi_supervised]
        settings |= arguments(kind, semi, place, without=NOT_IN_RECIPES)
    return replace(fusion, settings=settings)


def other_models(recipe: Recipe) -> dict[str, Face | Text]:
    """Return the sections of a recipe that may name a model of their own, by modality."""
    sections: dict[str, Face | Text | None] = {"face": recipe.face, "text": recipe.text}
    return {name: part for name, part in sections.items() if part}


def fusion_problems(recipe: Recipe) -> Iterator[str]:
    """Say what a recipe with fusion lacks, or has too much of."""
    fusion, unlabelled = recipe.fusion, recipe.data.unlabelled
    if fusion is None:
        if unlabelled:
            yield "data.unlabelled goes with fusion.semi_supervised"
        return
    semi = fusion.semi_supervised != "none"
    others, hybrid = other_models(recipe), fusion.method == "hybrid"
    series = [part.model for part in others.values() if takes_series(part.model, part.settings)]
    rules = {
        "fusion needs [face] or [text] beside the voice": others,
        f"[face] and [text] are vectors, and {', '.join(series)} takes series": not series,
        "only fusion.method late has models of [face] and [text]: leave model and its settings "
        "out": fusion.method == "late"
        or all(part.model == "logistic" and not part.settings for part in others.values()),
        "fusion.method hybrid is a network of its own: leave [model] out": (
            not hybrid or recipe.model == Model()
        ),
        "fusion.method hybrid has no [model]: search.space must name training.KEY alone": (
            not hybrid or all(name.startswith("training.") for name in recipe.search.space)
        ),
        "fusion works on vectors of the voice: give [encoder] without frames, or "
        "features.functionals": not recipe.series,
        "fusion.method late fits its rule in protocol.calibration_folds: give 2 or more": (
            fusion.method != "late" or recipe.protocol.calibration_folds != 0
        ),
        'fusion.method early needs model.name = "ridge": others scale each column anew': (
            fusion.method != "early" or recipe.model.name == "ridge"
        ),
        'with fusion, balance.method is "none", "class_weights" or "corpora"': (
            recipe.balance.method in {"none", "class_weights", "corpora"}
        ),
        'fusion.semi_supervised with balance.method "corpora": not known for clips without label': (
            not semi or recipe.balance.method != "corpora"
        ),
        "training.privacy_epsilon is for the voice alone: leave [fusion] out": (
            not recipe.training.privacy_epsilon
        ),
        "fusion.labelled must be above 0, and at most 1": 0 < fusion.labelled <= 1,
        "fusion.semi_supervised needs data.unlabelled, or fusion.labelled below 1": (
            not semi or unlabelled or fusion.labelled < 1
        ),
        "data.unlabelled goes with fusion.semi_supervised": semi or not unlabelled,
        "data.unlabelled must name other corpora than data.corpora": not (
            set(unlabelled) & set(recipe.data.corpora)
        ),
        "data.unlabelled needs recordings, and features.table holds vectors": not (
            unlabelled and recipe.features and recipe.features.table
        ),
    }
    yield from (rule for rule, holds in rules.items() if not holds)


def check_estimator(recipe: Recipe) -> None:
    """Raise SettingError for a value that no fusion estimator takes."""
    names = ["voice", *other_models(recipe)]
    make_fusion(recipe, dict.fromkeys(names, 1)).estimator.check(names)


def space_of(recipe: Recipe) -> dict[str, Any]:
    """Return the space of a recipe's search: the one given, or the default of its model."""
    if recipe.fusion and recipe.fusion.method == "hybrid" and not recipe.search.space:
        raise SettingError(
            "fusion.method hybrid has nothing to search by default: name training.KEY under "
            "[search.space]"
        )
    return search_space(recipe.model.name, recipe.search.space)


def make_fusion(
    recipe: Recipe,
    widths: Mapping[str, int],
    *,
    unlabelled: Unlabelled | None = None,
    checkpoint: Path | None = None,
) -> ColumnFusion:
    """Build the untrained classifier that a recipe with fusion describes."""
    fusion, seed = recipe.fusion or Fusion(), recipe.protocol.seed
    folds = recipe.protocol.calibration_folds or 0
    own, semi = _split(fusion)
    if fusion.method == "late":
        build = partial(
            make_model, training=recipe.training, random_state=seed, checkpoint=checkpoint
        )
        own["estimators"] = {"voice": build(recipe.model.name, recipe.model.settings)}
        for name, part in other_models(recipe).items():
            own["estimators"][name] = build(part.model, part.settings)
        own["folds"] = max(2, folds)  # a search asks for none, but the rule needs some
    else:
        own["random_state"] = seed
        if fusion.method == "early":
            ridge = BlockRidge(**recipe.model.settings)
            own["estimator"] = TemperatureScaled(ridge, folds=folds) if folds else ridge
        else:
            own["calibration_folds"] = folds
            own["training"] = recipe.training
    estimator = FUSIONS[fusion.method](**own)
    if fusion.semi_supervised != "none":
        estimator = METHODS[fusion.semi_supervised](estimator, **semi, random_state=seed)
    weighted = recipe.balance.method == "class_weights"
    return ColumnFusion(estimator, widths, class_weights=weighted, unlabelled=unlabelled)


def fusion_manifest(recipe: Recipe, widths: Mapping[str, int]) -> dict[str, Any]:
    """Write down how a bundle fuses which modalities."""
    fusion = recipe.fusion or Fusion()
    about: dict[str, dict[str, Any]] = {name: {"features": n} for name, n in widths.items()}
    for name, part in other_models(recipe).items() if fusion.method == "late" else ():
        about[name]["model"] = {"name": part.model, **part.settings}
    if recipe.text:
        encoder = SentenceEncoder(recipe.text.encoder)
        name = Path(encoder.name).name  # not where it lay on this machine
        about["text"] |= {"encoder": name, "fingerprint": encoder.fingerprint}
    kept = {key: value for key, value in asdict(fusion).items() if key != "settings"}
    return {"modalities": about, "fusion": kept | fusion.settings}


def _split(fusion: Fusion) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the settings of a section: those of the method, those of semi-supervised learning."""
    kind = METHODS.get(fusion.semi_supervised)
    known = set(signature(kind).parameters) - set(NOT_IN_RECIPES) if kind else set()
    settings = fusion.settings.items()
    own = {key: value for key, value in settings if key not in known}
    return own, {key: value for key, value in settings if key in known}


def other_modalities(
    recipe: Recipe, corpus: Corpus, unlabelled: Corpus | None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Describe face and text of each clip of a corpus, and of the clips without labels.

    Each is name -> (clips, features), NaN where a clip has none.
    """
    more = unlabelled.utterances if unlabelled else ()
    clips, count = replace(corpus, utterances=corpus.utterances + more), len(corpus)
    found = {}
    if recipe.face:
        found["face"] = face_features(_faces(Path(recipe.face.table), clips))
    if recipe.text:
        found["text"] = _texts(clips, SentenceEncoder(recipe.text.encoder))
    for name, array in found.items():
        if np.isnan(array[:count, 0]).all():
            raise CorpusError(f"no clip of {corpus.name} has a {name}: see [{name}] of the recipe")
    return (
        {name: array[:count] for name, array in found.items()},
        {name: array[count:] for name, array in found.items()},
    )


def beside(X: Array, others: Mapping[str, Array]) -> Array:
    """Put the columns of the other modalities beside those of the voice."""
    return np.hstack([X, *others.values()]) if others else X


def widths_of(X: Array, others: Mapping[str, Array]) -> dict[str, int]:
    """Say how many columns each modality has; nothing of a voice alone."""
    named = {"voice": X} | dict(others) if others else {}
    return {name: array.shape[1] for name, array in named.items()}


def augmented_beside(
    augmented: Augmented, others: Mapping[str, Array], recipe: Recipe
) -> Augmented:
    """Give augmented recordings the face and text of their clip.

    In late fusion they get none: the classifiers of face and text need no copies of what they have.
    """
    rows = {name: array[augmented.parent] for name, array in others.items()}
    if recipe.fusion and recipe.fusion.method == "late":
        rows = {name: np.full_like(array, np.nan) for name, array in rows.items()}
    return replace(augmented, X=beside(augmented.X, rows))


def labelled(recipe: Recipe, emotions: list[str]) -> npt.NDArray[np.bool_]:
    """Draw which clips keep their label: the same share of each emotion, at least one."""
    share = recipe.fusion.labelled if recipe.fusion else 1.0
    random, names = np.random.default_rng(recipe.protocol.seed), np.array(emotions)
    keep = np.zeros(len(names), bool)
    for name in np.unique(names):
        own = random.permutation(np.flatnonzero(names == name))
        keep[own[: max(1, round(share * len(own)))]] = True
    return keep


def _faces(table: Path, corpus: Corpus) -> Array:
    """Read the mean action units of each clip, NaN for a clip without."""
    if not table.is_dir():
        return read_vectors(table, corpus, columns=ACTION_UNITS, gaps=True)
    none = np.full(len(ACTION_UNITS), np.nan, np.float32)
    files = [table / f"{path.stem}.csv" for path in corpus.paths]
    refuse_same_names([file.stem for file in files if file.exists()], corpus)
    return np.stack([read_openface(file).mean() if file.exists() else none for file in files])


def _texts(corpus: Corpus, encoder: SentenceEncoder) -> Array:
    """Describe what is said in each clip, each text once; NaN for a clip without."""
    texts = [(clip.text or "").strip() for clip in corpus]
    known = sorted({text for text in texts if text})
    vectors = dict(zip(known, encoder(known), strict=True))
    none = np.full(encoder.dimensions, np.nan, np.float32)
    return np.stack([vectors.get(text, none) for text in texts])
