"""Personal heads: a bundle's own heads, moved by a few labelled recordings.

A personal head is linear in what the bundle gives of a recording: its log probabilities, and its
features. It starts as the bundle's own: 1 for each label's log probability, 0 for all else; a label
that is new starts between all others. Labelled recordings move it by maximum a posteriori (MAP):
multinomial regression with a Gaussian prior centred where it starts. numpy alone, so that the core
install can learn.

J.-L. Gauvain, C.-H. Lee, "Maximum a posteriori estimation for multivariate Gaussian mixture
observations of Markov chains", IEEE Transactions on Speech and Audio Processing 2(2), 1994; the
prior of a classifier's weights as in C. Chelba, A. Acero, "Adaptation of maximum entropy
capitalizer: little data can help a lot", EMNLP 2004.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from serein.archives import read_arrays
from serein.errors import SettingError
from serein.models.baseline import AdaptiveHeads, Array, Baseline, Floats, log_softmax

Index = npt.NDArray[np.intp]

HEADS = ("single", "relative")
"""What is moved: the head for single recordings, and that relative to a baseline."""
MAX_LABELS = 100


@dataclass(frozen=True)
class Strength:
    """Precision of the prior of a weight: of the log probabilities, and of features and bias.

    `few`: it is 1 + (few / n)² times as much for n recordings a label: few tell more of themselves
    than of the label.
    """

    logits: float
    features: float
    few: float = 0.0


STRENGTH = Strength(logits=1.0, features=0.3, few=5.0)
"""Chosen on corpora left out, by `make personalise`."""
OWN_LABEL = 0.1  # of the precision, for a label that the bundle's own heads do not know
MAX_STEPS = 2000
TOLERANCE = 1e-4  # of a logit, by which the last step moves it


@dataclass(frozen=True, eq=False)
class PersonalHeads:
    """`weight`: (2, labels, known + 1 + columns), for each of `HEADS`.

    The inputs are the log probabilities of the labels that the bundle's own heads know, without
    their mean; a 1; and the features, without mean and deviation. The first labels are the known
    ones, in the same order.
    """

    weight: Array

    def __post_init__(self) -> None:
        shape = self.weight.shape
        if len(shape) != 3 or shape[0] != len(HEADS) or not 0 < shape[1] <= MAX_LABELS:
            raise SettingError(f"personal heads do not have the shape {shape}")
        if not np.isfinite(self.weight).all():
            raise SettingError("not all numbers of the personal heads are finite")

    @classmethod
    def of(cls, heads: AdaptiveHeads) -> Self:
        """Start as a bundle's own heads."""
        known, columns = heads.weight.shape
        own = np.eye(known, known + 1 + columns, dtype=np.float32)
        return cls(np.stack([own] * len(HEADS)))

    def matches(self, heads: AdaptiveHeads, labels: int) -> bool:
        """Say whether they are of these heads, and predict so many labels."""
        known, columns = heads.weight.shape
        return self.weight.shape[1:] == (labels, known + 1 + columns) and labels >= known

    def predict(
        self, heads: AdaptiveHeads, single: Floats, vectors: Array, baseline: Baseline | None = None
    ) -> Floats:
        """Return log probabilities, (recordings, labels).

        `single`: (recordings, known), the calibrated ones of the bundle's own single head;
        `vectors`: (recordings, columns).
        """
        logs = self._logs("single", single, heads.standardised(vectors))
        evidence = baseline.evidence(heads) if baseline else 0.0
        share = baseline.share(evidence) if baseline else 0.0
        if baseline is None or not share:
            return logs
        apart, relative = heads.relative_logs(vectors, baseline, evidence)
        moved = self._logs("relative", relative, apart)
        return log_softmax((1 - share) * logs + share * moved)

    def learnt(
        self,
        heads: AdaptiveHeads,
        single: Floats,
        vectors: Array,
        truth: npt.ArrayLike,
        *,
        weight: npt.ArrayLike | None = None,
        strength: Strength = STRENGTH,
    ) -> Self:
        """Return the heads moved by labelled recordings.

        `truth`: (recordings,), numbers of labels, new ones following the others; `weight`:
        (recordings,), how much each counts.
        """
        index = np.asarray(truth, np.intp)
        counts = np.ones(len(index)) if weight is None else np.asarray(weight, np.float64)
        baseline = Baseline("recordings", single.shape[1])
        baseline.add(heads, vectors, np.exp(single))
        apart, relative = heads.relative_logs(vectors, baseline, 1.0)  # of several labels
        given = ((single, heads.standardised(vectors)), (relative, apart))
        start = self._with_labels(int(index.max()) + 1)
        each = counts.sum() / len(np.unique(index))
        prior = np.full(start.shape[1], OWN_LABEL)
        prior[: single.shape[1]] = 1 + (strength.few / each) ** 2
        precision = np.full(self.weight.shape[2], strength.features)
        precision[: single.shape[1]] = strength.logits
        moved = [
            own + _step(_inputs(logs, features), own, index, counts, prior, precision)
            for own, (logs, features) in zip(start, given, strict=True)
        ]
        return type(self)(np.array(moved, np.float32))

    def _with_labels(self, labels: int) -> Floats:
        """Add rows of zeros for labels that are new."""
        more = max(0, labels - self.weight.shape[1])
        return np.pad(self.weight.astype(np.float64), ((0, 0), (0, more), (0, 0)))

    def _logs(self, head: str, logs: Floats, features: Floats) -> Floats:
        return log_softmax(_inputs(logs, features) @ self.weight[HEADS.index(head)].T)

    def to_bytes(self) -> bytes:
        """Write the array as NumPy's npz, without pickle."""
        file = io.BytesIO()
        np.savez(file, weight=self.weight)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote; whatever is wrong with untrusted bytes is a SettingError."""
        try:
            weight = np.asarray(read_arrays(content)["weight"], np.float32)
        except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds
            raise SettingError(f"not the arrays of personal heads: {error}") from error
        return cls(weight)


def balanced(truth: npt.ArrayLike, recording: npt.ArrayLike) -> Floats:
    """Weigh windows so that each recording of a label, and each label, counts the same.

    `truth`, `recording`: (windows,), numbers. Returns weights whose sum is that of the recordings.
    """
    index, of = np.asarray(truth), np.asarray(recording)
    windows = np.bincount(of)[of]
    share = 1.0 / windows
    total = np.bincount(index, weights=share)
    there = np.count_nonzero(total)
    return np.asarray(share * total.sum() / (there * total[index]), np.float64)


def _inputs(logs: Floats, features: Floats) -> Floats:
    """Put the inputs of a head side by side, features so that their squares add up to about 1."""
    centred = logs - logs.mean(axis=1, keepdims=True)
    scaled = features / np.sqrt(features.shape[1])
    return np.hstack([centred, np.ones((len(logs), 1)), scaled])


def _step(
    inputs: Floats,
    start: Floats,
    truth: Index,
    weight: Floats,
    prior: Floats,
    precision: Floats,
) -> Floats:
    """Find how far the weights move: (labels, inputs).

    Minimises the weighted cross-entropy + half the squares of the moves, times `prior`, (labels,),
    and `precision`, (inputs,), with steps by Böhning's bound of its curvature, accelerated after
    Nesterov. The moves lie in the span of the recordings, whose directions `svd` makes independent.

    D. Böhning, "Multinomial logistic regression algorithm", Annals of the Institute of
    Statistical Mathematics 44(1), 1992.
    """
    left, sizes, directions = np.linalg.svd(inputs / np.sqrt(precision), full_matrices=False)
    coordinates = left * sizes
    offset, target = inputs @ start.T, np.eye(len(start))[truth]
    rate = 1 / (0.5 * weight.max() * np.square(sizes)[:, None] + prior)
    found = ahead = np.zeros((len(sizes), len(start)))
    speed = 1.0
    for _ in range(MAX_STEPS):
        error = np.exp(log_softmax(offset + coordinates @ ahead)) - target
        moved = ahead - rate * (coordinates.T @ (error * weight[:, None]) + prior * ahead)
        change, found = moved - found, moved
        faster = (1 + np.sqrt(1 + 4 * speed**2)) / 2
        ahead, speed = found + (speed - 1) / faster * change, faster
        if np.abs(coordinates @ change).max() < TOLERANCE:
            break
    moves: Floats = found.T @ directions / np.sqrt(precision)
    return moves
