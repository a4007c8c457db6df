"""Domain adaptation: predictions that know how far a recording is from what was trained on.

A recording like those of a training corpus is predicted by a head that fits these corpora
closely, any other by a general head. A microphone, a room, a language or a speaker shifts the
features of all recordings alike: a relative head was trained on features of which each corpus's, or
each speaker's, own mean and deviation had been taken; `Baseline` estimates the two for new
recordings, blended with those of training by the evidence at hand. numpy alone, so that a bundle's
recognizer needs no more.
"""

from __future__ import annotations

import copy
import hashlib
import io
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serein.archives import read_arrays
from serein.errors import SettingError
from serein.models.speaker_prior import SpeakerPrior

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[np.float32]

ARRAYS = (
    *("weight", "bias", "mean", "deviation", "near_weight", "near_bias", "near_gate"),
    *("axes", "centres", "confidence", "prior", "varied", "offsets"),
)
HALF = ("axes",)  # written as float16: they are many, and a distance needs no more
KINDS = ("single", "recordings", "speaker")
"""What a prediction is relative to: nothing, recordings of one place, those of one speaker."""
PSEUDO_RECORDINGS = {"recordings": 20.0, "speaker": 10.0}
"""How many recordings the statistics of training count as, where a baseline is estimated."""
LEAST_SHARE = 0.4
"""Of the relative head, where the recordings may hold one emotion."""
MAX_POSTERIORS = 200  # recordings by whose predictions variety is measured, evenly drawn
MIN_DEVIATION = 1e-6
MIN_PROBABILITY = 1e-9
MAX_LOG_TEMPERATURE = 3.0
MAX_NUMBER = 1e9  # in a saved baseline


