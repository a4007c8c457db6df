"""What is particular to a speaker, learnt from a few utterances without labels.

A recogniser that has not heard a voice leans, for all that this voice says, towards some emotions:
a high voice may sound happier to it than it is. In log probabilities that lean is one vector, added
to whatever emotion is voiced. Training speakers, answered for by models that did not hear them,
show how large such vectors are; a new speaker's is then found from what the recogniser answers for
a few utterances, and taken off. numpy alone, so that a bundle's recogniser needs no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST = 1e-9  # probabilities below this say no more than this
MOST = 1e4  # logarithms of LEAST, and their squares, are far below this
ROUNDS = 50  # of expectation and maximisation, at most
STILL = 1e-4  # a vector that moves less than this has been found
SAME_AGAIN = 2 / 3  # how likely, before listening, one more utterance is of the same emotion
RIDGE = (
    1e-3  # share of the mean variance that is added to all, for log probabilities lack a direction
)


@dataclass(frozen=True)
class SpeakerPrior:
    """How speakers differ, as far as a recogniser's answers show it.

    Attributes
    ----------
    means : numpy.ndarray
        Shape (classes, classes): a row an emotion, the centred log probabilities that it gets.
    within : numpy.ndarray
        Shape (classes, classes), covariance about those means from one utterance of a speaker to
        the next.
    between : numpy.ndarray
        Shape (classes, classes), covariance of the speakers' own vectors.

    References
    ----------
    The model of utterances is that of J.-L. Gauvain and C.-H. Lee, "Maximum a posteriori estimation
    for multivariate Gaussian mixture observations of Markov chains", IEEE Transactions on Speech
    and Audio Processing 2(2), 1994, with one vector shared by all components.

    Examples
    --------
    >>> prior = SpeakerPrior(3.0 * np.eye(3) - 1.0, 0.1 * np.eye(3), np.eye(3))
    >>> own = np.array([0.9, 0.3, -1.2])
    >>> utterances = np.exp(prior.means[[0, 1, 2] * 8] + own)
    >>> prior.lean(utterances / utterances.sum(axis=1, keepdims=True)).round(1).tolist()
    [0.8, 0.3, -1.1]
    """

    means: Floats
    within: Floats
    between: Floats

    @classmethod
    def learn(
        cls, probabilities: npt.ArrayLike, truth: npt.ArrayLike, speakers: npt.ArrayLike
    ) -> Self:
        """Learn from answers for training speakers, given by models that had not heard them.

        Parameters
        ----------
        probabilities : array_like
            Shape (utterances, classes).
        truth : array_like of int
            Shape (utterances,), class numbers; every class must occur.
        speakers : array_like
            Shape (utterances,).

        Returns
        -------
        SpeakerPrior
            Means and covariances.

        Raises
        ------
        ValueError
            If a class does not occur.
        """
        given = centred(probabilities)
        index = np.asarray(truth)
        classes = given.shape[1]
        if len(np.unique(index)) < classes:
            raise ValueError("a class has no utterance: nothing is known of how it is answered")
        means = np.array([given[index == number].mean(axis=0) for number in range(classes)])
        apart = given - means[index]
        _, which = np.unique(np.asarray(speakers), return_inverse=True)
        own = np.array([apart[which == number].mean(axis=0) for number in range(which.max() + 1)])
        rest = apart - own[which]
        free = max(1, len(rest) - len(own))
        return cls(means, rest.T @ rest / free, own.T @ own / len(own))

    def lean(self, probabilities: npt.ArrayLike) -> Floats:
        """Find a speaker's own vector from utterances whose emotions are not known.

        If they are of several emotions, two estimates are blended by how varied they are. One lets
        each be any emotion, by expectation and maximisation; the other, the better the more
        emotions there are, takes their plain mean. But a speaker heard in a single emotion cannot
        be told from that emotion, and must stay as they are: so all is multiplied by the
        probability that there are several, given how widely a single one is answered.

        Parameters
        ----------
        probabilities : array_like
            Shape (utterances, classes), at least one.

        Returns
        -------
        numpy.ndarray
            Shape (classes,), to be taken off log probabilities.
        """
        given = centred(probabilities)
        own, weight = self._any_emotion(given)
        variety = _variety(weight.mean(axis=0))
        varied = (1 - variety) * own + variety * self._every_emotion(given)
        result: Floats = self._several(given, own) * varied
        return result

    def _any_emotion(self, given: Floats) -> tuple[Floats, Floats]:
        """Return the likeliest vector, and of each utterance how likely each emotion is."""
        precision = np.linalg.inv(_full(self.within))
        gain = np.linalg.solve(
            np.linalg.inv(_full(self.between)) + len(given) * precision, precision
        )
        apart = given[:, None] - self.means
        own = np.zeros(given.shape[1])
        for _ in range(ROUNDS):
            rest = apart - own
            likelihood = -0.5 * np.sum(rest @ precision * rest, axis=2)
            weight = np.exp(likelihood - _log_sum(likelihood)[:, None])
            moved = gain @ np.tensordot(weight, apart)
            own, step = moved, np.abs(moved - own).max()
            if step < STILL:
                break
        return own, weight

    def _every_emotion(self, given: Floats) -> Floats:
        """Return the likeliest vector if all emotions are as frequent as each other."""
        centre = self.means.mean(axis=0)
        emotions = np.square(self.means - centre).sum() / len(self.means)
        noise = (np.trace(self.within) + emotions) / len(given)
        between = np.trace(self.between)
        result: Floats = between / (between + noise + LEAST) * (given.mean(axis=0) - centre)
        return result

    def _several(self, given: Floats, own: Floats) -> float:
        """Return the probability that the utterances are of several emotions, not of one.

        What both have in common is left out; the integral over the speaker's vector is exact for a
        single emotion, and taken at `own` for several.
        """
        count, classes = given.shape
        within, between = _full(self.within), _full(self.between)
        precision = np.linalg.inv(within)
        rest = given[:, None] - own - self.means
        each = -0.5 * np.sum(rest @ precision * rest, axis=2)
        several = np.sum(_log_sum(each)) - count * np.log(classes)
        several -= 0.5 * own @ np.linalg.solve(between, own)
        middle = given.mean(axis=0)
        spread = np.sum((given - middle) @ precision * (given - middle))
        apart = middle - self.means
        distance = np.sum(apart @ np.linalg.inv(within + count * between) * apart, axis=1)
        single = _log_sum(-0.5 * (spread + count * distance)[None])[0] - np.log(classes)
        single += (count - 1) * np.log(SAME_AGAIN)
        return float(1 / (1 + np.exp(np.clip(single - several, -500, 500))))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a manifest."""
        parts = {"means": self.means, "within": self.within, "between": self.between}
        return {name: part.round(5).tolist() for name, part in parts.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], classes: int) -> Self:
        """Rebuild a prior from `to_dict`'s values.

        Parameters
        ----------
        values : mapping
            As `to_dict` returned it.
        classes : int
            How many emotions it must be for.

        Returns
        -------
        SpeakerPrior
            An equal prior.

        Raises
        ------
        ValueError
            If a part is missing, of another shape, not finite, or no covariance.
        """
        parts = {}
        for name in ("means", "within", "between"):
            part = np.asarray(values.get(name), dtype=np.float64)
            if part.shape != (classes, classes) or not (np.abs(part) < MOST).all():
                raise ValueError(
                    f"{name} is not a matrix of {classes} rows and columns, each below {MOST:g}"
                )
            parts[name] = part
        for name in ("within", "between"):
            if not np.allclose(parts[name], parts[name].T, atol=1e-4) or (
                np.linalg.eigvalsh(parts[name]).min() < -1e-3
            ):
                raise ValueError(f"{name} is not a covariance: symmetric, and nowhere negative")
        return cls(**parts)


