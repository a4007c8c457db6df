"""Training for domain adaptation: general, near and relative heads, and confidence for the unseen.

What is learnt is kept in `serein.models.baseline.AdaptiveHeads`, which predicts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted, validate_data

from serein.errors import SettingError
from serein.models.baseline import (
    MIN_DEVIATION,
    AdaptiveHeads,
    Baseline,
    nearest,
    temperature,
)
from serein.models.held_out import (
    HeldOut,
    Index,
    Rows,
    confidence_lines,
    corpus_shares,
    mixed,
    near_corpora,
    near_gate,
    speaker_prior,
    variety,
)
from serein.models.linear import possible_classes
from serein.models.ridge import MaskedRidge, Moments, moments_of
from serein.models.speaker_prior import SpeakerPrior
from serein.training.contract import Floats, LogProbabilityClassifier, check_weights, class_index

AXES = 100  # in which the distance from training is measured
ROUNDS = 20  # of fitting means of corpora and of classes in turn


@dataclass(frozen=True, eq=False)
class _Sums:
    """Moments of each block of samples, of a corpus and a fold, for each of the heads."""

    corpus: npt.NDArray[np.str_]
    fold: npt.NDArray[np.intp]
    single: list[Moments]
    relative: list[Moments]  # of each sample twice: relative to its corpus, and to its speaker
    near: list[Moments]
    centre: Floats

    def part(self, chosen: npt.NDArray[np.bool_]) -> _Sums:
        """Take some blocks."""

        def some(head: list[Moments]) -> list[Moments]:
            return [head[row] for row in np.flatnonzero(chosen)] if head else []

        single, relative, near = map(some, (self.single, self.relative, self.near))
        return _Sums(self.corpus[chosen], self.fold[chosen], single, relative, near, self.centre)


@dataclass(frozen=True, eq=False)
class _Geometry:
    """How far a sample is from each training corpus; `axes`: (columns, axes)."""

    axes: npt.NDArray[np.float32]
    centres: npt.NDArray[np.float32]


class DomainAdapted(LogProbabilityClassifier):
    """Linear classifiers for recordings near to training, for any others, and for a set of them.

    The general one is `estimator`. The near one fits the training corpora more closely, and
    counts for recordings that are like those: the odds of that are learnt from the distance of
    held-out speakers and of corpora left out, where there are several. The relative one is fitted
    on features of which each corpus's mean and deviation, and again each speaker's, were taken; at
    test time the baseline is that of the recordings at hand, without labels: `adapted_log_proba`.
    Augmented samples have a baseline of their own.

    Confidence is fitted on corpora that were left out in turn, and on held-out speakers of all,
    with their augmented samples, so that it knows noisy and short ones: the logarithm of the
    temperature is a line over the distance of a recording from the nearest training corpus, so that
    what is far from training is predicted with less confidence. With a single corpus there are
    held-out speakers alone. The distance is Mahalanobis's, in the axes along which the recordings
    of a corpus differ most.

    `label_set` is the corpus of each sample, as the classifiers of `serein.models.linear` take it.
    `estimator`, `near`: such classifiers; without `near` the general one predicts alone.
    `columns`: what the general and the relative one, and the distance, see of the features; all, if
    not given. `folds`: inner folds of speakers; `random_state`: draws sets of recordings, from
    which it is learnt how varied predictions of a set are.

    Distance: K. Lee et al., "A simple unified framework for detecting out-of-distribution samples
    and adversarial attacks", NeurIPS 2018.
    """

    def __init__(
        self,
        estimator: MaskedRidge,
        *,
        near: MaskedRidge | None = None,
        columns: Index | None = None,
        folds: int = 3,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.near = near
        self.columns = columns
        self.folds = folds
        self.random_state = random_state

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        groups: npt.ArrayLike,
        label_set: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        is_augmented: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from labelled vectors of several speakers, and of several corpora if there are."""
        vectors, labels = validate_data(self, X, y, dtype=np.float32)
        speakers = np.asarray(groups).astype(str)
        corpora = np.zeros(len(labels), str) if label_set is None else np.asarray(label_set)
        weight = check_weights(sample_weight, len(labels))
        copies = np.zeros(len(labels), bool) if is_augmented is None else np.asarray(is_augmented)
        rows = Rows(vectors, labels, speakers, corpora.astype(str), weight, copies.astype(bool))
        if len(np.unique(speakers)) < 2:
            raise SettingError("calibration needs at least 2 speakers in the training data; got 1")
        self.classes_, _ = class_index(labels)
        several = self.near is not None and len(np.unique(rows.corpora)) > 1
        fold = self._folds(rows)
        sums = self._sums(rows, fold, near=several)
        width = rows.X.shape[1]
        heads = (_widened(head, self.columns, width) for head in self._heads(sums))
        self.single_, self.relative_ = heads
        self.near_ = self._near(sums) if several else None
        held = list(self._held_out(rows, fold, sums))
        gate = near_gate([one.recordings for one in held]) if several else np.zeros(2)
        held = mixed(held, gate)
        confidence = confidence_lines(held)
        held = [one.recordings for one in held]
        prior = speaker_prior(held, confidence[0])
        varied = variety(held, confidence[0], prior, np.random.default_rng(self.random_state))
        self.heads_ = self._arrays(rows, gate, confidence, prior, varied)
        far = [one.distance for one in held if one.corpus] or [one.distance for one in held]
        usual = np.median(np.concatenate(far))
        self.temperature_ = float(temperature(confidence[0], usual))
        return self

    def _some(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the columns that the general and the relative head see."""
        return X if self.columns is None else X[..., self.columns]

    def _folds(self, rows: Rows) -> Index:
        """Say in which inner fold of speakers each sample is."""
        folds = GroupKFold(min(self.folds, len(np.unique(rows.speakers))))
        fold = np.zeros(len(rows.y), np.intp)
        for number, (_, test) in enumerate(folds.split(rows.X, rows.y, rows.speakers)):
            fold[test] = number
        return fold

    def _sums(self, rows: Rows, fold: Index, *, near: bool) -> _Sums:
        """Sum the samples of each corpus and fold, once for all that is fitted on some of them."""
        index = np.searchsorted(self.classes_, rows.y)
        possible = possible_classes(index, rows.corpora)
        centre = rows.X.mean(axis=0, dtype=np.float64)
        seen = self._some(rows.X)
        where = {(name, number): None for name, number in zip(rows.corpora, fold, strict=True)}
        blocks = [(rows.corpora == name) & (fold == number) for name, number in where]

        def moments(X: npt.NDArray[np.float32]) -> list[Moments]:
            return [
                moments_of(X[mine], index[mine], rows.weight[mine], possible[mine][0])
                for mine in blocks
            ]

        single = moments(seen - self._some(centre))
        parts = (moments(relative_to(seen, groups)) for groups in (rows.sets, rows.voices))
        relative = [one + other for one, other in zip(*parts, strict=True)]
        closely = moments(rows.X - centre) if near else []
        names = np.array([name for name, _ in where])
        return _Sums(names, np.array([n for _, n in where]), single, relative, closely, centre)

    def _heads(self, sums: _Sums) -> tuple[MaskedRidge, MaskedRidge]:
        """Fit the head for single recordings, and that for features relative to a baseline."""
        centre = self._some(sums.centre)
        single = clone(self.estimator).fit_moments(sums.single, centre, self.classes_)
        zero = np.zeros(len(centre))
        relative = clone(self.estimator).fit_moments(sums.relative, zero, self.classes_)
        return single, relative

    def _near(self, sums: _Sums) -> MaskedRidge:
        """Fit the head for recordings like those of training."""
        found: MaskedRidge = clone(self.near).fit_moments(sums.near, sums.centre, self.classes_)
        return found

    def _held_out(self, rows: Rows, fold: Index, sums: _Sums) -> Iterator[HeldOut]:
        """Predict what is left out: each corpus in turn, then some speakers of all in turn.

        A corpus that was left out is far from the others, so the near head is not needed there.
        """
        names = [name for name in np.unique(rows.corpora) if (rows.corpora != name).any()]
        by_corpus = [(rows.corpora == name, sums.part(sums.corpus != name)) for name in names]
        by_speaker = [
            (fold == number, sums.part(sums.fold != number)) for number in np.unique(fold)
        ]
        for number, (out, part) in enumerate([*by_corpus, *by_speaker]):
            corpus = number < len(by_corpus)
            known = out & np.isin(rows.y, rows.y[~out])
            if known.any() and len(np.unique(rows.y[~out])) > 1:
                closely = self._near(part) if part.near and not corpus else None
                geometry = self._geometry(rows.part(~out & ~rows.augmented))
                yield self._predicted(part, closely, geometry, rows.part(known), corpus=corpus)

    def _predicted(
        self,
        part: _Sums,
        near: MaskedRidge | None,
        geometry: _Geometry,
        test: Rows,
        *,
        corpus: bool,
    ) -> HeldOut:
        """Learn from a part, and predict the rest in each of `KINDS`."""
        single, relative = self._heads(part)
        seen = self._some(test.X)
        found = [_logits(single, seen)]
        found += [_logits(relative, relative_to(seen, of)) for of in (test.sets, test.voices)]
        closely = None if near is None else _logits(near, test.X)
        distance = nearest(test.X @ geometry.axes, geometry.centres)
        truth = np.searchsorted(self.classes_, test.y)
        return HeldOut(np.stack(found), closely, distance, truth, test.bare, corpus)

    def _geometry(self, rows: Rows) -> _Geometry:
        """Find the axes along which a corpus's recordings differ most, scaled to variance 1."""
        mine = [self._some(rows.X[rows.corpora == name]) for name in near_corpora(rows)]
        means = np.array([part.mean(axis=0) for part in mine])
        covariance = np.mean([_covariance(part) for part in mine], axis=0)
        width = len(covariance)
        known = min(AXES, width, max(1, sum(map(len, mine)) - len(mine)))
        variance, axes = eigh(covariance, subset_by_index=[width - known, width - 1])
        scaled = axes / np.sqrt(np.maximum(variance, MIN_DEVIATION**2))
        wide = np.zeros((rows.X.shape[1], known), np.float32)
        wide[slice(None) if self.columns is None else self.columns] = scaled
        wide = wide.astype(np.float16).astype(np.float32)  # as they are kept
        seen = wide if self.columns is None else wide[self.columns]
        return _Geometry(wide, np.asarray(means @ seen, np.float32))

    def _arrays(
        self,
        rows: Rows,
        gate: Floats,
        confidence: Floats,
        prior: SpeakerPrior,
        varied: Floats,
    ) -> AdaptiveHeads:
        """Put together what predicts."""
        weight, bias = _affine(self.relative_)
        closely = (np.zeros((0, rows.X.shape[1])), np.zeros(0))
        if self.near_ is not None:
            closely = _affine(self.near_)
        clean = rows.part(~rows.augmented)
        names, share = corpus_shares(clean)
        mine = [clean.X[clean.corpora == name] for name in names]
        mean = share @ np.array([part.mean(axis=0) for part in mine])
        deviation = np.sqrt(share @ np.array([part.var(axis=0) for part in mine])) + MIN_DEVIATION
        geometry = self._geometry(clean)
        parts = np.stack([prior.means, prior.within, prior.between])
        offsets = class_offsets(clean, self.classes_)
        known = (geometry.axes, geometry.centres, confidence, parts, varied, offsets)
        arrays = (weight, bias, mean, deviation, *closely, gate, *known)
        return AdaptiveHeads(*(np.asarray(part, np.float32) for part in arrays))

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return calibrated log probabilities of single recordings, shape (samples, classes)."""
        check_is_fitted(self)
        vectors = validate_data(self, X, dtype=np.float32, reset=False)
        return self.heads_.single(self.single_.logits(vectors), vectors)

    def adapted_log_proba(self, X: npt.ArrayLike, known: npt.ArrayLike, kind: str) -> Floats:
        """Return log probabilities adapted to other recordings (recordings, columns), unlabelled.

        `kind`: ``recordings`` or ``speaker``, of which the known ones are.
        """
        vectors = validate_data(self, X, dtype=np.float32, reset=False)
        others = np.asarray(known, np.float32).reshape(-1, vectors.shape[1])
        baseline = Baseline(kind, len(self.classes_))
        if len(others):
            baseline.add(self.heads_, others, np.exp(self.predict_log_proba(others)))
        return self.heads_.adapted(self.predict_log_proba(vectors), vectors, baseline)


def _covariance(X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the covariance of features, in single precision: (columns, columns)."""
    apart = X - X.mean(axis=0)
    return apart.T @ apart / np.float32(len(X))


def _logits(head: MaskedRidge, X: npt.NDArray[np.float32]) -> Floats:
    """Return the logits (samples, classes), in single precision, of checked features."""
    weight, bias = _affine(head)
    return X @ weight.T.astype(np.float32) + bias


def _affine(head: MaskedRidge) -> tuple[Floats, Floats]:
    """Return a head's weights for features as they are, (classes, columns), and its bias."""
    weight = head.coef_ / head.scale_
    return weight, head.intercept_ - weight @ head.mean_


def _widened(head: MaskedRidge, columns: Index | None, width: int) -> MaskedRidge:
    """Let a head that was fitted on some columns take all, `width` of them."""
    if columns is None:
        return head
    for name, rest in (("coef_", 0.0), ("mean_", 0.0), ("scale_", 1.0)):
        found = getattr(head, name)
        wide = np.full((*found.shape[:-1], width), rest)
        wide[..., columns] = found
        setattr(head, name, wide)
    head.n_features_in_ = width
    return head


def class_offsets(rows: Rows, classes: npt.NDArray[Any]) -> Floats:
    """Fit a mean to each corpus and an offset to each class, in turn: (classes, columns).

    On the corpora to which the distance is measured, if these have all classes.
    """
    near = rows.part(np.isin(rows.corpora, near_corpora(rows)))
    if len(np.unique(near.y)) == len(classes):
        rows = near
    cells = {
        (corpus, number): rows.X[(rows.corpora == corpus) & (rows.y == name)].mean(axis=0)
        for corpus in np.unique(rows.corpora)
        for number, name in enumerate(classes)
        if ((rows.corpora == corpus) & (rows.y == name)).any()
    }
    offsets = np.zeros((len(classes), rows.X.shape[1]))
    for _ in range(ROUNDS):
        means: dict[str, Floats] = {}
        for corpus in np.unique(rows.corpora):
            mine = [cell - offsets[n] for (of, n), cell in cells.items() if of == corpus]
            means[corpus] = np.mean(mine, axis=0)
        for number in range(len(classes)):
            mine = [cell - means[of] for (of, n), cell in cells.items() if n == number]
            offsets[number] = np.mean(mine, axis=0)
        offsets -= offsets.mean(axis=0)
    return offsets


def relative_to(
    X: npt.NDArray[np.float32], groups: npt.NDArray[np.str_]
) -> npt.NDArray[np.float32]:
    """Take each group's own mean from its features, and divide by its deviation."""
    result = np.empty_like(X)
    for name in np.unique(groups):
        mine = groups == name
        part = X[mine]
        result[mine] = (part - part.mean(axis=0)) / (part.std(axis=0) + MIN_DEVIATION)
    return result