@dataclass(frozen=True, eq=False)
class AdaptiveHeads:
    """What a bundle holds for domain adaptation beside its graph, which is the general head.

    `weight`: (labels, columns) of the relative head; `bias`: (labels,); `mean`, `deviation`:
    (columns,), of a training corpus, averaged over corpora; `near_weight`, `near_bias`: the head
    for recordings like those of training, or no rows; `near_gate`: (2,), the log odds that a
    recording is one, as a line over `distance`; `axes`: (columns, axes), which make the features of
    a training corpus uncorrelated and of variance 1; `centres`: (corpora, axes), the means of the
    training corpora; `confidence`: (3, 2), for each of `KINDS` the logarithm of the temperature as
    a line over `distance`; `prior`: (3, labels, labels), the parts of a `SpeakerPrior`, by which it
    is told whether recordings hold several emotions.
    """

    weight: Array
    bias: Array
    mean: Array
    deviation: Array
    near_weight: Array
    near_bias: Array
    near_gate: Array
    axes: Array
    centres: Array
    confidence: Array
    prior: Array
    varied: Array
    offsets: Array
    speakers: SpeakerPrior = field(init=False, repr=False)

    def __post_init__(self) -> None:
        labels, columns = self.weight.shape if self.weight.ndim == 2 else (0, 0)
        corpora, axes = len(self.centres), self.axes.size // max(columns, 1)
        near = len(self.near_bias) and labels
        wanted: dict[str, tuple[int, ...]] = {"bias": (labels,), "mean": (columns,)}
        wanted |= {"deviation": (columns,), "axes": (columns, axes), "centres": (corpora, axes)}
        wanted |= {"near_weight": (near, columns), "near_bias": (near,), "near_gate": (2,)}
        wanted |= {"confidence": (len(KINDS), 2), "prior": (3, labels, labels), "varied": (2, 2)}
        wanted |= {"offsets": (labels, columns)}
        for name, shape in wanted.items():
            if not (labels and axes and corpora) or getattr(self, name).shape != shape:
                raise SettingError(f"{name} does not have the shape {shape}")
        if not all(np.isfinite(getattr(self, name)).all() for name in ARRAYS):
            raise SettingError("not all numbers are finite")
        if not (self.varied[:, 0] < self.varied[:, 1]).all():
            raise SettingError("varied must rise")
        if self.deviation.min() < MIN_DEVIATION:
            raise SettingError(f"deviation must be at least {MIN_DEVIATION:g}")
        parts = zip(("means", "within", "between"), self.prior.tolist(), strict=True)
        object.__setattr__(self, "speakers", SpeakerPrior.from_dict(dict(parts), labels))

    @property
    def fingerprint(self) -> str:
        """Tells one set of heads from another, 16 letters."""
        return hashlib.sha256(self.weight.tobytes() + self.mean.tobytes()).hexdigest()[:16]

    def distance(self, vectors: Array) -> Floats:
        """Measure how far recordings are from the nearest training corpus: (recordings,), a log."""
        return nearest(vectors @ self.axes, self.centres)

    def single(self, logits: Floats, vectors: Array) -> Floats:
        """Return calibrated log probabilities of single recordings, (recordings, labels).

        `logits` are those of the general head; the near head's are mixed in by the odds that a
        recording is like those of training.
        """
        distance, mixed = self.distance(vectors), log_softmax(logits)
        if len(self.near_bias):
            near = np.asarray(vectors @ self.near_weight.T + self.near_bias, np.float64)
            mixed = mix(mixed, log_softmax(near), self._near(distance))
        return self._tempered(mixed, distance, "single")

    def nearness(self, vectors: Array) -> Floats:
        """Estimate the probability that recordings are like those of training, (recordings,)."""
        if not len(self.near_bias):
            return np.zeros(len(vectors))
        return self._near(self.distance(vectors))

    def _near(self, distance: Floats) -> Floats:
        return nearness(self.near_gate.astype(np.float64), distance)

    def _tempered(self, logits: Floats, distance: Floats, kind: str) -> Floats:
        line = self.confidence[KINDS.index(kind)].astype(np.float64)
        return log_softmax(logits / temperature(line, distance)[:, None])

    def relative(self, vectors: npt.NDArray[Any]) -> Floats:
        """Compute the relative head's logits of features relative to a baseline."""
        return np.asarray(vectors @ self.weight.T + self.bias, np.float64)

    def adapted(self, single: Floats, vectors: Array, baseline: Baseline) -> Floats:
        """Blend single and relative head by the evidence: log probabilities, (recordings, labels).

        `single` holds the calibrated log probabilities of single recordings.
        """
        evidence = baseline.evidence(self)
        share = baseline.share(evidence)
        if not share:
            return single
        _, relative = self.relative_logs(vectors, baseline, evidence)
        return log_softmax((1 - share) * single + share * relative)

    def relative_logs(
        self, vectors: Array, baseline: Baseline, evidence: float
    ) -> tuple[Floats, Floats]:
        """Return features relative to a baseline, and the relative head's log probabilities."""
        mean, deviation = baseline.statistics(self, evidence)
        apart = (vectors - mean) / deviation
        logits = self.relative(apart)
        return apart, self._tempered(logits, self.distance(vectors), baseline.kind)

    def standardised(self, vectors: Array) -> Floats:
        """Take the mean and deviation of training off features."""
        return np.asarray((vectors - self.mean) / self.deviation, np.float64)

    def to_bytes(self) -> bytes:
        """Write the arrays as NumPy's npz, without pickle."""
        file = io.BytesIO()
        arrays: dict[str, Any] = {
            name: getattr(self, name).astype(np.float16 if name in HALF else np.float32)
            for name in ARRAYS
        }
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote; whatever is wrong with untrusted bytes is a SettingError."""
        try:
            read = read_arrays(content)
            arrays = {name: np.asarray(read[name], np.float32) for name in ARRAYS}
        except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds
            raise SettingError(f"not the arrays of domain adaptation: {error}") from error
        return cls(**arrays)


class Baseline:
    """What is known of a set of recordings: running sums of their features and predictions.

    `kind`: ``recordings`` or ``speaker``; `memory`: of about how many recordings it is kept, the
    latest counting most; of all, if not given.
    """

    def __init__(self, kind: str, labels: int, *, memory: int | None = None) -> None:
        self.kind = kind
        self.count = 0
        self._memory = memory
        self._weight = 0.0
        self._sum: Floats | float = 0.0
        self._squares: Floats | float = 0.0
        self._predicted = np.zeros(labels)
        self._near = 0.0
        self._posteriors: deque[list[float]] = deque(maxlen=memory)
        self._evidence: float | None = None

    def add(self, heads: AdaptiveHeads, vectors: Array, single: npt.ArrayLike) -> None:
        """Take in recordings: their features (recordings, columns), and single predictions."""
        decay = 1.0 if self._memory is None else 1.0 - 1.0 / self._memory
        keep = decay ** np.arange(len(vectors) - 1, -1, -1.0)
        before = decay ** len(vectors)
        wide = vectors.astype(np.float64)
        self._weight = before * self._weight + float(keep.sum())
        self._sum = before * self._sum + keep @ wide
        self._squares = before * self._squares + keep @ np.square(wide)
        posteriors = np.asarray(single, np.float64)
        found = np.bincount(posteriors.argmax(axis=1), keep, len(self._predicted))
        self._predicted = before * self._predicted + found
        self._near = before * self._near + float(keep @ heads.nearness(vectors))
        self.count += len(vectors)
        self._posteriors.extend(posteriors.tolist())
        self._evidence = None

    def evidence(self, heads: AdaptiveHeads) -> float:
        """How sure it is that the recordings hold several emotions, 0 to 1.

        Recordings like those of training give none: their variety is larger, and they need no
        baseline as much.
        """
        if self._evidence is None:
            low, high = heads.varied[KINDS.index(self.kind) - 1]
            known = self.count > 1 and heads.prior.any()  # else how speakers differ is unknown
            found = heads.speakers.variety(self._drawn()) if known else -np.inf
            rate = min(max((found - low) / (high - low), 0.0), 1.0)
            far = 1 - self._near / max(self._weight, 1.0)
            self._evidence = float(far * rate * rate * (3 - 2 * rate))
        return self._evidence

    def with_memory(self, memory: int | None) -> Self:
        """Return a copy that learns on, and counts as `memory` recordings at most."""
        found = copy.copy(self)
        found._memory = memory
        found._posteriors = deque(self._drawn(memory or MAX_POSTERIORS).tolist(), maxlen=memory)
        kept = min(1.0, (memory or self._weight) / self._weight)
        found._weight, found._predicted = kept * self._weight, kept * self._predicted
        found._near = kept * self._near
        found._sum, found._squares = kept * self._sum, kept * self._squares
        found._evidence = None
        return found

    def _drawn(self, most: int = MAX_POSTERIORS) -> Floats:
        """Draw recordings evenly: those of a folder are sorted by name, and so by emotion."""
        known = len(self._posteriors)
        rows = np.linspace(0, known - 1, min(known, most)).round().astype(int)
        return np.array(self._posteriors)[rows]

    def share(self, evidence: float) -> float:
        """How much the relative head counts, 0 to 1: a single recording changes nothing."""
        if self.count < 2:
            return 0.0
        known = self._weight / (self._weight + PSEUDO_RECORDINGS[self.kind])
        return known * LEAST_SHARE * (1 - evidence) + evidence

    def statistics(self, heads: AdaptiveHeads, evidence: float) -> tuple[Floats, Floats]:
        """Estimate mean and deviation, (columns,), by maximum a posteriori.

        The less the evidence of several emotions, the more is taken out of the mean what the
        emotions that the single head predicts would shift it by.
        """
        prior, labels = PSEUDO_RECORDINGS[self.kind], len(self._predicted)
        total = self._weight + prior
        odd = (self._predicted + 1) / (self._weight + labels) - 1 / labels
        shifted = self._weight * (1 - evidence) * (odd @ heads.offsets)
        mean = np.asarray(self._sum + prior * heads.mean, np.float64) / total
        square = self._squares + prior * (np.square(heads.deviation) + np.square(heads.mean))
        variance = np.maximum(square / total - np.square(mean), MIN_DEVIATION**2)
        return mean - shifted / total, np.sqrt(variance)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: counts, and the recordings' mean and deviation."""
        mean = np.asarray(self._sum) / self._weight
        variance = np.maximum(np.asarray(self._squares) / self._weight - np.square(mean), 0.0)
        return {
            "to": self.kind,
            "utterances": self.count,
            "weight": round(self._weight, 4),
            "near": round(self._near, 4),
            "predicted": self._predicted.round(4).tolist(),
            "probabilities": self._drawn().round(4).tolist(),
            "mean": mean.round(5).tolist(),
            "deviation": np.sqrt(variance).round(5).tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], heads: AdaptiveHeads, memory: int | None) -> Self:
        """Rebuild what `to_dict` wrote; whatever is wrong with it is a SettingError."""
        try:
            found = cls(values["to"], len(heads.bias), memory=memory)
            found.count = int(values["utterances"])
            found._weight, found._near = float(values["weight"]), float(values["near"])
            arrays = [
                np.asarray(values[key], np.float64)
                for key in ("probabilities", "predicted", "mean", "deviation")
            ]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SettingError(f"not a saved adaptation: {error!r}") from error
        posteriors, predicted, mean, deviation = arrays
        numbers = np.concatenate([[found._weight], *(part.ravel() for part in arrays)])
        shapes = mean.shape == deviation.shape == heads.mean.shape
        shapes &= posteriors.shape[1:] == heads.bias.shape and 0 < len(posteriors) <= MAX_POSTERIORS
        shapes &= predicted.shape == heads.bias.shape
        sound = shapes and (np.abs(numbers) < MAX_NUMBER).all()
        sound = sound and min(posteriors.min(initial=0), predicted.min(initial=0)) >= 0
        sound = sound and 0 <= found._near <= found._weight <= found.count
        if not sound or found.kind not in KINDS[1:] or not found._weight:
            raise SettingError("not a saved adaptation of this model: its numbers do not fit")
        found._posteriors.extend(posteriors.tolist())
        found._predicted = predicted
        found._sum = found._weight * mean
        found._squares = found._weight * (np.square(deviation) + np.square(mean))
        return found


def nearest(placed: Array, centres: Array) -> Floats:
    """Return the log of the mean square distance to the nearest centre, (recordings,)."""
    apart = [np.mean(np.square(placed - centre), axis=1) for centre in centres]
    return np.log(np.maximum(np.min(apart, axis=0), MIN_PROBABILITY)).astype(np.float64)


def nearness(gate: Floats, distance: Floats) -> Floats:
    """Return the probability that a recording is like those of training, (recordings,)."""
    odds = np.clip(gate[0] + gate[1] * distance, -30.0, 30.0)
    return np.asarray(1 / (1 + np.exp(-odds)))


def mix(general: Floats, near: Floats, share: Floats) -> Floats:
    """Mix two heads' log probabilities, (recordings, labels), with a share of the near one each."""
    return np.asarray((1 - share[:, None]) * general + share[:, None] * near)


def temperature(line: Floats, distance: npt.ArrayLike) -> Floats:
    """Return the temperature of recordings, a line of `distance` in its logarithm."""
    log = line[0] + line[1] * np.asarray(distance, np.float64)
    return np.exp(np.clip(log, -MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE))


def log_softmax(logits: Floats) -> Floats:
    """Return log probabilities of logits, (recordings, labels)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
