"""Training for domain adaptation: general, near and relative heads, and confidence for the unseen.

What is learnt is kept in `serein.models.baseline.AdaptiveHeads`, which predicts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted, validate_data

from serein.errors import SettingError
from serein.models.baseline import (
    MIN_DEVIATION,
    AdaptiveHeads,
    Baseline,
    log_softmax,
    mix,
    nearest,
    nearness,
    temperature,
)
from serein.models.linear import LinearClassifier
from serein.models.speaker_prior import SpeakerPrior
from serein.training.contract import Floats, LogProbabilityClassifier, check_weights

Index = npt.NDArray[np.intp]

MIN_GROUP = 5  # recordings of a speaker: with fewer, the corpus is the baseline in training
MAX_HELD_OUT = 2000  # recordings of a corpus from which the heads for held-out ones are learnt
AXES = 100  # in which the distance from training is measured
SETS, SET_SIZE = 20, 40  # drawn of a corpus, to learn how varied predictions of a set are
MIN_SET = 3  # recordings of one emotion
MIN_EMOTIONS = 3  # of a corpus of which sets are drawn, and of a speaker who counts as several
USUAL, SEVERAL_ABOVE = 0.5, 0.3  # quantiles of sets of one emotion, and of several
MIN_RISE = 0.2  # of the variety between the two
ROUNDS = 20  # of fitting means of corpora and of classes in turn
NEVER = -1e6  # log probability of a class that a head does not know


@dataclass(frozen=True, eq=False)
class _Rows:
    """Samples as `fit` is given them; `X`: (samples, columns), all else (samples,)."""

    X: npt.NDArray[np.float32]
    y: npt.NDArray[Any]
    speakers: npt.NDArray[np.str_]
    corpora: npt.NDArray[np.str_]
    weight: Floats
    augmented: npt.NDArray[np.bool_]

    def part(self, chosen: npt.NDArray[Any]) -> _Rows:
        """Take some samples."""
        return _Rows(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def drawn(self, generator: np.random.Generator) -> _Rows:
        """Draw at most `MAX_HELD_OUT` samples of each corpus."""
        kept = [
            generator.permutation(np.flatnonzero(self.corpora == name))[:MAX_HELD_OUT]
            for name in np.unique(self.corpora)
        ]
        return self.part(np.sort(np.concatenate(kept)))

    @property
    def sets(self) -> npt.NDArray[np.str_]:
        """What each sample's baseline is of: its corpus, augmented samples by themselves."""
        return np.char.add(self.corpora, np.where(self.augmented, " augmented", ""))

    @property
    def voices(self) -> npt.NDArray[np.str_]:
        """Its speaker, in place of the corpus; the corpus where the speaker has few samples."""
        names = np.char.add(np.char.add(self.sets, " "), self.speakers)
        _, which, counts = np.unique(names, return_inverse=True, return_counts=True)
        return np.where(counts[which] < MIN_GROUP, self.sets, names)