def adapted(probabilities: npt.ArrayLike, lean: Floats) -> Floats:
    """Take a speaker's own vector off answers."""
    logits = centred(probabilities) - lean
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Floats = weight / weight.sum(axis=1, keepdims=True)
    return result


def centred(probabilities: npt.ArrayLike) -> Floats:
    """Return log probabilities, each row with mean 0: shape (utterances, classes)."""
    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), LEAST))
    result: Floats = logs - logs.mean(axis=1, keepdims=True)
    return result


def _variety(share: Floats) -> float:
    """Say how many emotions are heard: 0 for a single one, 1 for all of them equally often.

    In between it rises slowly, then fast, then slowly: a few emotions taken for others are not
    variety, and one that is rare does not spoil it.
    """
    some = share[share > 0]
    count = np.exp(-(some * np.log(some)).sum())
    rate = (count - 1) / (len(share) - 1)
    return float(rate**2 * (3 - 2 * rate))


def _log_sum(logs: Floats) -> Floats:
    """Return the logarithm of the sum of exponentials of each row."""
    most = logs.max(axis=1)
    result: Floats = most + np.log(np.exp(logs - most[:, None]).sum(axis=1))
    return result


def _full(covariance: Floats) -> Floats:
    """Make a covariance invertible."""
    size = len(covariance)
    return covariance + (RIDGE * np.trace(covariance) / size + 1e-12) * np.eye(size)
