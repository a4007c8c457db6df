"""A classifier that searches its own settings; cross-validated, a nested search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from serein.errors import check_name
from serein.evaluation.search.search import Candidate, candidates_of, fit_arguments, search
from serein.evaluation.search.space import read_space

Floats = npt.NDArray[np.float64]


def _if_it_has(name: str) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = available_if(
        lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)
    )
    return found


class Tuned(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose settings are searched inside its training data, in folds of speakers.

    `fit` searches as `serein.evaluation.search.search` does, then fits the best settings on
    everything. Cross-validating it is nested search: the settings of each fold are chosen without
    the fold's test speakers. `candidate` makes an unfitted classifier of values, by default by
    setting parameters of `estimator`; `final` makes the one that is fitted in the end.

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> X = np.concatenate([np.zeros((6, 1)), np.ones((6, 1))])
    >>> y = ["calm"] * 6 + ["angry"] * 6
    >>> tuned = Tuned(
    ...     KNeighborsClassifier(9), {"n_neighbors": [1, 3]}, method="grid", folds=2, start=()
    ... )
    >>> tuned.fit(X, y, groups=[1, 2, 3] * 4).search_.tried
    2
    """

    def __init__(
        self,
        estimator: Any,
        space: Mapping[str, Any],
        *,
        method: str = "bayesian",
        trials: int = 30,
        folds: int = 5,
        start: Sequence[Mapping[str, Any]] = ({},),
        random_state: int | np.random.RandomState | None = 0,
        candidate: Candidate | None = None,
        final: Candidate | None = None,
    ) -> None:
        self.estimator = estimator
        self.space = space
        self.method = method
        self.trials = trials
        self.folds = folds
        self.start = start
        self.random_state = random_state
        self.candidate = candidate
        self.final = final

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        **per_sample: Any,
    ) -> Self:
        """Search, and fit the best on all samples."""
        samples, y = self._validated(X, y, ensure_min_samples=2)
        check_classification_targets(y)
        candidate = self.candidate or self._candidates()
        speakers = np.arange(len(samples)) if groups is None else np.asarray(groups)
        self.search_ = search(
            candidate,
            samples,
            y,
            speakers,
            self.space,
            method=self.method,
            trials=self.trials,
            folds=self.folds,
            start=self.start,
            random_state=_seed(self.random_state),
            per_sample=per_sample,
        )
        self.best_params_ = self.search_.best_values
        best = (self.final or candidate)(self.best_params_)
        given = fit_arguments(best, per_sample)
        if has_fit_parameter(best, "groups"):
            given["groups"] = speakers
        self.estimator_ = best.fit(samples, y, **given)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the likeliest label of each sample, shape (samples,)."""
        return self._fitted().predict(self._validated(X, reset=False))

    @_if_it_has("predict_proba")
    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return probabilities, shape (samples, classes)."""
        result: Floats = self._fitted().predict_proba(self._validated(X, reset=False))
        return result

    @_if_it_has("predict_log_proba")
    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        result: Floats = self._fitted().predict_log_proba(self._validated(X, reset=False))
        return result

    def _candidates(self) -> Candidate:
        known = self.estimator.get_params()
        for name in read_space(self.space):
            check_name("parameter", name, known)
        return candidates_of(self.estimator)

    def _fitted(self) -> Any:
        check_is_fitted(self)
        return self.estimator_

    def _validated(self, *data: Any, **options: Any) -> Any:
        finite = "allow-nan" if get_tags(self.estimator).input_tags.allow_nan else True
        return validate_data(self, *data, dtype=None, ensure_all_finite=finite, **options)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.estimator).input_tags.allow_nan
        return tags


def _seed(random_state: int | np.random.RandomState | None) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
