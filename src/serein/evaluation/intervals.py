"""Intervals by a speaker-level cluster bootstrap: scores with other speakers of the same kind.

Clips of one speaker are alike, so resampling clips would give intervals that are too narrow: whole
speakers are resampled. Every score is a function of sums over speakers, AUC of sums over pairs of
them, so thousands of resamples are a few matrix products. With few speakers the quantiles are moved
outwards (expanded percentile): without that, nominal 95 % covered 84 % of the truths of six
speakers in a simulation, and now 91 %.

References
----------
B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
T. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69(4),
2015, section 4.2 (expanded percentile).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.errors import MissingExtraError, SettingError
from serein.evaluation.metrics import (
    Floats,
    Indices,
    briers,
    class_scores,
    confidence_gaps,
    log_losses,
    overall_scores,
)

try:
    from scipy import stats
except ImportError as error:
    raise MissingExtraError("evaluation", "sound") from error

Strings = npt.NDArray[np.str_]
Interval = tuple[float, float]
BINS = 15  # of confidence, for the expected calibration error
BATCH = 250  # resamples at once, to bound memory


def speaker_sums(truth: Indices, probabilities: Floats, speakers: Strings) -> Floats:
    """Sum over each speaker's samples what `summed_scores` needs: (speakers, columns)."""
    classes = probabilities.shape[1]
    _, who = np.unique(speakers, return_inverse=True)
    place, gap = confidence_gaps(truth, probabilities, BINS)
    cell = truth * classes + probabilities.argmax(axis=1)
    columns = [
        _sum_by(who, np.zeros_like(who), np.ones(len(who)), 1),
        _sum_by(who, cell, np.ones(len(who)), classes * classes),
        _sum_by(who, place, gap, BINS),
        _sum_by(who, np.zeros_like(who), log_losses(truth, probabilities), 1),
        _sum_by(who, np.zeros_like(who), briers(truth, probabilities), 1),
    ]
    return np.concatenate(columns, axis=1)


