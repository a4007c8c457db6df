"""Probabilities that mean something: temperature scaling learnt on held-out groups."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import GroupKFold
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from serein.models.speaker_prior import SpeakerPrior

Floats = npt.NDArray[np.float64]
NO_VOTE = -10.0  # log probability of a true class that no tree or neighbour voted for


class TemperatureScaled(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose confidence is set on groups (speakers) that it did not learn from.

    `fit` runs a grouped cross-validation inside the training data, finds the one temperature that
    makes the held-out log probabilities likeliest, and fits the classifier on everything. All
    classes count here, also those a corpus lacks: confidence is about the answer as it is given. A
    held-out sample of a class that its inner fold never heard says nothing about confidence and is
    left out.

    Parameters
    ----------
    estimator : classifier
        Must give `predict_proba`, better `predict_log_proba` too; may take `sample_weight` and
        `label_set` in `fit`.
    folds : int
        Inner folds; groups are never divided between them.

    Attributes
    ----------
    estimator_ : classifier
        Fitted on all training samples.
    temperature_ : float
        Log probabilities are divided by this: above 1 it lowers confidence.
    held_out_ : numpy.ndarray
        Shape (samples, classes), calibrated log probabilities of training samples by classifiers
        that were not trained on their group; NaN where there are none.
    speaker_prior_ : SpeakerPrior or None
        How the held-out answers differ from speaker to speaker, for adaptation; None without
        groups, or if a class was never held out.
    classes_ : numpy.ndarray
        The classifier's labels.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """

    def __init__(self, estimator: Any, *, folds: int = 5) -> None:
        self.estimator = estimator
        self.folds = folds

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        groups: npt.ArrayLike | None = None,
        is_augmented: npt.ArrayLike | None = None,
        **per_sample: Any,
    ) -> Self:
        """Learn classifier and temperature."""
        finite = "allow-nan" if get_tags(self.estimator).input_tags.allow_nan else True
        checked: tuple[npt.NDArray[Any], npt.NDArray[Any]] = validate_data(
            self, X, y, dtype="numeric", ensure_all_finite=finite
        )
        vectors, labels = checked
        check_classification_targets(labels)
        told = groups is not None
        groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
        rows = {name: np.asarray(values) for name, values in per_sample.items()}
        if has_fit_parameter(self.estimator, "groups"):
            rows["groups"] = groups
        original = (
            np.ones(len(labels), bool) if is_augmented is None else ~np.asarray(is_augmented, bool)
        )
        count = min(self.folds, len(np.unique(groups)))
        if count < 2:
            raise ValueError(
                "calibration needs at least 2 speakers in the training data; got 1, "
                f"with n_samples = {len(labels)}"
            )
        self.estimator_ = clone(self.estimator).fit(vectors, labels, **rows)
        self.classes_ = self.estimator_.classes_
        held_out = np.full((len(labels), len(self.classes_)), np.nan)
        heard = np.zeros(len(labels), dtype=bool)
        for train, held in GroupKFold(count).split(vectors, labels, groups):
            test = held[original[held]]
            if not len(test) or len(np.unique(labels[train])) < 2:
                continue
            part = clone(self.estimator).fit(
                vectors[train],
                labels[train],
                **{name: values[train] for name, values in rows.items()},
            )
            held_out[test] = _aligned(part, vectors[test], self.classes_)
            heard[test] = np.isin(labels[test], part.classes_)
        if not heard.any():
            raise ValueError("calibration needs a class that at least 2 speakers have; got none")
        truth = np.searchsorted(self.classes_, labels)
        weight = rows["sample_weight"][heard] if "sample_weight" in rows else None
        self.temperature_ = fit_temperature(held_out[heard], truth[heard], weight)
        self.held_out_ = np.full_like(held_out, np.nan)
        self.held_out_[heard] = _cooled(held_out[heard], self.temperature_)
        self.speaker_prior_ = None
        if told and len(np.unique(truth[heard])) == len(self.classes_):
            calibrated = np.exp(self.held_out_[heard])
            self.speaker_prior_ = SpeakerPrior.estimate(calibrated, truth[heard], groups[heard])
        return self

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return calibrated log probabilities, shape (samples, classes)."""
        check_is_fitted(self)
        return _cooled(_log_proba(self.estimator_, X), self.temperature_)

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return calibrated probabilities, shape (samples, classes)."""
        result: Floats = np.exp(self.predict_log_proba(X))
        return result

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the likeliest label of each sample; the temperature does not change it."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.estimator).input_tags.allow_nan
        return tags


def fit_temperature(
    log_probabilities: Floats,
    truth: npt.NDArray[np.intp],
    weight: npt.NDArray[Any] | None = None,
) -> float:
    """Find the temperature that makes the true classes likeliest."""
    rows = np.arange(len(truth))
    logits = log_probabilities.copy()
    true = logits[rows, truth]
    logits[rows, truth] = np.where(np.isneginf(true), NO_VOTE, np.maximum(true, -700.0))

    def loss(log_temperature: float) -> float:
        cooled = _cooled(logits, np.exp(log_temperature))
        return float(-np.average(cooled[rows, truth], weights=weight))

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))


def _cooled(log_probabilities: Floats, temperature: float) -> Floats:
    logits = log_probabilities / temperature
    result: Floats = logits - logsumexp(logits, axis=1, keepdims=True)
    return result


def _aligned(part: Any, X: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Floats:
    """Put a fold's columns in the order of all classes; a class the fold lacks is impossible."""
    result = np.full((len(X), len(classes)), -np.inf)
    result[:, np.searchsorted(classes, part.classes_)] = _log_proba(part, X)
    return result


def _log_proba(estimator: Any, X: npt.ArrayLike) -> Floats:
    """Ask for log probabilities; votes of trees and neighbours may be 0."""
    with np.errstate(divide="ignore"):
        if hasattr(estimator, "predict_log_proba"):
            result: Floats = estimator.predict_log_proba(X)
        else:
            result = np.log(estimator.predict_proba(X))
    return result
