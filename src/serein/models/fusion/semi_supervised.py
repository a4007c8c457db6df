"""Semi-supervised learning: self-training, and co-training of modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.utils import check_random_state

from serein.errors import SettingError, check_name
from serein.models.fusion.late import LateFusion
from serein.models.fusion.modalities import Floats, Indices, Modalities, Targets, Weights
from serein.training.contract import WrappedClassifier

Guess = tuple[Indices, Indices, Floats]  # samples, their class numbers, their probabilities


class SemiSupervised(WrappedClassifier):
    """What both methods share: rounds in which confident predictions become labels.

    In each round every class may grow by the same share of the labels it was given, most confident
    predictions first, so that an easy class does not crowd out the others. Found labels set no
    temperature and no weights of modalities: they are handed on as `is_augmented`.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        threshold: float = 0.8,
        growth: float = 0.5,
        rounds: int = 10,
        pool: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.estimator = estimator
        self.threshold = threshold
        self.growth = growth
        self.rounds = rounds
        self.pool = pool
        self.random_state = random_state

    def fit(
        self,
        X: Mapping[str, npt.ArrayLike],
        y: npt.ArrayLike,
        sample_weight: Weights = None,
        groups: npt.ArrayLike | None = None,
        is_augmented: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from samples of which some have labels; None or "" marks one without."""
        samples = Modalities.read(X)
        self.check(samples.names)
        labels = np.asarray(y, dtype=object)
        targets = Targets.read(len(samples), labels, sample_weight, groups, is_augmented)
        self.classes_ = targets.classes
        self.found_ = np.where(targets.index >= 0, 0, -1)
        self._grow(samples, targets, sample_weight)
        known = targets.index >= 0
        self.labels_ = np.full(len(targets), None, dtype=object)
        self.labels_[known] = targets.labels[known]
        self.estimator_ = self._fitted(self._fusion(), samples, targets, sample_weight)
        return self

    def _grow(self, samples: Modalities, targets: Targets, sample_weight: Weights) -> None:
        """Find labels in rounds; `targets.index` and `found_` are changed in place."""
        index, random = targets.index, check_random_state(self.random_state)
        given = np.bincount(
            index[(index >= 0) & ~targets.is_augmented], minlength=len(self.classes_)
        )
        quota = np.maximum(1, np.round(self.growth * given)).astype(int)
        usable = samples.present.any(axis=1) & ~targets.is_augmented
        for number in range(1, self.rounds + 1):
            free = random.permutation(np.flatnonzero((index < 0) & usable))[: self.pool]
            guesses = []
            for names in self._views(samples.names):
                view = samples.some(names)
                mine = free[view.present[free].any(axis=1)]
                if len(mine):
                    fusion = self._fusion()
                    teacher = fusion if names == samples.names else fusion.narrowed(names)
                    teacher = self._fitted(teacher, view, targets, sample_weight)
                    guesses.append(self._guess(teacher, view, mine))
            rows, classes = most_confident(guesses, quota, self.threshold)
            if not len(rows):
                break
            index[rows] = classes
            self.found_[rows] = number

    def _views(self, names: tuple[str, ...]) -> list[tuple[str, ...]]:
        """List the modalities of each teacher."""
        return [names]

    def _fitted(
        self, estimator: Any, samples: Modalities, targets: Targets, sample_weight: Weights
    ) -> Any:
        """Fit on what has a label and at least one modality."""
        rows = np.flatnonzero((targets.index >= 0) & samples.present.any(axis=1))
        part = targets.rows(rows)
        return clone(estimator).fit(
            samples.rows(rows),
            part.labels,
            sample_weight if isinstance(sample_weight, str) else part.weight,
            part.groups,
            part.is_augmented | (self.found_[rows] > 0),
        )

    def _guess(self, teacher: Any, view: Modalities, rows: Indices) -> Guess:
        """Ask a teacher, which may lack classes, for the likeliest class of some samples."""
        probabilities = teacher.predict_proba(view.rows(rows))
        classes = np.searchsorted(self.classes_, teacher.classes_)
        return rows, classes[probabilities.argmax(axis=1)], probabilities.max(axis=1)

    def _fusion(self) -> Any:
        return LateFusion() if self.estimator is None else self.estimator

    def check(self, names: Sequence[str]) -> None:
        """Raise `SettingError` if a parameter does not suit modalities of these names."""
        self._fusion().check(names)
        self._views(tuple(names))
        if not 0 <= self.threshold < 1:
            raise SettingError(
                f"threshold is {self.threshold}; need a probability from 0 to below 1"
            )
        if not 0 < self.growth < np.inf:
            raise SettingError(f"growth is {self.growth}; need a share above 0")
        if self.rounds < 0:
            raise SettingError(f"rounds is {self.rounds}; need 0 or more")
        if self.pool is not None and self.pool < 1:
            raise SettingError(f"pool is {self.pool}; need a number of samples above 0, or None")

    def _inputs(self, X: Any) -> Any:
        return X

    def contributions(self, X: Any) -> Floats:
        """Return the share of each modality; see `FusionClassifier.contributions`."""
        return self._call("contributions", X)


class SelfTraining(SemiSupervised):
    """A fusion estimator that learns from its own confident predictions, as if they were labels.

    `estimator`: `LateFusion`, if not given; `threshold`: the least calibrated probability that
    makes a prediction a label; `growth`: in a round a class gets at most this share of the number
    of labels it was given; `rounds`: at most; fewer, once no prediction is confident enough;
    `pool`: how many samples without labels are looked at in a round, drawn at random; all if not
    given; `random_state`: seed of the pool; `estimator_`: fitted on all labels, given and found;
    `labels_`: shape (samples,), None for a sample that got no label; `found_`: shape (samples,):
    the round that found the label; 0 for a given one, -1 for none; `classes_`: sorted labels.
    Source: H. J. Scudder, "Probability of error of some adaptive pattern-recognition machines",
    IEEE Transactions on Information Theory 11(3), 1965; D. Yarowsky, "Unsupervised word sense
    disambiguation rivaling supervised methods", ACL 1995.
    """


class CoTraining(SemiSupervised):
    """Modalities that label samples for each other by their confident predictions.

    Each view (a modality, or several) has a fusion estimator of its own, which gets that view only.
    In each round every view labels the samples it is most confident of; all views, and in the end
    the estimator of all modalities, learn from them. A sample for which two views are confident of
    different classes gets no label in that round.

    `estimator`: what is fitted in the end, and, a clone each, for the views; `LateFusion` if not
    given; `views`: each a modality or a sequence of modalities; each modality is a view, if not
    given; `threshold`: the least calibrated probability; higher than that of `SelfTraining`, for a
    view alone is a weaker teacher than all of them; `growth, rounds, pool, random_state`: as
    `SelfTraining` has them, growth for each view; `estimator_, labels_, found_, classes_`: as
    `SelfTraining` has them.
    Source: A. Blum, T. Mitchell, "Combining labeled and unlabeled data with co-training", COLT
    1998, table 1.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        views: Sequence[str | Sequence[str]] | None = None,
        threshold: float = 0.95,
        growth: float = 0.5,
        rounds: int = 10,
        pool: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        super().__init__(
            estimator,
            threshold=threshold,
            growth=growth,
            rounds=rounds,
            pool=pool,
            random_state=random_state,
        )
        self.views = views

    def _views(self, names: tuple[str, ...]) -> list[tuple[str, ...]]:
        asked = names if self.views is None else self.views
        views = [(view,) if isinstance(view, str) else tuple(view) for view in asked]
        for name in (name for view in views for name in view):
            check_name("modality of views", name, names)
        if len(views) < 2:
            raise SettingError(
                f"co-training has {len(views)} view; it needs 2 or more: give more modalities, or "
                "take SelfTraining"
            )
        return views


METHODS: dict[str, type[SemiSupervised]] = {
    "self_training": SelfTraining,
    "co_training": CoTraining,
}
"""Name -> estimator."""


def most_confident(
    guesses: list[Guess], quota: npt.NDArray[np.int64], threshold: float
) -> tuple[Indices, Indices]:
    """Choose, for each teacher and class, the most confident predictions above the threshold."""
    given: dict[int, set[int]] = {}
    for rows, classes, confidence in guesses:
        for number, count in enumerate(quota):
            mine = np.flatnonzero((classes == number) & (confidence >= threshold))
            for place in mine[np.argsort(-confidence[mine], kind="stable")][:count]:
                given.setdefault(int(rows[place]), set()).add(number)
    agreed = {row: found.pop() for row, found in given.items() if len(found) == 1}
    return np.array(list(agreed), dtype=np.intp), np.array(list(agreed.values()), dtype=np.intp)
