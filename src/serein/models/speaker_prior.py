"""Speaker adaptation: a speaker's bias in the log posteriors, estimated from unlabelled utterances.

A recognizer's log posteriors for a speaker that it was not trained on are shifted: a high voice may
score higher for joy whatever emotion is voiced. That speaker bias is modelled as one vector, added
to the log posteriors of all the speaker's utterances. Held-out training speakers give its prior
covariance; for a new speaker, expectation-maximisation finds its maximum a posteriori (MAP)
estimate, which is subtracted. numpy alone, so that a bundle's recognizer needs no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serein.errors import SettingError

Floats = npt.NDArray[np.float64]

MIN_PROBABILITY = 1e-9  # lower probabilities are raised to this before the logarithm
MAX_ENTRY = 1e4  # of stored means and covariances: log probabilities, and their squares, lie below
MAX_ROUNDS = 50  # of expectation-maximisation
TOLERANCE = 1e-4  # expectation-maximisation ends when no entry of the bias moves by more
REPEAT_PRIOR = 2 / 3  # prior probability that an utterance has the emotion of the one before
RIDGE = 1e-3  # share of the mean variance added to all: centred log posteriors lack a direction


@dataclass(frozen=True)
class SpeakerPrior:
    """Gaussian model of centred log posteriors: a mean per emotion, and the speaker bias's prior.

    All three are of shape (classes, classes): `means` has a row per emotion; `within` is the
    covariance about them from one utterance of a speaker to the next, `between` that of the bias.

    J.-L. Gauvain, C.-H. Lee, "Maximum a posteriori estimation for multivariate Gaussian mixture
    observations of Markov chains", IEEE Transactions on Speech and Audio Processing 2(2), 1994,
    here with one bias shared by all components.
    """

    means: Floats
    within: Floats
    between: Floats

    @classmethod
    def estimate(
        cls, probabilities: npt.ArrayLike, truth: npt.ArrayLike, speakers: npt.ArrayLike
    ) -> Self:
        """Estimate the prior from predictions (utterances, classes) for held-out training speakers.

        `truth` holds class numbers; every class must occur.
        """
        posteriors = centred_log_posteriors(probabilities)
        index = np.asarray(truth)
        classes = posteriors.shape[1]
        if len(np.unique(index)) < classes:
            raise SettingError("a class has no utterance: its mean log posteriors are not known")
        means = np.array([posteriors[index == number].mean(axis=0) for number in range(classes)])
        residual = posteriors - means[index]
        _, which = np.unique(np.asarray(speakers), return_inverse=True)
        bias = np.array(
            [residual[which == number].mean(axis=0) for number in range(which.max() + 1)]
        )
        rest = residual - bias[which]
        freedom = max(1, len(rest) - len(bias))
        return cls(means, rest.T @ rest / freedom, bias.T @ bias / len(bias))

    def bias(self, probabilities: npt.ArrayLike) -> Floats:
        """Estimate a speaker's bias from utterances whose emotions are not known.

        Two estimates are blended by how varied the utterances' emotions are: one lets each
        utterance have any emotion (expectation-maximisation); the other, better the more emotions
        occur, takes all emotions as equally frequent. But the bias of a speaker heard in a single
        emotion cannot be told from that emotion. So the result is multiplied by the posterior
        probability that there are several emotions.

        Shape (classes,), to be subtracted from log posteriors.
        """
        posteriors = centred_log_posteriors(probabilities)
        bias, responsibility = self._bias_of_any_emotion(posteriors)
        variety = _variety(responsibility.mean(axis=0))
        varied = (1 - variety) * bias + variety * self._bias_of_even_emotions(posteriors)
        return self._several_emotions(posteriors, bias) * varied

    def _bias_of_any_emotion(self, posteriors: Floats) -> tuple[Floats, Floats]:
        """Return the MAP bias, and each utterance's responsibilities (utterances, classes)."""
        precision = np.linalg.inv(_invertible(self.within))
        gain = np.linalg.solve(
            np.linalg.inv(_invertible(self.between)) + len(posteriors) * precision, precision
        )
        residual = posteriors[:, None] - self.means
        bias = np.zeros(posteriors.shape[1])
        for _ in range(MAX_ROUNDS):
            rest = residual - bias
            likelihood = -0.5 * np.sum(rest @ precision * rest, axis=2)
            responsibility = np.exp(likelihood - _log_sum(likelihood)[:, None])
            moved = gain @ np.tensordot(responsibility, residual)
            bias, step = moved, np.abs(moved - bias).max()
            if step < TOLERANCE:
                break
        return bias, responsibility

    def _bias_of_even_emotions(self, posteriors: Floats) -> Floats:
        """Return the MAP bias if all emotions are equally frequent."""
        centre = self.means.mean(axis=0)
        emotions = np.square(self.means - centre).sum() / len(self.means)
        noise = (np.trace(self.within) + emotions) / len(posteriors)
        between = np.trace(self.between)
        shrinkage = between / (between + noise + MIN_PROBABILITY)
        return shrinkage * (posteriors.mean(axis=0) - centre)

    def _several_emotions(self, posteriors: Floats, bias: Floats) -> float:
        """Return the posterior probability that the utterances have several emotions, not one.

        Terms that both cases share are left out; the integral over the bias is exact for a single
        emotion, and taken at `bias` for several.
        """
        count, classes = posteriors.shape
        within, between = _invertible(self.within), _invertible(self.between)
        precision = np.linalg.inv(within)
        rest = posteriors[:, None] - bias - self.means
        each = -0.5 * np.sum(rest @ precision * rest, axis=2)
        several = np.sum(_log_sum(each)) - count * np.log(classes)
        several -= 0.5 * bias @ np.linalg.solve(between, bias)
        middle = posteriors.mean(axis=0)
        spread = np.sum((posteriors - middle) @ precision * (posteriors - middle))
        apart = middle - self.means
        distance = np.sum(apart @ np.linalg.inv(within + count * between) * apart, axis=1)
        single = _log_sum(-0.5 * (spread + count * distance)[None])[0] - np.log(classes)
        single += (count - 1) * np.log(REPEAT_PRIOR)
        return float(1 / (1 + np.exp(np.clip(single - several, -500, 500))))

    def variety(self, probabilities: npt.ArrayLike) -> float:
        """Say how much likelier several emotions are than one, whatever the bias.

        The logarithm of the ratio of likelihoods, a recording: with proportions of the emotions
        fitted, and with the best single emotion; both with the bias's MAP estimate.
        """
        posteriors = centred_log_posteriors(probabilities)
        count, classes = posteriors.shape
        precision = np.linalg.inv(_invertible(self.within))
        rarity = np.linalg.inv(_invertible(self.between))
        gain = np.linalg.solve(rarity + count * precision, precision)
        residual = posteriors[:, None] - self.means

        def likelihood(bias: Floats) -> Floats:
            rest = residual - bias
            found: Floats = -0.5 * np.sum(rest @ precision * rest, axis=2)
            return found

        alone = []
        for number in range(classes):
            bias = gain @ residual[:, number].sum(axis=0)
            alone.append(likelihood(bias)[:, number].sum() - 0.5 * bias @ rarity @ bias)
        bias, shares = np.zeros(classes), np.full(classes, 1 / classes)
        for _ in range(MAX_ROUNDS):
            logs = likelihood(bias) + np.log(shares)
            total = _log_sum(logs)
            responsibility = np.exp(logs - total[:, None])
            shares = (responsibility.sum(axis=0) + 1) / (count + classes)
            moved = gain @ np.tensordot(responsibility, residual)
            bias, step = moved, np.abs(moved - bias).max()
            if step < TOLERANCE:
                break
        several = total.sum() - 0.5 * bias @ rarity @ bias
        return float(several - max(alone)) / count

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a manifest."""
        parts = {"means": self.means, "within": self.within, "between": self.between}
        return {name: part.round(5).tolist() for name, part in parts.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], classes: int) -> Self:
        """Rebuild a prior from `to_dict`'s values, for so many classes; check its parts."""
        parts = {}
        for name in ("means", "within", "between"):
            part = np.asarray(values.get(name), dtype=np.float64)
            if part.shape != (classes, classes) or not (np.abs(part) < MAX_ENTRY).all():
                raise SettingError(
                    f"{name} is not a matrix of {classes} rows and columns, all below {MAX_ENTRY:g}"
                )
            parts[name] = part
        for name in ("within", "between"):
            if not np.allclose(parts[name], parts[name].T, atol=1e-4) or (
                np.linalg.eigvalsh(parts[name]).min() < -1e-3
            ):
                raise SettingError(
                    f"{name} is not a covariance matrix: symmetric and positive semidefinite"
                )
        return cls(**parts)


