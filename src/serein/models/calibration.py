"""Calibrated probabilities: temperature scaling fitted on held-out groups (speakers)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from serein.errors import SettingError
from serein.models.speaker_prior import SpeakerPrior
from serein.training.contract import Floats, LogProbabilityClassifier

ZERO_VOTES = -10.0  # log probability of a true class for which no tree or neighbour voted


class TemperatureScaled(LogProbabilityClassifier):
    """A classifier whose confidence is calibrated on groups (speakers) that it was not trained on.

    `fit` runs a grouped cross-validation inside the training data, finds the one temperature that
    maximises the likelihood of the held-out classes, and fits the classifier on everything. A
    held-out sample of a class that its inner fold was not trained on is left out. Log probabilities
    are divided by `temperature_`. `held_out_` has the calibrated ones of the inner folds (NaN where
    there are none), and `speaker_prior_`, for adaptation, how they differ from speaker to speaker;
    it is None without groups, or if a class was never held out.

    C. Guo et al., "On calibration of modern neural networks", ICML 2017.
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
        """Learn the classifier, and the temperature from held-out samples without augmentations."""
        finite = "allow-nan" if get_tags(self.estimator).input_tags.allow_nan else True
        vectors, labels = validate_data(self, X, y, dtype="numeric", ensure_all_finite=finite)
        check_classification_targets(labels)
        speakers = np.arange(len(labels)) if groups is None else np.asarray(groups)
        rows = {name: np.asarray(values) for name, values in per_sample.items()}
        if has_fit_parameter(self.estimator, "groups"):
            rows["groups"] = speakers
        count = min(self.folds, len(np.unique(speakers)))
        if count < 2:
            raise SettingError(
                "calibration needs at least 2 speakers in the training data; got 1, "
                f"with n_samples = {len(labels)}"
            )
        self.estimator_ = clone(self.estimator).fit(vectors, labels, **rows)
        self.classes_ = self.estimator_.classes_
        folds = GroupKFold(count).split(vectors, labels, speakers)
        held_out, scored = self._held_out(vectors, labels, folds, is_augmented, rows)
        if not scored.any():
            raise SettingError("calibration needs a class that at least 2 speakers have; got none")
        undefined = np.isnan(held_out[scored]).any(axis=1).sum()
        if undefined:
            raise SettingError(
                f"the classifier gives NaN for {undefined} of {scored.sum()} held-out samples; "
                "its confidence cannot be calibrated"
            )
        truth = np.searchsorted(self.classes_, labels)[scored]
        weight = rows["sample_weight"][scored] if "sample_weight" in rows else None
        self.temperature_ = fit_temperature(held_out[scored], truth, weight)
        self.held_out_ = _tempered(held_out, self.temperature_)
        self.speaker_prior_ = None
        if groups is not None and len(np.unique(truth)) == len(self.classes_):
            calibrated = np.exp(self.held_out_[scored])
            self.speaker_prior_ = SpeakerPrior.estimate(calibrated, truth, speakers[scored])
        return self

    def _held_out(
        self,
        X: npt.NDArray[Any],
        y: npt.NDArray[Any],
        folds: Any,
        is_augmented: npt.ArrayLike | None,
        rows: dict[str, npt.NDArray[Any]],
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return log probabilities by the inner folds, NaN where there are none, and where not."""
        augmented = np.zeros(len(y)) if is_augmented is None else np.asarray(is_augmented)
        result = np.full((len(y), len(self.classes_)), np.nan)
        scored = np.zeros(len(y), dtype=bool)
        for train, held in folds:
            test = held[~augmented[held].astype(bool)]
            if not len(test) or len(np.unique(y[train])) < 2:
                continue
            given = {name: values[train] for name, values in rows.items()}
            part = clone(self.estimator).fit(X[train], y[train], **given)
            known = np.isin(y[test], part.classes_)
            scored[test[known]] = True
            result[test[known]] = _aligned(part, X[test], self.classes_)[known]
        return result, scored

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return calibrated log probabilities, shape (samples, classes)."""
        check_is_fitted(self)
        return _tempered(_log_proba(self.estimator_, X), self.temperature_)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the most probable label of each sample; the temperature does not change it."""
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
    """Find the temperature that maximises the likelihood of the true classes."""
    rows = np.arange(len(truth))
    logits = log_probabilities.copy()
    true = logits[rows, truth]
    logits[rows, truth] = np.where(np.isneginf(true), ZERO_VOTES, np.maximum(true, -700.0))

    def loss(log_temperature: float) -> float:
        tempered = _tempered(logits, np.exp(log_temperature))
        return float(-np.average(tempered[rows, truth], weights=weight))

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))


def _tempered(log_probabilities: Floats, temperature: float) -> Floats:
    logits = log_probabilities / temperature
    return logits - logsumexp(logits, axis=1, keepdims=True)


def _aligned(part: Any, X: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Floats:
    """Put a fold's columns in the order of all classes; a class the fold lacks is impossible."""
    result = np.full((len(X), len(classes)), -np.inf)
    result[:, np.searchsorted(classes, part.classes_)] = _log_proba(part, X)
    return result


def _log_proba(estimator: Any, X: npt.ArrayLike) -> Floats:
    """Return log probabilities; those from votes of trees and neighbours may be -inf."""
    with np.errstate(divide="ignore"):
        if hasattr(estimator, "predict_log_proba"):
            return estimator.predict_log_proba(X)
        return np.log(estimator.predict_proba(X))
