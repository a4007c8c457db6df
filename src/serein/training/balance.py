"""Imbalanced classes: resampling and class weights, inside the training data alone."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter, validate_data

from serein.errors import SettingError, check_name
from serein.training.contract import WrappedClassifier, class_index
from serein.training.generative import ConditionalWGAN

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.intp]
Resampled = tuple[Rows, Array, Array]  # rows that are kept; synthetic samples, and their labels
NEIGHBOURS = 5  # of SMOTE, as in Chawla et al.


METHODS: dict[str, Any] = {
    "none": None,
    "over": RandomOverSampler,
    "under": RandomUnderSampler,
    "smote": SMOTE,
    "class_weights": None,
    "gan": ConditionalWGAN,
}
"""Name -> the class that resamples; None where the samples are kept."""


class Balanced(WrappedClassifier):
    """A classifier trained on balanced classes; prediction is untouched.

    Resampling happens inside `fit`, so never on held-out samples. Within a calibration or another
    inner cross-validation this belongs inside: ``TemperatureScaled(Balanced(classifier))``, or
    synthetic samples would be held out.

    `estimator`: the classifier; a pipeline gets its weights and groups at its last step.
    `method`: a key of `METHODS`; or an over-sampler of imbalanced-learn, or `ConditionalWGAN`, with
    settings of its own, its seed included.
    `random_state`: seed of the named methods.
    `estimator_`: the fitted copy of the classifier.
    Source: N. V. Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 16, 2002.
    """

    def __init__(
        self,
        estimator: Any,
        method: str | Any = "none",
        *,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.random_state = random_state

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        sample_weight: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
        **per_sample: Any,
    ) -> Self:
        """Balance, then fit."""
        vectors, labels = validate_data(self, X, y, ensure_all_finite=False)
        self.classes_, _ = class_index(labels)
        arrays = self._arrays(labels, sample_weight, groups, per_sample)
        rows, synthetic, new = self._resampled(vectors, labels)
        given = {
            str(_fit_name(self.estimator, name)): _aligned(name, values, rows, len(new))
            for name, values in arrays.items()
        }
        self.estimator_ = clone(self.estimator).fit(
            np.concatenate([vectors[rows], synthetic]), np.concatenate([labels[rows], new]), **given
        )
        return self

    def _arrays(
        self, y: Array, sample_weight: Any, groups: Any, per_sample: dict[str, Any]
    ) -> dict[str, Array]:
        """Collect what the classifier's fit takes beside X and y; check its length."""
        given = per_sample | {"sample_weight": sample_weight}
        if groups is not None and _fit_name(self.estimator, "groups"):
            given["groups"] = groups
        arrays = {name: np.asarray(values) for name, values in given.items() if values is not None}
        if isinstance(self.method, str) and self.method == "class_weights":
            arrays["sample_weight"] = compute_sample_weight("balanced", y) * arrays.get(
                "sample_weight", 1.0
            )
        for name, values in arrays.items():
            if values.shape != y.shape:
                raise SettingError(f"{name} has shape {values.shape}; needs {y.shape}")
            if _fit_name(self.estimator, name) is None:
                raise SettingError(
                    f"{type(self.estimator).__name__} takes no {name} in fit: choose another "
                    "classifier, or a method that resamples (over, under, smote, gan)"
                )
        return arrays

    def _resampled(self, X: Array, y: Array) -> Resampled:
        if not isinstance(self.method, str):
            return _resample(clone(self.method), type(self.method).__name__, X, y)
        check_name("method", self.method, METHODS)
        kind, random = METHODS[self.method], check_random_state(self.random_state)
        if kind is None:
            return np.arange(len(y)), X[:0], y[:0]
        if kind is SMOTE:
            return _smote(X, y, random)
        return _resample(kind(random_state=random), self.method, X, y)


def _resample(sampler: Any, name: str, X: Array, y: Array) -> Resampled:
    repeats = isinstance(sampler, RandomOverSampler) and sampler.shrinkage is None
    if repeats or isinstance(sampler, RandomUnderSampler):
        sampler.fit_resample(np.arange(len(y))[:, None], y)  # what X holds does not matter
        return sampler.sample_indices_, X[:0], y[:0]
    if not isinstance(sampler, BaseOverSampler):
        raise SettingError(
            f"method is {sampler!r}; need one of {', '.join(METHODS)}, or an over-sampler that "
            "keeps the samples it is given"
        )
    if not np.isfinite(X).all():
        raise SettingError(
            f"X holds NaN or infinity; {name} works on vectors, not on series: pool the frames, "
            "or use over, under or class_weights"
        )
    more, labels = sampler.fit_resample(X, y)  # over-samplers put the given samples first
    return np.arange(len(y)), more[len(y) :], labels[len(y) :]


def _smote(X: Array, y: Array, random: np.random.RandomState) -> Resampled:
    """Interpolate between neighbours of the smaller classes; a tiny class has fewer neighbours."""
    synthetic, labels = [X[:0]], [y[:0]]
    names, counts = np.unique(y, return_counts=True)
    for name, count in zip(names, counts, strict=True):
        if count == counts.max():
            continue
        if count == 1:
            raise SettingError(
                f"class {name} has a single sample, and SMOTE interpolates between 2: use over or "
                "class_weights, or leave the class out"
            )
        sampler = SMOTE(
            sampling_strategy={name: counts.max()},
            k_neighbors=min(NEIGHBOURS, count - 1),
            random_state=random,
        )
        _, vectors, new = _resample(sampler, "smote", X, y)
        synthetic.append(vectors)
        labels.append(new)
    return np.arange(len(y)), np.concatenate(synthetic), np.concatenate(labels)


def _aligned(name: str, values: Array, rows: Rows, synthetic: int) -> Array:
    """Select an array's kept rows, and append its value for synthetic samples."""
    if not synthetic:
        return values[rows]
    of_synthetic: dict[str, Any] = {"sample_weight": 1.0, "groups": ""}
    if name not in of_synthetic:
        raise SettingError(
            f"{name} of synthetic samples is not known: use over, under or class_weights with it"
        )
    if name == "groups":
        values = values.astype(str)
    return np.concatenate([values[rows], np.full(synthetic, of_synthetic[name])])


def _fit_name(estimator: Any, name: str) -> str | None:
    """Return the name by which `fit` takes an array or passes it on; None if it does not."""
    if has_fit_parameter(estimator, name):
        return name
    if hasattr(estimator, "steps"):
        step, last = estimator.steps[-1]
        inner = _fit_name(last, name)
        return f"{step}__{inner}" if inner else None
    if has_fit_parameter(estimator, "per_sample") and hasattr(estimator, "estimator"):
        return _fit_name(estimator.estimator, name)
    return None
