"""Defaults that depend on the model, and every check of a recipe that needs no data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from inspect import signature
from math import inf
from typing import Any

import numpy as np

from serein.audio.chain import AUGMENTATIONS, draw
from serein.audio.read import RATE_HZ
from serein.corpora import CORPORA
from serein.emotions import label_name, own_emotions
from serein.errors import RecipeError, SettingError, check_name, unknown_name
from serein.evaluation.result import OVERLAPS
from serein.evaluation.search.search import METHODS as SEARCHES
from serein.evaluation.search.space import read_space
from serein.experiment.data import FROM_FOLDER, overlaid
from serein.experiment.fusion import (
    check_estimator,
    checked_fusion,
    fusion_problems,
    other_models,
    space_of,
)
from serein.experiment.recipe import Data, Encoder, Features, Fusion, Model, Recipe
from serein.experiment.recipe_table import corpora_of, corpus_problems
from serein.experiment.splits import SPLITS
from serein.experiment.toml_sections import arguments, value_of
from serein.features.frontend import LEVELS, FrontEnd
from serein.inference.bundle import MIN_HOP_S
from serein.models.catalogue import (
    MASKED,
    MODELS,
    make_model,
    member_names,
    takes_series,
)
from serein.training.accelerated import make_accelerator
from serein.training.balance import METHODS as BALANCES
from serein.training.privacy import PRIVATE_MODELS, load_opacus

VECTORS = Features(sets=("expert", "mfcc", "mfcc_delta"), functionals=("mean", "std", "p20", "p80"))
SERIES = Features(sets=("log_mel",))
FEATURES = {
    "textbook_cnn": Features(sets=("log_power",)),
    "gmm_hmm": Features(sets=("mfcc", "mfcc_delta"), step=1),
}
"""Features of a model where the recipe names none; other models: `SERIES` or `VECTORS`."""
WITHOUT_WEIGHTS = {"knn", "gmm_hmm"}
NOT_IN_RECIPES = ("random_state", "width", "final")


def complete(recipe: Recipe, place: str) -> Recipe:
    """Fill in what depends on the model, and check everything that can be checked."""
    if recipe.model.name not in MODELS:
        raise RecipeError(f"{place}: {unknown_name('model', recipe.model.name, MODELS)}")
    family = MODELS[recipe.model.name]
    recipe = replace(recipe, model=_model(recipe.model, f"{place}: model"))
    recipe = replace(recipe, data=_with_labels(recipe.data, place))
    try:
        recipe = replace(recipe, emotions=own_emotions(recipe.emotions))
    except SettingError as error:
        raise RecipeError(f"{place}: emotions: {error}") from error
    recipe = _with_front(recipe, place)
    recipe = _with_fusion(recipe, place)
    folds = recipe.protocol.calibration_folds
    if folds is None:
        hybrid = recipe.fusion is not None and recipe.fusion.method == "hybrid"
        folds = 0 if hybrid else 2 if family.slow else 5
        recipe = replace(recipe, protocol=replace(recipe.protocol, calibration_folds=folds))
    for problem in _problems(recipe):
        raise RecipeError(f"{place}: {problem}")
    return recipe


def _with_labels(data: Data, place: str) -> Data:
    """Name emotions as corpora do, whatever word the recipe has for them."""
    try:
        merge = {label_name(old): label_name(new) for old, new in data.merge.items()}
        return replace(data, merge=merge, leave_out=tuple(map(label_name, data.leave_out)))
    except SettingError as error:
        raise RecipeError(f"{place}: data: {error}") from error


def front_end(features: Features) -> FrontEnd:
    """Make the front end of a recipe without an encoder."""
    options = asdict(features)
    del options["table"]
    return FrontEnd("features", **options)


def _model(model: Model, place: str) -> Model:
    """Check a model's settings, and those of an ensemble's members, key by key."""
    names = member_names(model.name, model.settings)
    for name in names:
        if name not in MODELS:
            raise RecipeError(f"{place}: {unknown_name('member', name, MODELS)}")
    own = {key: value for key, value in model.settings.items() if key not in names}
    settings = arguments(MODELS[model.name].build, own, place, without=NOT_IN_RECIPES)
    for name in names:
        if name in model.settings:
            given = value_of(dict[str, Any], model.settings[name], f"{place}: {name}")
            settings[name] = _model(Model(name, given), f"{place}: {name}").settings
    return replace(model, settings=settings)


def _with_front(recipe: Recipe, place: str) -> Recipe:
    if recipe.encoder and recipe.features:
        raise RecipeError(f"{place}: has both [encoder] and [features]; leave one out")
    if recipe.encoder:
        return recipe
    if recipe.features is None and recipe.model == Model():
        return replace(recipe, encoder=Encoder())
    default = FEATURES.get(
        recipe.model.name,
        SERIES if takes_series(recipe.model.name, recipe.model.settings) else VECTORS,
    )
    features = recipe.features if recipe.features not in (None, Features()) else default
    if not features.sets:
        features = replace(features, sets=default.sets, functionals=default.functionals)
    return replace(recipe, features=features)


def _with_fusion(recipe: Recipe, place: str) -> Recipe:
    """Check fusion and the models of face and text, key by key."""
    for name in ("face", "text"):
        part = getattr(recipe, name)
        if part:
            if part.model not in MODELS:
                raise RecipeError(f"{place}: {name}: {unknown_name('model', part.model, MODELS)}")
            checked = _model(Model(part.model, part.settings), f"{place}: {name}")
            recipe = replace(recipe, **{name: replace(part, settings=checked.settings)})
            recipe = replace(recipe, fusion=recipe.fusion or Fusion())
    if recipe.fusion is None:
        return recipe
    return replace(recipe, fusion=checked_fusion(recipe.fusion, f"{place}: fusion"))


def _problems(recipe: Recipe) -> Iterator[str]:
    """List what is wrong, worst first."""
    yield from _wrong_names(recipe)
    for what, attempt in _attempts(recipe).items():
        try:
            attempt()
        except (ValueError, TypeError) as error:
            yield f"{what}: {error}"
    protocol, bundle = recipe.protocol, recipe.bundle
    rules = {
        "data.corpora must name at least one corpus": bool(recipe.data.corpora),
        "protocol.folds must be at least 2": protocol.folds >= 2,
        'protocol.named goes with split = "named_folds", which needs it': (
            bool(protocol.named) == (protocol.split == "named_folds")
        ),
        'protocol.test goes with split = "train_and_test", which needs it, and with '
        '"leave_one_corpus_out"': (
            bool(protocol.test) == (protocol.split == "train_and_test")
            or protocol.split == "leave_one_corpus_out"
        ),
        'protocol.emotions must be "common" or "all"': protocol.emotions in ("common", "all"),
        **_adaptation_rules(recipe),
        "bursts needs an [encoder], and the voice alone, without fusion": (
            recipe.bursts is None or (recipe.encoder is not None and recipe.fusion is None)
        ),
        "protocol.calibration_folds must be 0 or at least 2": protocol.calibration_folds != 1
        and (protocol.calibration_folds or 0) >= 0,
        "protocol.seed must be 0 to 4294967295": 0 <= protocol.seed < 2**32,
        "augmentation.per_clip must be 0 to 20": 0 <= recipe.augmentation.per_clip <= 20,
        'augmentation: overlay needs recordings: ranges = { overlay = { folder = "…" } }': (
            "overlay" not in recipe.augmentation.chain
            or "folder" in recipe.augmentation.ranges.get("overlay", {})
        ),
        "augmentation.per_clip needs augmentation.chain": not recipe.augmentation.per_clip
        or bool(recipe.augmentation.chain),
        "augmentation.probability must be 0 to 1": all(
            0 <= chance <= 1 for chance in recipe.augmentation.probability.values()
        ),
        "augmentation.weight must be above 0 to 1": 0 < recipe.augmentation.weight <= 1,
        'augmentation.weight needs balance.method "corpora"': recipe.augmentation.weight == 1
        or recipe.balance.method == "corpora",
        "augmentation works on recordings, and features.table holds vectors that are there "
        "already: leave one out": not (
            recipe.augmentation.per_clip and recipe.features and recipe.features.table
        ),
        **_balance_rules(recipe),
        **_privacy_rules(recipe),
        "gmm_hmm takes series: leave encoder, features.functionals and features.table out": (
            recipe.model.name != "gmm_hmm" or (recipe.series and not recipe.encoder)
        ),
        "search.trials must be at least 1": recipe.search.trials >= 1,
        "search.folds must be at least 2": recipe.search.folds >= 2,
        "bundle.window_s must be 1 to 30": 1 <= bundle.window_s <= 30,
        f"bundle.hop_s must be above 0 and at most window_s, and {MIN_HOP_S:g} or more": (
            MIN_HOP_S <= bundle.hop_s <= bundle.window_s
        ),
    }
    yield from (rule for rule, holds in rules.items() if not holds)
    yield from fusion_problems(recipe)


def _balance_rules(recipe: Recipe) -> dict[str, bool]:
    """Return what balancing needs of the model and the features."""
    method, name = recipe.balance.method, recipe.model.name
    taking_part = {name, *member_names(name, recipe.model.settings)}
    for part in other_models(recipe).values():
        taking_part |= {part.model, *member_names(part.model, part.settings)}
    weightless = ", ".join(sorted(taking_part & WITHOUT_WEIGHTS))
    made = method in {"smote", "gan"}
    return {
        f"balance.method {method} gives weights, and {weightless} takes none: use over or under": (
            method not in {"class_weights", "corpora"} or not weightless
        ),
        'balance.weight goes with balance.method = "corpora"': (
            method == "corpora" or not recipe.balance.weight
        ),
        "balance.weight must be above 0, and finite": all(
            0 < weight < inf for weight in recipe.balance.weight.values()
        ),
        f"balance.method {method} makes vectors, and these features are series: give "
        "features.functionals or an encoder without frames, or use over, under or "
        "class_weights": not (made and recipe.series),
        f"balance.method {method} cannot say of which corpus a made vector is: use over or under": (
            not (made and name in MASKED and len(recipe.data.corpora) > 1)
        ),
    }


def _adaptation_rules(recipe: Recipe) -> dict[str, bool]:
    """Return what a head relative to a baseline needs."""
    adaptation = recipe.adaptation
    wanted = adaptation.relative
    needs = {
        'model.name = "ridge"': recipe.model.name == "ridge",
        "one vector a recording: an [encoder] without frames, or features.functionals": (
            not recipe.series
        ),
        'balance.method "none" or "corpora"': recipe.balance.method in ("none", "corpora"),
        "the voice alone, without fusion": recipe.fusion is None,
        "features of recordings, not of a table": not (recipe.features and recipe.features.table),
    }
    further = adaptation.near_alpha > 0 or adaptation.means_only
    rules = {
        f"adaptation.relative needs {what}": holds or not wanted for what, holds in needs.items()
    }
    return rules | {
        "adaptation.near_alpha must be at least 0": adaptation.near_alpha >= 0,
        "adaptation.near_alpha and means_only need adaptation.relative": wanted or not further,
        "adaptation.near_alpha needs several corpora, which tell what is near": (
            not adaptation.near_alpha or len(recipe.data.corpora) > 1
        ),
        "adaptation.means_only needs an [encoder]": not adaptation.means_only
        or recipe.encoder is not None,
    }


def _privacy_rules(recipe: Recipe) -> dict[str, bool]:
    """Return what privacy needs: each recording is trained on once, and by one network."""
    private, public = recipe.training.privacy_epsilon > 0, set(recipe.data.public)
    table = recipe.features is not None and recipe.features.table is not None
    name, models = recipe.model.name, " or ".join(PRIVATE_MODELS)
    needs = {
        f"model {models}, not {name}": name in PRIVATE_MODELS,
        "augmentation.per_clip = 0: augmented data reveal their recording too": (
            not recipe.augmentation.per_clip
        ),
        'balance.method = "none": others reveal which recordings there are': (
            recipe.balance.method == "none"
        ),
        "search.nested = false: each trial reveals recordings": not recipe.search.nested,
    }
    return {
        f"training.privacy_epsilon needs {what}": holds or not private
        for what, holds in needs.items()
    } | {
        "data.public goes with training.privacy_epsilon": private or not public,
        "data.public must name other corpora than data.corpora": not (
            public & set(recipe.data.corpora)
        ),
        "data.public needs recordings, and features.table holds vectors": not (public and table),
    }


def _wrong_names(recipe: Recipe) -> Iterator[str]:
    corpora = corpora_of(recipe)
    yield from corpus_problems(corpora)
    data, augmentation = recipe.data, recipe.augmentation
    chain = augmentation.chain
    known = set(data.corpora) <= CORPORA.keys()  # a table may name its own
    named: list[tuple[str, str, Iterable[str]]] = [
        ("split", recipe.protocol.split, SPLITS),
        *(
            ("corpus in protocol.test", name, data.corpora)
            for name in recipe.protocol.test
            if known
        ),
        ("speaker_overlap", recipe.protocol.speaker_overlap, OVERLAPS),
        ("balance method", recipe.balance.method, (*BALANCES, "corpora")),
        *(("corpus in balance.weight", name, data.corpora) for name in recipe.balance.weight),
        *(("corpus in data.folders", name, corpora) for name in data.folders),
        ("search method", recipe.search.method, SEARCHES),
        *(("augmentation", name, AUGMENTATIONS) for name in chain),
        *(("augmentation", name, chain) for name in augmentation.ranges | augmentation.probability),
    ]
    if recipe.encoder:
        named.append(("level", recipe.encoder.level, LEVELS))
    for kind, name, allowed in named:
        if name not in allowed:
            yield unknown_name(kind, name, allowed)


def _attempts(recipe: Recipe) -> dict[str, Callable[[], Any]]:
    """Return, by section, calls that raise where it is wrong."""
    model, augmentation = recipe.model, recipe.augmentation
    attempts: dict[str, Callable[[], Any]] = {
        "training": recipe.training.check,
        "model": lambda: make_model(model.name, model.settings, training=recipe.training),
    }
    if recipe.fusion and not any(fusion_problems(recipe)):
        attempts["fusion"] = lambda: check_estimator(recipe)
    if recipe.training.privacy_epsilon:
        attempts["training.privacy_epsilon"] = load_opacus
    if recipe.training.device == "accelerate":
        attempts["training.device"] = make_accelerator
    if recipe.search.space:
        attempts["search.space"] = lambda: _check_space(recipe)
    if recipe.search.nested:
        attempts["search.nested"] = lambda: space_of(recipe)
    features = recipe.features
    if features and not features.table:
        attempts["features"] = lambda: front_end(features)
    for name in augmentation.chain:
        attempts[f"augmentation: {name}"] = partial(
            _check_augmentation, name, augmentation.ranges.get(name, {})
        )
    return attempts


def _check_augmentation(name: str, options: dict[str, Any]) -> None:
    generator = np.random.default_rng(0)
    if name not in FROM_FOLDER or "folder" not in options:
        if name != "overlay":
            draw(generator, name, **options)
        return
    if not isinstance(options["folder"], str):
        raise SettingError(f"folder is {options['folder']!r}; it needs a path in quotes")
    draw(generator, "overlay", other=np.ones(RATE_HZ, np.float32), **overlaid(name, options))


def _check_space(recipe: Recipe) -> None:
    read_space(recipe.search.space)
    known = [f"model.{key}" for key in signature(MODELS[recipe.model.name].build).parameters]
    known += [f"training.{key}" for key in asdict(recipe.training)]
    for name in recipe.search.space:
        check_name("setting", name, known)
