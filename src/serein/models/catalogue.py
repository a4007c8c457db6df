"""MODELS: every model by its name, with what makes it and the space of a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

import numpy.typing as npt
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import has_fit_parameter

from serein.errors import SettingError, check_name
from serein.models.architectures import ARCHITECTURES
from serein.models.classical import CLASSICAL
from serein.models.ensembles import ENSEMBLES
from serein.models.hmm import GaussianMixtureHMM
from serein.models.network_classifier import NetworkClassifier
from serein.models.pipelines import Pooled, Pooling
from serein.training.plan import Training

MEMBERS = ("logistic", "svm", "random_forest")  # of voting and stacking, if none are named
BASE = {"bagging": "svm"}  # boosting has a tree of its own
VECTORS_ONLY = ("mlp",)
MASKED = ("logistic", "ridge")
"""Models whose `fit` takes `label_set`: classes that a sample's corpus lacks are masked."""


@dataclass(frozen=True)
class Family:
    """How a model is made, of which kind it is, and the default space of a search."""

    build: Callable[..., Any]
    kind: str
    space: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slow(self) -> bool:
        """Whether fitting it takes minutes rather than seconds."""
        return self.kind in {"network", "ensemble"}


RATE = {"training.learning_rate": {"low": 3e-4, "high": 1e-2, "log": True}}
DROPOUT = {"model.dropout": {"low": 0.0, "high": 0.6}}
SPACES: dict[str, dict[str, Any]] = {
    "graph": {"model.graph": ["line", "cycle"]},
    "logistic": {"model.C": {"low": 1e-4, "high": 10.0, "log": True}},
    "ridge": {"model.alpha": {"low": 3e-5, "high": 0.03, "log": True}},
    "svm": {
        "model.C": {"low": 0.03, "high": 100.0, "log": True},
        "model.gamma": {"low": 1e-5, "high": 0.1, "log": True},
    },
    "naive_bayes": {"model.smoothing": {"low": 1e-9, "high": 1.0, "log": True}},
    "random_forest": {
        "model.features": {"low": 0.02, "high": 0.6, "log": True},
        "model.leaf": {"low": 1, "high": 8},
    },
    "knn": {
        "model.neighbours": {"low": 1, "high": 40, "log": True},
        "model.metric": ["euclidean", "manhattan"],
    },
    "gradient_boosting": {
        "model.learning_rate": {"low": 0.02, "high": 0.3, "log": True},
        "model.depth": {"low": 2, "high": 5},
    },
    "gmm_hmm": {"model.states": {"low": 1, "high": 6}, "model.mixtures": {"low": 1, "high": 4}},
    "bagging": {"model.samples": {"low": 0.3, "high": 1.0}},
    "boosting": {
        "model.learning_rate": {"low": 0.05, "high": 1.0, "log": True},
        "model.depth": {"low": 1, "high": 5},
    },
    "voting": {},
    "stacking": {"model.C": {"low": 0.01, "high": 10.0, "log": True}},
}

MODELS: dict[str, Family] = {
    **{
        name: Family(kind, "network", RATE | DROPOUT | SPACES.get(name, {}))
        for name, kind in ARCHITECTURES.items()
    },
    **{name: Family(build, "classical", SPACES[name]) for name, build in CLASSICAL.items()},
    "gmm_hmm": Family(GaussianMixtureHMM, "hmm", SPACES["gmm_hmm"]),
    **{name: Family(build, "ensemble", SPACES[name]) for name, build in ENSEMBLES.items()},
}
"""Name -> what it is."""


