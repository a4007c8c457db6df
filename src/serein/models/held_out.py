"""What is learnt from predictions of samples that were left out: confidence, and what is near.

`serein.models.domain_adaptation` leaves out each corpus in turn, and some speakers of all in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from serein.errors import SettingError
from serein.models.baseline import log_softmax, mix, nearness, temperature
from serein.models.speaker_prior import SpeakerPrior
from serein.training.contract import Floats

Index = npt.NDArray[np.intp]
MIN_GROUP = 5  # recordings of a speaker: with fewer, the corpus is the baseline in training
MAX_RECORDINGS = 2000  # of a corpus, from which it is learnt how speakers differ
SETS, SET_SIZE = 20, 40  # drawn of a corpus, to learn how varied predictions of a set are
MIN_SET = 3  # recordings of one emotion
MIN_EMOTIONS = 3  # of a corpus of which sets are drawn, and of a speaker who counts as several
USUAL, SEVERAL_ABOVE = 0.75, 0.3  # quantiles of sets of one emotion, and of several
MIN_RISE = 0.2  # of the variety between the two


@dataclass(frozen=True, eq=False)
class Rows:
    """Samples as `fit` is given them; `X`: (samples, columns), all else (samples,)."""

    X: npt.NDArray[np.float32]
    y: npt.NDArray[Any]
    speakers: npt.NDArray[np.str_]
    corpora: npt.NDArray[np.str_]
    weight: Floats
    augmented: npt.NDArray[np.bool_]

    def part(self, chosen: npt.NDArray[Any]) -> Rows:
        """Take some samples."""
        return Rows(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def bare(self) -> Rows:
        """The same without features."""
        return replace(self, X=self.X[:, :0])

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
class HeldOut:
    """Predictions of samples that were left out; `logits`: (kinds, samples, classes)."""

    logits: Floats
    near: Floats | None  # of the near head: (samples, classes)
    distance: Floats
    truth: Index
    rows: Rows
    corpus: bool  # all of it was left out

    @property
    def recordings(self) -> HeldOut:
        """Those as recorded: without what was augmented."""
        kept = ~self.rows.augmented
        near = None if self.near is None else self.near[kept]
        distance, truth = self.distance[kept], self.truth[kept]
        return HeldOut(
            self.logits[:, kept], near, distance, truth, self.rows.part(kept), self.corpus
        )


def corpus_shares(rows: Rows) -> tuple[npt.NDArray[np.str_], Floats]:
    """Return the corpora, and the share of the weight that each has."""
    names = np.unique(rows.corpora)
    weight = np.array([rows.weight[rows.corpora == name].sum() for name in names])
    return names, np.asarray(weight / weight.sum())


def near_corpora(rows: Rows) -> npt.NDArray[np.str_]:
    """Return those to which the distance is measured: others are mixtures of many rooms."""
    names, share = corpus_shares(rows)
    return names[share >= share.max() / 2]


def near_gate(held: list[HeldOut]) -> Floats:
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


def mixed(held: list[HeldOut], gate: Floats) -> list[HeldOut]:
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


def _alike(rows: Rows) -> Floats:
    """Return the weights of samples, of which those that are augmented weigh as much as others."""
    augmented = rows.augmented
    if augmented.all() or not augmented.any():
        return rows.weight
    factor = rows.weight[~augmented].mean() / rows.weight[augmented].mean()
    return np.where(augmented, factor, 1.0) * rows.weight


def confidence_lines(held: list[HeldOut]) -> Floats:
    """Fit each kind's line of log temperature over distance: (kinds, 2).

    What was left out by corpus weighs twice as much as what was left out by speaker. Of the
    latter only corpora count to which the distance is measured. An augmented sample weighs as much
    as a recording here: else what is short or noisy is predicted with too much confidence.
    """
    weights = [
        _alike(one.rows) * (one.corpus | np.isin(one.rows.corpora, near_corpora(one.rows)))
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
    one: HeldOut, generator: np.random.Generator
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


def speaker_prior(held: list[HeldOut], line: Floats) -> SpeakerPrior:
    """Estimate how calibrated predictions differ from speaker to speaker.

    Of corpora that were left out, if these have all classes: the least is known of them.
    """
    classes = held[0].logits.shape[2]
    chosen = [one for one in held if one.corpus]
    if not chosen or len(np.unique(np.concatenate([one.truth for one in chosen]))) < classes:
        chosen = held
    parts = [slice(0, None, max(1, len(one.truth) // MAX_RECORDINGS)) for one in chosen]
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


def variety(
    held: list[HeldOut], line: Floats, prior: SpeakerPrior, generator: np.random.Generator
) -> Floats:
    """Learn how varied predictions are where a set holds one emotion, or several: (2, 2).

    Each row is of recordings, or a speaker: the variety of sets of one emotion, of the corpus
    where it is largest, and that of most sets of several emotions, the median over corpora.
    """
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
