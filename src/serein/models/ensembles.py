"""Ensembles: bagging, boosting, voting and stacking of any classifiers.

Members may be networks. Inside an ensemble a network is not given the speakers, so one with early
stopping cannot hold out speakers: train members with ``patience=0``. What the functions return is
not yet fitted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_X_y, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from serein.errors import SettingError
from serein.training.contract import Floats, check_weights, class_index

Members = Sequence[tuple[str, Any]]
RandomState = int | np.random.RandomState | None

FOLDS = 5  # of stacking, if none are given


class GroupedStacking(StackingClassifier):  # type: ignore[misc]
    """Stacking whose inner folds never divide a group (speaker).

    The final classifier is trained on the members' predictions for held-out samples. If those were
    of speakers in the members' training data, it would trust the member that remembers voices most.

    D. H. Wolpert, "Stacked generalization", Neural Networks 5(2), 1992.
    """

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn members and the final classifier; return itself."""
        _, labels = check_X_y(X, y, accept_sparse=True, dtype=None, ensure_all_finite=False)
        class_index(labels[check_weights(sample_weight, len(labels)) > 0])
        weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
        if groups is None:
            super().fit(X, labels, **weighted)
            return self
        asked = self.get_params(deep=False)["cv"]
        self.set_params(cv=_grouped_folds(asked, X, labels, groups))
        try:
            with warnings.catch_warnings():
                # A fold may lack a class that one speaker alone has: its probability is 0 there.
                warnings.filterwarnings("ignore", "Number of classes in training fold")
                super().fit(X, labels, **weighted)
        finally:
            self.set_params(cv=asked)
        return self


def _grouped_folds(
    asked: Any, X: npt.ArrayLike, y: npt.ArrayLike, groups: npt.ArrayLike
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    folds = FOLDS if asked is None else asked
    if not isinstance(folds, int | np.integer) or folds < 2:
        raise SettingError(f"cv is {asked!r}; with groups it must be a number of folds, at least 2")
    speakers = len(np.unique(np.asarray(groups)))
    if speakers < 2:
        raise SettingError(
            f"stacking needs at least 2 speakers in the training data; got {speakers}"
        )
    return list(GroupKFold(min(int(folds), speakers)).split(X, y, groups))


class SeriesBoosting(AdaBoostClassifier):  # type: ignore[misc]
    """AdaBoost, also of regularised classifiers, and of those that take padded series.

    scikit-learn's weights sum to 1, against which regularisation is overwhelming: here they keep
    the sum of the weights that `fit` was given. NaN, the padding of series, is let through to
    classifiers that allow it.
    """

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Self:
        """Learn one classifier after the other, each from what those before it got wrong."""
        vectors, labels = check_X_y(
            X, y, dtype=None, ensure_all_finite=self._finite(), estimator=self
        )
        self.total_weight_ = float(check_weights(sample_weight, len(labels)).sum())
        with config_context(assume_finite=True):
            super().fit(vectors, labels, sample_weight)
        return self

    def decision_function(self, X: npt.ArrayLike) -> Floats:
        """Return the weighted votes: shape (samples, classes); for two classes (samples,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=None, ensure_all_finite=self._finite(), reset=False)
        with config_context(assume_finite=True):
            return super().decision_function(X)

    def _boost(self, iboost: int, X: Any, y: Any, sample_weight: Floats, *rest: Any) -> Any:
        # Votes and the next weights depend on the weights' ratios alone, so this is for the fit.
        restored = sample_weight * (self.total_weight_ / sample_weight.sum())
        return super()._boost(iboost, X, y, restored, *rest)

    def _finite(self) -> bool | str:
        return "allow-nan" if get_tags(self).input_tags.allow_nan else True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        known = self.estimator is not None and get_tags(self.estimator).input_tags.allow_nan
        tags.input_tags.allow_nan = known
        tags.input_tags.sparse = False
        return tags


def bagging(
    base: Any,
    *,
    count: int = 10,
    samples: float = 1.0,
    features: float = 1.0,
    random_state: RandomState = None,
) -> BaggingClassifier:
    """Make the mean of classifiers that are each trained on samples drawn with replacement.

    L. Breiman, "Bagging predictors", Machine Learning 24, 1996.
    """
    _refuse_none(count)
    return BaggingClassifier(
        base,
        n_estimators=count,
        max_samples=float(samples),
        max_features=float(features),
        random_state=random_state,
    )


def boosting(
    base: Any = None,
    *,
    count: int = 50,
    learning_rate: float = 0.5,
    depth: int = 3,
    random_state: RandomState = None,
) -> SeriesBoosting:
    """Make AdaBoost: each classifier gives more weight to what those before it got wrong.

    J. Zhu, H. Zou, S. Rosset, T. Hastie, "Multi-class AdaBoost", Statistics and Its Interface 2,
    2009: SAMME.
    """
    if base is None:
        base = DecisionTreeClassifier(max_depth=depth)
    if not has_fit_parameter(base, "sample_weight"):
        raise SettingError(
            f"boosting needs a classifier whose fit takes sample_weight; {type(base).__name__} "
            "does not (neither does knn nor a hidden Markov model): use bagging, or another one"
        )
    _refuse_none(count)
    return SeriesBoosting(
        base, n_estimators=count, learning_rate=learning_rate, random_state=random_state
    )


def voting(members: Members, *, weights: Sequence[float] | None = None) -> VotingClassifier:
    """Make the mean of the members' probabilities."""
    listed = _listed(members)
    if weights is not None and len(weights) != len(listed):
        raise SettingError(f"{len(weights)} weights for {len(listed)} members; need one a member")
    return VotingClassifier(listed, voting="soft", weights=weights, flatten_transform=False)


def stacking(
    members: Members,
    *,
    final: Any = None,
    C: float = 1.0,
    folds: int = FOLDS,
    random_state: RandomState = None,
) -> GroupedStacking:
    """Make a final classifier, trained on the members' probabilities."""
    if folds < 2:
        raise SettingError(f"folds is {folds}; need at least 2")
    if final is None:
        final = LogisticRegression(C=C, max_iter=2000, random_state=random_state)
    return GroupedStacking(_listed(members), final, cv=folds, stack_method="predict_proba")


def _refuse_none(count: int) -> None:
    if count < 1:
        raise SettingError(f"count is {count}; need at least 1")


def _listed(members: Members) -> list[tuple[str, BaseEstimator]]:
    listed = list(members)
    if not listed:
        raise SettingError("an ensemble needs at least 1 member; got none")
    return listed


ENSEMBLES: dict[str, Callable[..., Any]] = {
    "bagging": bagging,
    "boosting": boosting,
    "voting": voting,
    "stacking": stacking,
}
"""Name -> function that makes the ensemble: the first two of one classifier, the others of a list
of (name, classifier)."""