@dataclass(frozen=True)
class SpeakerSums:
    """Sums over each speaker's samples, and for AUC over pairs of speakers."""

    classes: int
    sums: Floats
    above: Floats

    @classmethod
    def of(cls, truth: Indices, probabilities: Floats, speakers: Strings) -> SpeakerSums:
        """Sum over each speaker's samples."""
        _, who = np.unique(speakers, return_inverse=True)
        above = [_above(who, truth == number, row) for number, row in enumerate(probabilities.T)]
        sums = speaker_sums(truth, probabilities, speakers)
        return cls(probabilities.shape[1], sums, np.stack(above))

    def scores(self, weight: Floats) -> dict[str, Floats]:
        """Score resamples, given how often each has each speaker: (resamples, speakers)."""
        sums = weight @ self.sums
        true = _cells(sums, self.classes).sum(axis=2)
        pairs = true * (true.sum(axis=1, keepdims=True) - true)
        higher = np.stack([((weight @ above) * weight).sum(axis=1) for above in self.above], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            areas = np.where(pairs > 0, higher / pairs, np.nan)
            mean = np.where(pairs > 0, areas, 0.0).sum(axis=1) / (pairs > 0).sum(axis=1)
        return summed_scores(sums, self.classes) | {"auc": areas, "auc_macro": mean}


def summed_scores(sums: Floats, classes: int) -> dict[str, Floats]:
    """Score resamples by their `speaker_sums`: (resamples, columns)."""
    last = np.cumsum([1, classes * classes, BINS, 1])
    samples, _, gaps, loss, distance = np.split(sums, last, axis=1)
    cells = _cells(sums, classes)
    return {
        **overall_scores(cells),
        "log_loss": (loss / samples)[:, 0],
        "expected_calibration_error": np.abs(gaps).sum(axis=1) / samples[:, 0],
        "brier": (distance / samples)[:, 0],
        **class_scores(cells),
    }


def speaker_intervals(
    truth: Indices,
    probabilities: Floats,
    speakers: Strings,
    *,
    level: float = 0.95,
    draws: int = 2000,
    random_state: int = 0,
) -> dict[str, Floats]:
    """Bootstrap every score over speakers: both ends, (2,), or of each class, (2, classes).

    NaN with a single speaker.
    """
    sums = SpeakerSums.of(truth, probabilities, speakers)
    people = len(sums.sums)
    weight = resample_speakers(people, draws, random_state)
    drawn = [sums.scores(weight[start : start + BATCH]) for start in range(0, draws, BATCH)]
    return {
        name: expanded_percentile(np.concatenate([part[name] for part in drawn]), people, level)
        for name in drawn[0]
    }


def speaker_interval(
    score: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float],
    truth: npt.NDArray[Any],
    prediction: npt.NDArray[Any],
    speakers: Strings,
    *,
    level: float = 0.95,
    draws: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Bootstrap any score of (truth, prediction) over speakers; NaN with a single speaker.

    Truth and prediction are class numbers, or values of a dimension such as valence.
    """
    members = [np.flatnonzero(speakers == speaker) for speaker in np.unique(speakers)]
    generator = np.random.default_rng(random_state)
    scores = []
    for _ in range(draws):
        drawn = generator.integers(len(members), size=len(members))
        rows = np.concatenate([members[number] for number in drawn])
        scores.append(score(truth[rows], prediction[rows]))
    low, high = expanded_percentile(np.array(scores), len(members), level).tolist()
    return low, high


def resample_speakers(speakers: int, draws: int, random_state: int) -> Floats:
    """Draw as many speakers as there are, with replacement; count each: (draws, speakers)."""
    generator = np.random.default_rng(random_state)
    drawn = generator.multinomial(speakers, np.full(speakers, 1 / speakers), size=draws)
    return drawn.astype(np.float64)


def expanded_percentile(scores: Floats, speakers: int, level: float = 0.95) -> Floats:
    """Give both ends of a bootstrap interval over the first axis, widened for few speakers."""
    if speakers < 2:
        return np.full((2, *scores.shape[1:]), np.nan)
    reach = stats.t.ppf((1 + level) / 2, speakers - 1) * np.sqrt(speakers / (speakers - 1))
    tail = float(stats.norm.cdf(-reach))
    missing = np.isnan(scores).all(axis=0)
    filled = np.where(missing, 0.0, scores)
    found: Floats = np.nanquantile(filled, [tail, 1 - tail], axis=0)
    return np.where(missing, np.nan, found)


def wilson(correct: int, clips: int, *, level: float = 0.95) -> Interval:
    """Interval of the share of correct predictions, over further clips of one speaker.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA
    22(158), 1927.

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    if not 0 <= correct <= clips or clips == 0:
        raise SettingError(
            f"{correct} of {clips} clips are correct; need 0 to {clips}, of at least 1"
        )
    low, high = stats.binomtest(correct, clips).proportion_ci(level, method="wilson")
    return float(low), float(high)


def _sum_by(who: Indices, place: Indices, value: Floats, columns: int) -> Floats:
    """Sum values by speaker and column."""
    speakers = int(who.max()) + 1
    found = np.bincount(who * columns + place, weights=value, minlength=speakers * columns)
    return found.reshape(speakers, columns).astype(np.float64)


def _above(who: Indices, positive: npt.NDArray[np.bool_], score: Floats) -> Floats:
    """Count, for each pair of speakers, positives of one above negatives of the other."""
    levels, place = np.unique(-score, return_inverse=True)  # the highest first
    positives = _sum_by(who, place, positive.astype(np.float64), len(levels))
    negatives = _sum_by(who, place, (~positive).astype(np.float64), len(levels))
    return (np.cumsum(positives, axis=1) - positives / 2) @ negatives.T


def _cells(sums: Floats, classes: int) -> Floats:
    return sums[:, 1 : 1 + classes * classes].reshape(len(sums), classes, classes)
