"""Training for domain adaptation: a single head, a relative head, and confidence for the unseen.

What is learnt is kept in `serein.models.baseline.AdaptiveHeads`, which predicts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted, validate_data

from serein.errors import SettingError
from serein.models.baseline import (
    KINDS,
    MIN_DEVIATION,
    AdaptiveHeads,
    Baseline,
    log_softmax,
    temperature,
)
from serein.models.linear import LinearClassifier
from serein.models.speaker_prior import SpeakerPrior
from serein.training.contract import Floats, LogProbabilityClassifier, check_weights

Index = npt.NDArray[np.intp]

MIN_GROUP = 5  # recordings of a speaker: with fewer, the corpus is the baseline in training
MAX_HELD_OUT = 600  # recordings of a corpus from which the heads for held-out ones are learnt
EVERY, MANY = 2, 1000  # of more columns than that, every second: for confidence it is enough


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
class _HeldOut:
    """Predictions of samples that were left out; `logits`: (kinds, samples, classes)."""

    logits: Floats
    distance: Floats
    truth: Index
    rows: _Rows
    corpus: bool  # all of it was left out


class DomainAdapted(LogProbabilityClassifier):
    """A linear classifier for single recordings, and another relative to a baseline.

    The second is fitted on features of which each corpus's mean and deviation, and again each
    speaker's, were taken. At test time the baseline is that of the recordings at hand, without
    labels: `adapted_log_proba`. Augmented samples have a baseline of their own.

    Confidence is fitted on corpora that were left out in turn, and on held-out speakers of all:
    the logarithm of the temperature is a line over the distance of a recording from the nearest
    training corpus, so that what is far from training is predicted with less confidence. With a
    single corpus there are held-out speakers alone.

    `label_set` is the corpus of each sample, as the classifiers of `serein.models.linear` take it.
    `estimator`: such a classifier; `folds`: inner folds of speakers; `random_state`: draws the
    samples from which the heads for held-out ones are learnt, at most `MAX_HELD_OUT` a corpus.
    """

    def __init__(
        self, estimator: LinearClassifier, *, folds: int = 3, random_state: int = 0
    ) -> None:
        self.estimator = estimator
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
        held = list(self._held_out(rows))
        confidence = _confidence(held)
        prior = _speaker_prior(held, confidence[0])
        self.heads_ = _arrays(rows, self.relative_, confidence, prior)
        usual = np.median(self.heads_.distance(vectors))
        self.temperature_ = float(temperature(confidence[0], usual))
        return self

    def _heads(self, rows: _Rows) -> tuple[LinearClassifier, LinearClassifier]:
        """Fit the head for single recordings, and that for features relative to a baseline."""
        single = clone(self.estimator).fit(
            rows.X, rows.y, sample_weight=rows.weight, label_set=rows.corpora
        )
        doubled = {
            "sample_weight": np.tile(rows.weight, 2),
            "label_set": np.tile(rows.corpora, 2),
        }
        both = np.concatenate([relative_to(rows.X, rows.sets), relative_to(rows.X, rows.voices)])
        return single, clone(self.estimator).fit(both, np.tile(rows.y, 2), **doubled)

    def _held_out(self, rows: _Rows) -> Iterator[_HeldOut]:
        """Predict what is left out: each corpus in turn, then some speakers of all in turn."""
        generator = np.random.default_rng(self.random_state)
        clean = rows.part(~rows.augmented)
        clean = replace(clean, X=clean.X[:, ::EVERY] if clean.X.shape[1] > MANY else clean.X)
        names = np.unique(clean.corpora)
        tests = [np.flatnonzero(clean.corpora == name) for name in names if len(names) > 1]
        folds = GroupKFold(min(self.folds, len(np.unique(clean.speakers))))
        by_speaker = [test for _, test in folds.split(clean.X, clean.y, clean.speakers)]
        for number, out in enumerate([*tests, *by_speaker]):
            part = clean.part(np.setdiff1d(np.arange(len(clean.y)), out)).drawn(generator)
            known = out[np.isin(clean.y[out], part.y)]
            if len(known) and len(np.unique(part.y)) > 1:
                yield self._predicted(part, clean.part(known), corpus=number < len(tests))

    def _predicted(self, part: _Rows, test: _Rows, *, corpus: bool) -> _HeldOut:
        """Learn from a part, and predict the rest in each of `KINDS`."""
        single, relative = self._heads(part)
        heads = _arrays(part, relative)
        columns = np.searchsorted(self.classes_, single.classes_)
        logits = np.full((len(KINDS), len(test.y), len(self.classes_)), -np.inf)
        for target, found in zip(
            logits,
            (
                single.logits(test.X),
                heads.relative(relative_to(test.X, test.sets)),
                heads.relative(relative_to(test.X, test.voices)),
            ),
            strict=True,
        ):
            target[:, columns] = found
        truth = np.searchsorted(self.classes_, test.y)
        return _HeldOut(logits, heads.distance(test.X), truth, test, corpus)

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return calibrated log probabilities of single recordings, shape (samples, classes)."""
        check_is_fitted(self)
        vectors = validate_data(self, X, dtype=np.float32, reset=False)
        return self.heads_.scaled(self.single_.logits(vectors), vectors, "single")

    def adapted_log_proba(self, X: npt.ArrayLike, known: npt.ArrayLike, kind: str) -> Floats:
        """Return log probabilities adapted to other recordings (recordings, columns), unlabelled.

        `kind`: ``recordings`` or ``speaker``, of which the known ones are.
        """
        vectors = validate_data(self, X, dtype=np.float32, reset=False)
        others = np.asarray(known, np.float32).reshape(-1, vectors.shape[1])
        baseline = Baseline(kind, len(self.classes_))
        if len(others):
            baseline.add(others, np.exp(self.predict_log_proba(others)))
        return self.heads_.adapted(self.predict_log_proba(vectors), vectors, baseline)


def _arrays(
    rows: _Rows,
    relative: LinearClassifier,
    confidence: Floats | None = None,
    prior: SpeakerPrior | None = None,
) -> AdaptiveHeads:
    """Put together what predicts."""
    weight = relative.coef_ / relative.scale_
    bias = relative.intercept_ - weight @ relative.mean_
    clean = rows.part(~rows.augmented)
    names, share = corpus_shares(clean)
    mine = [clean.X[clean.corpora == name] for name in names]
    means = np.array([part.mean(axis=0) for part in mine])
    deviation = np.sqrt(share @ np.array([part.var(axis=0) for part in mine])) + MIN_DEVIATION
    near = np.isin(names, near_corpora(clean))
    classes = len(relative.classes_)
    parts = np.zeros((3, classes, classes))
    if prior is not None:
        parts = np.stack([prior.means, prior.within, prior.between])
    lines = np.zeros((len(KINDS), 2)) if confidence is None else confidence
    arrays = weight, bias, share @ means, deviation, means[near], lines, parts
    return AdaptiveHeads(*(np.asarray(part, np.float32) for part in arrays))


def corpus_shares(rows: _Rows) -> tuple[npt.NDArray[np.str_], Floats]:
    """Return the corpora, and the share of the weight that each has."""
    names = np.unique(rows.corpora)
    weight = np.array([rows.weight[rows.corpora == name].sum() for name in names])
    return names, np.asarray(weight / weight.sum())


def near_corpora(rows: _Rows) -> npt.NDArray[np.str_]:
    """Return those to which the distance is measured: others are mixtures of many rooms."""
    names, share = corpus_shares(rows)
    return names[share >= share.max() / 2]


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