@dataclass(frozen=True, eq=False)
class _Geometry:
    """How far a sample is from each training corpus; `axes`: (columns, axes)."""

    axes: npt.NDArray[np.float32]
    centres: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """Predictions of samples that were left out; `logits`: (kinds, samples, classes)."""

    logits: Floats
    near: Floats | None  # of the near head: (samples, classes)
    distance: Floats
    truth: Index
    rows: _Rows
    corpus: bool  # all of it was left out

    @property
    def recordings(self) -> _HeldOut:
        """Those as recorded: without what was augmented."""
        kept = ~self.rows.augmented
        near = None if self.near is None else self.near[kept]
        distance, truth = self.distance[kept], self.truth[kept]
        return _HeldOut(
            self.logits[:, kept], near, distance, truth, self.rows.part(kept), self.corpus
        )


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
    not given. `folds`: inner folds of speakers; `random_state`: draws the samples from which the
    heads for held-out ones are learnt, at most `MAX_HELD_OUT` a corpus.

    Distance: K. Lee et al., "A simple unified framework for detecting out-of-distribution samples
    and adversarial attacks", NeurIPS 2018.
    """

    def __init__(
        self,
        estimator: LinearClassifier,
        *,
        near: LinearClassifier | None = None,
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
        rows = _Rows(vectors, labels, speakers, corpora.astype(str), weight, copies.astype(bool))
        if len(np.unique(speakers)) < 2:
            raise SettingError("calibration needs at least 2 speakers in the training data; got 1")
        self.single_, self.relative_ = self._heads(rows)
        self.classes_ = self.single_.classes_
        several = self.near is not None and len(np.unique(rows.corpora)) > 1
        self.near_ = self._near(rows) if several else None
        held = list(self._held_out(rows, near=several))
        gate = _gate([one.recordings for one in held]) if several else np.zeros(2)
        held = _mixed(held, gate)
        confidence = _confidence(held)
        held = [one.recordings for one in held]
        prior = _speaker_prior(held, confidence[0])
        varied = self._varied(held, confidence[0], prior)
        self.heads_ = self._arrays(rows, gate, confidence, prior, varied)
        far = [one.distance for one in held if one.corpus] or [one.distance for one in held]
        usual = np.median(np.concatenate(far))
        self.temperature_ = float(temperature(confidence[0], usual))
        return self

    def _seen(self, rows: _Rows) -> npt.NDArray[np.float32]:
        """Return the columns that the general and the relative head see."""
        return rows.X if self.columns is None else rows.X[:, self.columns]

    def _heads(self, rows: _Rows) -> tuple[LinearClassifier, LinearClassifier]:
        """Fit the head for single recordings, and that for features relative to a baseline."""
        seen, width = self._seen(rows), rows.X.shape[1]
        single = clone(self.estimator).fit(
            seen, rows.y, sample_weight=rows.weight, label_set=rows.corpora
        )
        doubled = {
            "sample_weight": np.tile(rows.weight, 2),
            "label_set": np.tile(rows.corpora, 2),
        }
        both = np.concatenate([relative_to(seen, rows.sets), relative_to(seen, rows.voices)])
        relative = clone(self.estimator).fit(both, np.tile(rows.y, 2), **doubled)
        return _widened(single, self.columns, width), _widened(relative, self.columns, width)

    def _near(self, rows: _Rows) -> LinearClassifier:
        """Fit the head for recordings like those of training."""
        return clone(self.near).fit(
            rows.X, rows.y, sample_weight=rows.weight, label_set=rows.corpora
        )

    def _held_out(self, rows: _Rows, *, near: bool) -> Iterator[_HeldOut]:
        """Predict what is left out: each corpus in turn, then some speakers of all in turn.

        What is predicted may be augmented; what is learnt from is not, for it takes a third of the
        time, and says as well how sure to be.
        A corpus that was left out is far from the others, so the near head is not needed there.
        """
        generator = np.random.default_rng(self.random_state)
        names = np.unique(rows.corpora)
        tests = [np.flatnonzero(rows.corpora == name) for name in names if len(names) > 1]
        folds = GroupKFold(min(self.folds, len(np.unique(rows.speakers))))
        by_speaker = [test for _, test in folds.split(rows.X, rows.y, rows.speakers)]
        for number, out in enumerate([*tests, *by_speaker]):
            kept = rows.part(np.setdiff1d(np.flatnonzero(~rows.augmented), out))
            part, corpus = kept.drawn(generator), number < len(tests)
            known = out[np.isin(rows.y[out], part.y)]
            if len(known) and len(np.unique(part.y)) > 1:
                closely = self._near(kept) if near and not corpus else None
                geometry, test = self._geometry(kept), rows.part(known)
                yield self._predicted(part, closely, geometry, test, corpus=corpus)

    def _predicted(
        self,
        part: _Rows,
        near: LinearClassifier | None,
        geometry: _Geometry,
        test: _Rows,
        *,
        corpus: bool,
    ) -> _HeldOut:
        """Learn from a part, and predict the rest in each of `KINDS`."""
        single, relative = self._heads(part)
        weight, bias = _affine(relative)
        found = [single.logits(test.X)]
        for groups in (test.sets, test.voices):
            found.append(relative_to(test.X, groups) @ weight.T + bias)
        wide = [self._wide(logits, single.classes_) for logits in found]
        closely = None if near is None else self._wide(near.logits(test.X), near.classes_)
        distance = nearest(test.X @ geometry.axes, geometry.centres)
        truth = np.searchsorted(self.classes_, test.y)
        return _HeldOut(np.stack(wide), closely, distance, truth, test, corpus)

    def _wide(self, logits: Floats, classes: npt.NDArray[Any]) -> Floats:
        """Put logits into the columns of all classes."""
        wide = np.full((len(logits), len(self.classes_)), NEVER)
        wide[:, np.searchsorted(self.classes_, classes)] = logits
        return wide

    def _geometry(self, rows: _Rows) -> _Geometry:
        """Find the axes along which a corpus's recordings differ most, scaled to variance 1."""
        clean = rows.part(~rows.augmented)
        near = near_corpora(clean)
        mine = [self._seen(clean.part(clean.corpora == name)) for name in near]
        means = np.array([part.mean(axis=0) for part in mine])
        covariance = np.mean([np.cov(part.T, bias=True) for part in mine], axis=0)
        width = len(covariance)
        known = min(AXES, width, max(1, sum(map(len, mine)) - len(mine)))
        variance, axes = eigh(covariance, subset_by_index=[width - known, width - 1])
        scaled = axes / np.sqrt(np.maximum(variance, MIN_DEVIATION**2))
        wide = np.zeros((clean.X.shape[1], known), np.float32)
        wide[slice(None) if self.columns is None else self.columns] = scaled
        wide = wide.astype(np.float16).astype(np.float32)  # as they are kept
        seen = wide if self.columns is None else wide[self.columns]
        return _Geometry(wide, np.asarray(means @ seen, np.float32))

    def _arrays(
        self,
        rows: _Rows,
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
        geometry = self._geometry(rows)
        parts = np.stack([prior.means, prior.within, prior.between])
        offsets = class_offsets(clean, self.classes_)
        known = (geometry.axes, geometry.centres, confidence, parts, varied, offsets)
        arrays = (weight, bias, mean, deviation, *closely, gate, *known)
        return AdaptiveHeads(*(np.asarray(part, np.float32) for part in arrays))

    def _varied(self, held: list[_HeldOut], line: Floats, prior: SpeakerPrior) -> Floats:
        """Learn how varied predictions are where a set holds one emotion, or several: (2, 2).

        Each row is of recordings, or a speaker: the variety of sets of one emotion, of the corpus
        where it is largest, and that of most sets of several emotions, the median over corpora.
        """
        generator = np.random.default_rng(self.random_state)
        chosen = [one for one in held if one.corpus] or held
        chosen = [one for one in chosen if len(np.unique(one.truth)) >= MIN_EMOTIONS]
        found: list[list[tuple[float, float]]] = [[], []]
        for one in chosen:
            tempered = log_softmax(one.logits[0] / temperature(line, one.distance)[:, None])
            for kind, (alone, several) in enumerate(_sets(one, generator)):
                low, high = (
                    [prior.variety(np.exp(tempered[rows])) for rows in sets]
                    for sets in (alone, several)
                )
                if low and high:
                    ends = np.quantile(low, USUAL), np.quantile(high, SEVERAL_ABOVE)
                    found[kind].append((float(ends[0]), float(ends[1])))
        columns = [np.array(ends or [(0.0, 0.0)]).T for ends in found]
        result = np.array([(low.max(), np.median(high)) for low, high in columns])
        result[:, 1] = np.maximum(result[:, 1], result[:, 0] + MIN_RISE)
        return result

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


def _affine(head: LinearClassifier) -> tuple[Floats, Floats]:
    """Return a head's weights for features as they are, (classes, columns), and its bias."""
    weight = head.coef_ / head.scale_
    return weight, head.intercept_ - weight @ head.mean_


def _widened(head: LinearClassifier, columns: Index | None, width: int) -> LinearClassifier:
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


def class_offsets(rows: _Rows, classes: npt.NDArray[Any]) -> Floats:
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


def corpus_shares(rows: _Rows) -> tuple[npt.NDArray[np.str_], Floats]:
    """Return the corpora, and the share of the weight that each has."""
    names = np.unique(rows.corpora)
    weight = np.array([rows.weight[rows.corpora == name].sum() for name in names])
    return names, np.asarray(weight / weight.sum())


def near_corpora(rows: _Rows) -> npt.NDArray[np.str_]:
    """Return those to which the distance is measured: others are mixtures of many rooms."""
    names, share = corpus_shares(rows)
    return names[share >= share.max() / 2]


def _gate(held: list[_HeldOut]) -> Floats:
    """Learn the log odds that a sample is like those of training, a line over distance: (2,).

    From held-out speakers of the corpora to which the distance is measured, and from corpora that
    were left out; each corpus counts the same.
    """
    distance, like, weight = [], [], []
    for one in held:
        names = np.unique(one.rows.corpora) if one.corpus else near_corpora(one.rows)
        for name in names:
            mine = one.distance[one.rows.corpora == name]
            distance.append(mine)
            like.append(np.full(len(mine), not one.corpus))
            weight.append(np.full(len(mine), 1 / len(mine)))
    X = np.concatenate(distance)[:, None]
    model = LogisticRegression(C=100.0, class_weight="balanced")
    model.fit(X, np.concatenate(like), sample_weight=len(X) * np.concatenate(weight))
    return np.array([model.intercept_[0], model.coef_[0, 0]])


def _mixed(held: list[_HeldOut], gate: Floats) -> list[_HeldOut]:
    """Mix the near head into the predictions of single samples, as `AdaptiveHeads.single` does."""
    mixed = []
    for one in held:
        logits = one.logits
        if one.near is not None:
            logits = logits.copy()
            share = nearness(gate, one.distance)
            logits[0] = mix(log_softmax(logits[0]), log_softmax(one.near), share)
        mixed.append(replace(one, logits=logits))
    return mixed


def _confidence(held: list[_HeldOut]) -> Floats:
    """Fit each kind's line of log temperature over distance: (kinds, 2).

    What was left out by corpus weighs twice as much as what was left out by speaker. Of the
    latter only corpora count to which the distance is measured.
    """
    weights = [
        one.rows.weight * (one.corpus | np.isin(one.rows.corpora, near_corpora(one.rows)))
        for one in held
    ]
    total = {True: 0.0, False: 0.0}
    for one, own in zip(held, weights, strict=True):
        total[one.corpus] += own.sum()
    weight = np.concatenate(
        [own / total[one.corpus] * (1 + one.corpus) for one, own in zip(held, weights, strict=True)]
    )
    distance = np.concatenate([one.distance for one in held])
    truth = np.concatenate([one.truth for one in held])
    logits = np.concatenate([one.logits for one in held], axis=1)
    return np.array([fit_line(part, distance, truth, weight) for part in logits])


def _sets(
    one: _HeldOut, generator: np.random.Generator
) -> Iterator[tuple[list[Index], list[Index]]]:
    """Draw sets of one emotion, and of several: of recordings, then of speakers."""
    truth, speakers = one.truth, one.rows.speakers

    def drawn(rows: Index) -> Index:
        return generator.permutation(rows)[:SET_SIZE]

    emotions = [np.flatnonzero(truth == name) for name in np.unique(truth)]
    alone = [drawn(rows) for rows in emotions for _ in range(3) if len(rows) >= MIN_SET]
    yield alone, [drawn(np.arange(len(truth))) for _ in range(SETS * (len(emotions) > 1))]
    names = generator.permutation(np.unique(speakers))[:SETS]
    voices = [np.flatnonzero(speakers == name) for name in names]
    alone = [rows[truth[rows] == name] for rows in voices for name in np.unique(truth[rows])]
    several = [rows for rows in voices if len(np.unique(truth[rows])) >= MIN_EMOTIONS]
    yield [rows for rows in alone if len(rows) >= MIN_SET], several


def _speaker_prior(held: list[_HeldOut], line: Floats) -> SpeakerPrior:
    """Estimate how calibrated predictions differ from speaker to speaker.

    Of corpora that were left out, if these have all classes: the least is known of them.
    """
    classes = held[0].logits.shape[2]
    chosen = [one for one in held if one.corpus]
    if not chosen or len(np.unique(np.concatenate([one.truth for one in chosen]))) < classes:
        chosen = held
    parts = [slice(0, None, max(1, len(one.truth) // MAX_HELD_OUT)) for one in chosen]
    pairs = list(zip(chosen, parts, strict=True))
    logits = np.concatenate([one.logits[0][part] for one, part in pairs])
    truth = np.concatenate([one.truth[part] for one, part in pairs])
    speakers = np.concatenate([one.rows.speakers[part] for one, part in pairs])
    distance = np.concatenate([one.distance[part] for one, part in pairs])
    if len(np.unique(truth)) < classes:
        raise SettingError(
            "domain adaptation needs at least 2 speakers of each class: leave out a class that "
            "only one has"
        )
    tempered = log_softmax(logits / temperature(line, distance)[:, None])
    return SpeakerPrior.estimate(np.exp(tempered), truth, speakers)


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


def fit_line(
    logits: Floats, distance: Floats, truth: Index, weight: Floats
) -> npt.NDArray[np.float64]:
    """Find the line of log temperature over distance that maximises the likelihood: (2,)."""
    rows = np.arange(len(truth))

    def loss(line: npt.NDArray[np.float64]) -> float:
        tempered = log_softmax(logits / temperature(line, distance)[:, None])
        return float(-np.average(tempered[rows, truth], weights=weight))

    found: npt.NDArray[np.float64] = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    return found