def remove_bias(probabilities: npt.ArrayLike, bias: Floats) -> Floats:
    """Subtract a speaker's bias from the log posteriors, and return probabilities again."""
    logits = centred_log_posteriors(probabilities) - bias
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def centred_log_posteriors(probabilities: npt.ArrayLike) -> Floats:
    """Return log probabilities, each row with mean 0: shape (utterances, classes)."""
    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), MIN_PROBABILITY))
    return logs - logs.mean(axis=1, keepdims=True)


def _variety(share: Floats) -> float:
    """Measure how many emotions occur: 0 for a single one, 1 for all equally often.

    The count is the exponential of the entropy. A smoothstep follows, so that a few emotions taken
    for others count little as variety, and one rare emotion costs little of it.
    """
    some = share[share > 0]
    count = np.exp(-(some * np.log(some)).sum())
    rate = (count - 1) / (len(share) - 1)
    return float(rate**2 * (3 - 2 * rate))


def _log_sum(logs: Floats) -> Floats:
    """Return the logarithm of the sum of exponentials of each row."""
    most = logs.max(axis=1)
    return most + np.log(np.exp(logs - most[:, None]).sum(axis=1))


def _invertible(covariance: Floats) -> Floats:
    size = len(covariance)
    return covariance + (RIDGE * np.trace(covariance) / size + 1e-12) * np.eye(size)
