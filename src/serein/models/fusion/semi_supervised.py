"""Learning from clips of which few are labelled: self-training, and co-training of modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from serein.errors import unknown_name
from serein.models.fusion.late import LateFusion
from serein.models.fusion.modalities import Flags, Floats, Indices, Modalities, column

Guess = tuple[Indices, Indices, Floats]  # samples, their class numbers, how sure


class SemiSupervised(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What self-training and co-training share: rounds in which sure answers become labels.

    In each round every class may grow by the same share of the labels it was given, surest answers
    first, so that a class that is easy to see does not crowd out the others. Labels that were not
    given set no confidence and no weights of modalities: they are handed on as `is_augmented`.
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
        groups: npt.ArrayLike | None = None,
        is_augmented: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from samples of which some have labels."""
        self._check()
        samples = Modalities.read(X)
        given = column(np.asarray(y, dtype=object), len(samples), "y")
        known = np.array([label is not None and label != "" for label in given], dtype=bool)
        labels = np.array(given[known].tolist())
        if len(np.unique(labels)) < 2:
            raise ValueError(
                f"{known.sum()} samples have labels, of {len(np.unique(labels))} classes; need "
                "some of at least 2 (None or an empty string marks a sample without a label)"
            )
        speakers = np.arange(len(given)) if groups is None else column(groups, len(given), "groups")
        copies = np.zeros(len(given), bool)
        if is_augmented is not None:
            copies = column(is_augmented, len(given), "is_augmented").astype(bool)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        index = np.full(len(given), -1)
        index[known] = numbers
        self.found_ = np.where(known, 0, -1)
        self._grow(samples, index, speakers, copies)
        learnt = index >= 0
        self.labels_ = np.full(len(given), None, dtype=object)
        self.labels_[learnt] = self.classes_[index[learnt]]
        final = self._fusion()
        self.estimator_ = self._fitted(final, samples, index, speakers, copies)
        return self

    def _grow(
        self, samples: Modalities, index: Indices, groups: npt.NDArray[Any], is_augmented: Flags
    ) -> None:
        """Find labels in rounds; `index` and `found_` are changed in place."""
        random = check_random_state(self.random_state)
        given = np.bincount(index[(index >= 0) & ~is_augmented], minlength=len(self.classes_))
        quota = np.maximum(1, np.round(self.growth * given)).astype(int)
        seen = samples.present.any(axis=1) & ~is_augmented
        for number in range(1, self.rounds + 1):
            free = random.permutation(np.flatnonzero((index < 0) & seen))
            guesses = self._guesses(samples, index, groups, is_augmented, free[: self.pool])
            rows, classes = _surest(guesses, quota, self.threshold)
            if not len(rows):
                break
            index[rows] = classes
            self.found_[rows] = number

    def _guesses(
        self,
        samples: Modalities,
        index: Indices,
        groups: npt.NDArray[Any],
        is_augmented: Flags,
        free: Indices,
    ) -> list[Guess]:
        """Let each teacher, fitted on the labels there are, answer for samples without."""
        raise NotImplementedError

    def _fitted(
        self,
        estimator: Any,
        samples: Modalities,
        index: Indices,
        groups: npt.NDArray[Any],
        is_augmented: Flags,
    ) -> Any:
        """Fit on what has a label and at least one modality."""
        rows = np.flatnonzero((index >= 0) & samples.present.any(axis=1))
        return clone(estimator).fit(
            samples.rows(rows).arrays,
            self.classes_[index[rows]],
            groups=groups[rows],
            is_augmented=is_augmented[rows] | (self.found_[rows] > 0),
        )

    def _numbered(self, teacher: Any, samples: Modalities) -> Floats:
        """Ask for probabilities in the order of all classes: a view may lack one."""
        result = np.zeros((len(samples), len(self.classes_)))
        columns = np.searchsorted(self.classes_, teacher.classes_)
        result[:, columns] = teacher.predict_proba(samples.arrays)
        return result

    def _fusion(self) -> Any:
        return LateFusion() if self.estimator is None else self.estimator

    def _check(self) -> None:
        if not 0 <= self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; need a probability from 0 to below 1")
        if not 0 < self.growth < np.inf:
            raise ValueError(f"growth is {self.growth}; need a share above 0")
        if self.rounds < 0:
            raise ValueError(f"rounds is {self.rounds}; need 0 or more")
        if self.pool is not None and self.pool < 1:
            raise ValueError(f"pool is {self.pool}; need a number of samples above 0, or None")

    def predict(self, X: Mapping[str, npt.ArrayLike]) -> npt.NDArray[Any]:
        """Return the likeliest label of each sample, shape (samples,)."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_proba(self, X: Mapping[str, npt.ArrayLike]) -> Floats:
        """Return probabilities, shape (samples, classes)."""
        check_is_fitted(self)
        result: Floats = self.estimator_.predict_proba(X)
        return result

    def predict_log_proba(self, X: Mapping[str, npt.ArrayLike]) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        check_is_fitted(self)
        result: Floats = self.estimator_.predict_log_proba(X)
        return result

    def contributions(self, X: Mapping[str, npt.ArrayLike]) -> Floats:
        """Say how much of the answer each modality gives; see `FusionClassifier.contributions`."""
        check_is_fitted(self)
        result: Floats = self.estimator_.contributions(X)
        return result


class SelfTraining(SemiSupervised):
    """A fusion estimator that labels for itself what it is sure of, and learns from it.

    Parameters
    ----------
    estimator : FusionClassifier, optional
        `LateFusion`, if not given.
    threshold : float
        The least calibrated probability that makes an answer a label.
    growth : float
        In a round a class gets at most this share of the number of labels it was given.
    rounds : int
        At most; fewer, once no answer is sure enough.
    pool : int, optional
        How many samples without labels are looked at in a round, drawn at random; all if not given.
    random_state : int, RandomState or None
        Seed of the pool.

    Attributes
    ----------
    estimator_, labels_, found_, classes_
        As `SemiSupervised` has them.

    References
    ----------
    H. J. Scudder, "Probability of error of some adaptive pattern-recognition machines", IEEE
    Transactions on Information Theory 11(3), 1965; D. Yarowsky, "Unsupervised word sense
    disambiguation rivaling supervised methods", ACL 1995.
    """

    def _guesses(
        self,
        samples: Modalities,
        index: Indices,
        groups: npt.NDArray[Any],
        is_augmented: Flags,
        free: Indices,
    ) -> list[Guess]:
        if not len(free):
            return []
        teacher = self._fitted(self._fusion(), samples, index, groups, is_augmented)
        return [_best(free, self._numbered(teacher, samples.rows(free)))]


class CoTraining(SemiSupervised):
    """Modalities that label for each other what they are sure of.

    Each view (a modality, or several) has a fusion estimator of its own, which sees that view only.
    In each round every view gives labels to what it is surest of; all views, and in the end the
    estimator of all modalities, learn from them. A sample for which two views are sure of different
    answers gets no label in that round.

    Parameters
    ----------
    estimator : FusionClassifier, optional
        What is fitted in the end, and, a clone each, for the views; `LateFusion` if not given.
    views : sequence, optional
        Each a modality or a sequence of modalities; each modality is a view, if not given.
    threshold : float
        The least calibrated probability; higher than that of `SelfTraining`, for a view alone is a
        weaker teacher than all of them.
    growth, rounds, pool, random_state
        As `SelfTraining` has them, growth for each view.

    Attributes
    ----------
    estimator_, labels_, found_, classes_
        As `SemiSupervised` has them.

    References
    ----------
    A. Blum, T. Mitchell, "Combining labeled and unlabeled data with co-training", COLT 1998,
    table 1.
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

    def _guesses(
        self,
        samples: Modalities,
        index: Indices,
        groups: npt.NDArray[Any],
        is_augmented: Flags,
        free: Indices,
    ) -> list[Guess]:
        guesses = []
        for names in self._views(samples.names):
            view = Modalities({name: samples.arrays[name] for name in names})
            mine = free[view.present[free].any(axis=1)]
            if not len(mine):
                continue
            teacher = self._fitted(
                self._fusion().narrowed(names), view, index, groups, is_augmented
            )
            guesses.append(_best(mine, self._numbered(teacher, view.rows(mine))))
        return guesses

    def _views(self, names: tuple[str, ...]) -> list[tuple[str, ...]]:
        asked = names if self.views is None else self.views
        views = [(view,) if isinstance(view, str) else tuple(view) for view in asked]
        for name in (name for view in views for name in view):
            if name not in names:
                raise ValueError(unknown_name("modality of views", name, names))
        if len(views) < 2:
            raise ValueError(
                f"co-training has {len(views)} view; it needs 2 or more: give more modalities, or "
                "take SelfTraining"
            )
        return views


def _best(rows: Indices, probabilities: Floats) -> Guess:
    return rows, probabilities.argmax(axis=1), probabilities.max(axis=1)


def _surest(
    guesses: list[Guess], quota: npt.NDArray[np.int64], threshold: float
) -> tuple[Indices, Indices]:
    """Choose, for each teacher and class, the surest answers that are sure enough."""
    given: dict[int, set[int]] = {}
    for rows, classes, sure in guesses:
        for number, count in enumerate(quota):
            mine = np.flatnonzero((classes == number) & (sure >= threshold))
            for place in mine[np.argsort(-sure[mine], kind="stable")][:count]:
                given.setdefault(int(rows[place]), set()).add(number)
    agreed = {row: answers.pop() for row, answers in given.items() if len(answers) == 1}
    return np.array(list(agreed), dtype=np.intp), np.array(list(agreed.values()), dtype=np.intp)
