"""The learner, of numpy alone: the same for speakers apart and for all of them in one place.

One hidden layer, softmax, stochastic gradient descent with momentum. Weights are a list of arrays,
which is what Flower sends and averages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Weights = list[Array]

CURVE = (1, 2, 5, 10, 20, 50)  # rounds that are looked at
SCALE = ("mean", "deviation", "emotion")


@dataclass(frozen=True)
class Settings:
    """How the network learns.

    Attributes
    ----------
    hidden : int
        Hidden units.
    rounds : int
        How often weights are averaged; in one place, how often `epochs` are learnt.
    epochs : int
        Passes over a speaker's clips between two averages.
    rate, momentum, decay : float
        Step of the gradient descent, share of the last step that is kept, weight decay.
    batch : int
        Clips a step.
    seed : int
        Of first weights and of the order of clips.
    """

    hidden: int = 64
    rounds: int = 50
    epochs: int = 1
    rate: float = 0.02
    momentum: float = 0.9
    decay: float = 0.1
    batch: int = 16
    seed: int = 0

    @classmethod
    def read(cls, file: Path | None) -> Settings:
        """Read settings that differ from a JSON file; without one, none do."""
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file else cls()


@dataclass(frozen=True)
class Clips:
    """A speaker's clips, or those of several: features (clips, features) and emotions by number."""

    X: Array
    y: Indices
    labels: list[str]

    @classmethod
    def read(cls, file: Path) -> Clips:
        """Read what `speakers.py` wrote."""
        with np.load(file, allow_pickle=False) as found:
            return cls(found["X"].astype(np.float64), found["y"], found["labels"].tolist())

    def write(self, file: Path) -> None:
        """Write as npz without pickles."""
        np.savez(file, X=self.X.astype(np.float32), y=self.y, labels=np.array(self.labels))


def together(parts: Iterable[Clips]) -> Clips:
    """Put the clips of several speakers in one place."""
    clips = list(parts)
    X, y = np.concatenate([one.X for one in clips]), np.concatenate([one.y for one in clips])
    return Clips(X, y, clips[0].labels)


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each feature, and the weight of each emotion in the loss."""

    mean: Array
    deviation: Array
    emotion: Array

    @classmethod
    def of(cls, sums: Iterable[Weights]) -> Scale:
        """Add up what `sums` said of each speaker.

        Parameters
        ----------
        sums : iterable of list of array
            One of `sums` for each speaker.

        Returns
        -------
        Scale
            As if computed from all clips; an emotion's weight is inverse to its number of clips.
        """
        counts, total, squares = (np.sum(part, axis=0) for part in zip(*sums, strict=True))
        clips = counts.sum()
        mean = total / clips
        variance = np.maximum(squares / clips - mean**2, 0)
        deviation = np.where(variance > 1e-12 * (1 + mean**2), np.sqrt(variance), 1.0)
        there = counts > 0
        weight = np.where(there, clips / np.maximum(counts, 1) / there.sum(), 0.0)
        return cls(mean, deviation, weight)


def sums(clips: Clips) -> Weights:
    """Give a speaker's clips of each emotion, and each feature's sum and sum of squares."""
    counts = np.bincount(clips.y, minlength=len(clips.labels)).astype(np.float64)
    return [counts, clips.X.sum(axis=0), (clips.X**2).sum(axis=0)]


def first_weights(features: int, emotions: int, settings: Settings) -> Weights:
    """Draw weights from the seed: those of the hidden layer and its bias, those of the last one."""
    random = np.random.default_rng(settings.seed)
    sizes = [(features, settings.hidden), (settings.hidden, emotions)]
    weights: Weights = []
    for size in sizes:
        weights += [random.normal(0, np.sqrt(2 / size[0]), size), np.zeros(size[1])]
    return weights


def likely(weights: Weights, scale: Scale, X: Array) -> Array:
    """Give the probability of each emotion, shape (clips, emotions)."""
    return _forward(weights, (X - scale.mean) / scale.deviation)[1]


def learn(
    weights: Weights, clips: Clips, scale: Scale, settings: Settings, draw: tuple[int, ...]
) -> Weights:
    """Pass over clips `settings.epochs` times.

    Parameters
    ----------
    weights : list of array
        Where to begin; left as they are.
    clips : Clips
        Of one speaker, or of all.
    scale : Scale
        Of all.
    settings : Settings
        How.
    draw : tuple of int
        Round, and number of the speaker: seeds the order of clips.

    Returns
    -------
    list of array
        The weights learnt.
    """
    X, y = (clips.X - scale.mean) / scale.deviation, clips.y
    random = np.random.default_rng((settings.seed, *draw))
    weights = [array.copy() for array in weights]
    speed = [np.zeros_like(array) for array in weights]
    for _ in range(settings.epochs):
        order = random.permutation(len(y))
        for rows in np.array_split(order, -(-len(y) // settings.batch)):
            slopes = gradient(weights, X[rows], y[rows], scale.emotion)
            for place, slope in enumerate(slopes):
                step = slope + settings.decay * weights[place]
                speed[place] = settings.momentum * speed[place] - settings.rate * step
                weights[place] += speed[place]
    return weights


class History:
    """What was learnt after some of the rounds, and the scale it is for.

    Parameters
    ----------
    scale : Scale
        Of the features.
    settings : Settings
        Their last round is kept, and those of `CURVE` before it.
    """

    def __init__(self, scale: Scale, settings: Settings) -> None:
        self.scale = scale
        self.rounds = {number for number in CURVE if number < settings.rounds} | {settings.rounds}
        self.weights: dict[int, Weights] = {}

    def note(self, number: int, weights: Weights) -> None:
        """Keep the weights, if this round is one of those kept."""
        if number in self.rounds:
            self.weights[number] = weights

    def answers(self, X: Array) -> dict[int, Indices]:
        """Give the likeliest emotion of each clip after each round kept."""
        return {n: likely(w, self.scale, X).argmax(axis=1) for n, w in self.weights.items()}

    def write(self, file: Path) -> None:
        """Write as npz without pickles, all or nothing."""
        arrays = {f"{n} {place}": x for n, w in self.weights.items() for place, x in enumerate(w)}
        part = file.with_suffix(".part.npz")
        np.savez(part, **arrays, **vars(self.scale))
        part.replace(file)

    @classmethod
    def read(cls, file: Path, settings: Settings) -> History:
        """Read what `write` wrote."""
        with np.load(file, allow_pickle=False) as found:
            history = cls(Scale(*(found[name] for name in SCALE)), settings)
            for number in sorted(history.rounds):
                history.weights[number] = [found[f"{number} {place}"] for place in range(4)]
        return history


def gradient(weights: Weights, X: Array, y: Indices, emotion: Array) -> Weights:
    """Give the slope of the weighted cross-entropy, by the chain rule, for scaled features."""
    hidden, probabilities = _forward(weights, X)
    wrong = (probabilities - np.eye(len(emotion))[y]) * emotion[y, None] / len(y)
    back = (wrong @ weights[2].T) * (hidden > 0)
    return [X.T @ back, back.sum(axis=0), hidden.T @ wrong, wrong.sum(axis=0)]


def _forward(weights: Weights, X: Array) -> tuple[Array, Array]:
    hidden = np.maximum(X @ weights[0] + weights[1], 0)
    logits = hidden @ weights[2] + weights[3]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return hidden, powers / powers.sum(axis=1, keepdims=True)