def make_model(
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    training: Training | None = None,
    width: int | None = None,
    random_state: int | None = 0,
    checkpoint: str | Path | None = None,
    scaling: npt.ArrayLike | None = None,
) -> Any:
    """Make an untrained classifier.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    settings : mapping, optional
        Parameters of its `build`. An ensemble's ``members`` (or ``base``) are names; the settings
        of a member stand under its name.
    training : Training, optional
        How networks are trained.
    width : int, optional
        Features a frame, where the rows are series; a model of vectors is then given mean,
        deviation, minimum and maximum over time.
    random_state : int, optional
        Seed.
    checkpoint : path, optional
        Folder where networks keep the state of their training.
    scaling : array_like, optional
        Other samples, whose mean and deviation scale a network's features.

    Returns
    -------
    classifier
        A scikit-learn estimator.

    Raises
    ------
    SettingError
        If the name is unknown or a setting not allowed.

    Examples
    --------
    >>> make_model("svm", {"C": 2.0})
    Scaled(estimator=MarginSVM(C=2.0))
    """
    check_name("model", name, MODELS)
    family, given = MODELS[name], dict(settings or {})
    known = [*signature(family.build).parameters, *member_names(name, given)]
    for key in given:
        check_name(f"setting of {name}", key, known)
    if family.kind == "network":
        architecture = family.build(**given)
        architecture.check()
        return NetworkClassifier(
            architecture,
            training,
            width=width,
            random_state=random_state,
            checkpoint=checkpoint,
            scaling=scaling,
        )
    if family.kind == "hmm":
        hmm = GaussianMixtureHMM(width, **given, random_state=random_state)
        hmm.check()
        return hmm
    if family.kind == "ensemble":
        return _ensemble(name, given, training, width, random_state)
    classifier = family.build(**given, **_seed(family.build, random_state))
    _refuse_wrong_settings(classifier)
    return pooled(classifier, width)


def member_names(name: str, settings: Mapping[str, Any]) -> list[str]:
    """Name the members of an ensemble; none for any other model."""
    if MODELS[name].kind != "ensemble":
        return []
    if name in {"voting", "stacking"}:
        named = list(settings.get("members", MEMBERS))
    else:
        base = settings.get("base", BASE.get(name))
        named = [base] if base else []
    return list(dict.fromkeys(str(member) for member in named))


def takes_series(name: str, settings: Mapping[str, Any]) -> bool:
    """Tell whether a model, or a member of it, is trained on series of frames."""
    if MODELS[name].kind == "ensemble":
        known = [member for member in member_names(name, settings) if member in MODELS]
        return any(takes_series(member, settings.get(member, {})) for member in known)
    return MODELS[name].kind in {"network", "hmm"} and name not in VECTORS_ONLY


def pooled(classifier: Any, width: int | None) -> Any:
    """Put pooling over time before a classifier of vectors, where the rows are series."""
    if width is None:
        return classifier
    if not has_fit_parameter(classifier, "sample_weight"):  # Pooled would offer weights
        return make_pipeline(Pooling(width), classifier)
    return Pooled(classifier, width=width)


def _ensemble(
    name: str,
    given: dict[str, Any],
    training: Training | None,
    width: int | None,
    random_state: int | None,
) -> Any:
    names = member_names(name, given)
    settings = {key: given.pop(key) for key in names if key in given}

    def member(key: str) -> Any:
        own = settings.get(key)
        return make_model(key, own, training=training, width=width, random_state=random_state)

    if name in {"voting", "stacking"}:
        given["members"] = [(key, member(key)) for key in names]
    else:
        given["base"] = member(names[0]) if names else None
    build = MODELS[name].build
    ensemble = build(**given, **_seed(build, random_state))
    _refuse_wrong_settings(ensemble)
    return ensemble if names else pooled(ensemble, width)  # its own tree takes vectors


def _seed(build: Callable[..., Any], random_state: int | None) -> dict[str, int | None]:
    return {"random_state": random_state} if "random_state" in signature(build).parameters else {}


def search_space(name: str, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the space of a search: the one given, or the model's default."""
    found = dict(space or MODELS[name].space)
    if not found:
        raise SettingError(f"{name} has nothing to search by default: name it under [search.space]")
    return found


def _refuse_wrong_settings(classifier: Any) -> None:
    """Let scikit-learn check settings now, which it would do in `fit`, minutes later."""
    parts = [classifier, *classifier.get_params(deep=True).values()]
    for part in parts:
        if hasattr(part, "_parameter_constraints"):  # ours have none, and check in `fit`
            part._validate_params()
