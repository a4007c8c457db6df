"""Two results on the same clips: paired tests of two systems, and what a condition changes.

Names of `Change` follow audEERING's ser-tests: change of UAR, share of unchanged predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serein.errors import ProtocolError, SettingError, counted, unknown_name
from serein.evaluation.intervals import (
    Interval,
    expanded_percentile,
    resample_speakers,
    speaker_sums,
    summed_scores,
)
from serein.evaluation.metrics import Floats, recalls
from serein.evaluation.result import Result

MAX_EXACT = 12  # speakers up to which every permutation is tried
PERMUTATIONS = 10_000  # random ones, of more speakers
PAIRED = (
    *("uar", "accuracy", "precision_macro", "f1_macro", "f1_weighted"),
    *("log_loss", "expected_calibration_error", "brier"),
)
"""Scores that two systems can be compared by."""


@dataclass(frozen=True)
class Comparison:
    """How a second system differs from a first on the same clips.

    The interval is of the difference, second less first, by speaker-level bootstrap; NaN with one
    speaker. `p_value` is two-sided: how often swapping the two systems' predictions for whole
    speakers, at random, gives a difference as large.
    """

    score: str
    first: float
    second: float
    interval_95: Interval
    p_value: float
    speakers: int

    @property
    def difference(self) -> float:
        """Second less first."""
        return self.second - self.first

    @property
    def least_p(self) -> float:
        """The smallest p that so few speakers can give: swapping none and all are as large."""
        if self.speakers > MAX_EXACT:
            return 1 / (PERMUTATIONS + 1)
        return min(1.0, 2 / 2**self.speakers)


@dataclass(frozen=True)
class Change:
    """What one condition, such as added noise, does to the predictions of one model.

    The interval is of the difference to the clean UAR, by speaker-level bootstrap; None with one
    speaker. `unchanged` is the share of clips whose predicted class stays.
    """

    uar: float
    clean_uar: float
    difference: float
    interval_95: Interval | None
    unchanged: float
    recall: Mapping[str, float]


def compare(
    first: Result,
    second: Result,
    *,
    score: str = "uar",
    draws: int = 2000,
    random_state: int = 0,
) -> Comparison:
    """Compare two systems on the same clips by a paired permutation test over speakers.

    R. A. Fisher, "The Design of Experiments", 1935, section 21; E. W. Noreen, "Computer-Intensive
    Methods for Testing Hypotheses", 1989 (approximate randomisation).
    """
    if score not in PAIRED:
        raise ProtocolError(unknown_name("score", score, PAIRED))
    second = aligned(first, second)
    one, two = _sums(first), _sums(second)
    before, after, interval = _difference(one, two, first.labels, score, draws, random_state)
    swapped = _permutations(len(one), random_state)
    kept = 1 - swapped
    permuted = [
        summed_scores(kept @ these + swapped @ those, len(first.labels))[score]
        for these, those in ((one, two), (two, one))
    ]
    as_large = np.abs(permuted[1] - permuted[0]) >= abs(after - before) - 1e-12
    exact = len(one) <= MAX_EXACT
    p_value = as_large.mean() if exact else (as_large.sum() + 1) / (len(swapped) + 1)
    return Comparison(score, before, after, interval, float(p_value), len(one))


def change(clean: Result, changed: Result, *, draws: int = 2000, random_state: int = 0) -> Change:
    """Compare the predictions of one model for the same clips without and with a condition."""
    for name in ("labels", "truth", "speakers"):
        if not np.array_equal(getattr(clean, name), getattr(changed, name)):
            raise SettingError(f"the two results differ in their {name}; give the same clips twice")
    if not len(clean.truth):
        raise SettingError("there is no clip to compare predictions of; give at least one")
    one, two = _sums(clean), _sums(changed)
    before, after, interval = _difference(one, two, clean.labels, "uar", draws, random_state)
    recall = recalls(changed.truth, changed.prediction, len(clean.labels)).tolist()
    named = zip(clean.labels, recall, strict=True)
    return Change(
        uar=after,
        clean_uar=before,
        difference=after - before,
        interval_95=interval if len(one) > 1 else None,
        unchanged=float(np.mean(clean.prediction == changed.prediction)),
        recall={label: value for label, value in named if not np.isnan(value)},
    )


def aligned(first: Result, second: Result) -> Result:
    """Put a second system's predictions in the order of the first's clips."""
    if first.labels != second.labels:
        raise ProtocolError(
            f"the results have other labels: {', '.join(first.labels)} and "
            f"{', '.join(second.labels)}; evaluate both on the same emotions"
        )
    if "file" in first.about and "file" in second.about:
        second = second.subset(np.array(_order(_keys(first), _keys(second))))
    same = len(first.truth) == len(second.truth) and (first.speakers == second.speakers).all()
    if not same or (first.truth != second.truth).any():
        raise ProtocolError(
            "the results are not about the same clips, with the same speakers and true emotions; "
            "a paired test needs both systems evaluated on the same recordings"
        )
    return second


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for having made several tests.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6(2), 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(steps, 1.0)
    result: list[float] = adjusted.tolist()
    return result


def _sums(result: Result) -> Floats:
    return speaker_sums(result.truth, result.probabilities, result.speakers)


def _difference(
    one: Floats, two: Floats, labels: Sequence[str], score: str, draws: int, random_state: int
) -> tuple[float, float, Interval]:
    """Score two results by their sums over speakers; bootstrap the interval of the difference."""
    weight = np.ones((1 + draws, len(one)))  # the first row is the sample itself
    weight[1:] = resample_speakers(len(one), draws, random_state)
    before, after = (summed_scores(weight @ sums, len(labels))[score] for sums in (one, two))
    low, high = expanded_percentile((after - before)[1:], len(one)).tolist()
    return float(before[0]), float(after[0]), (low, high)


def _keys(result: Result) -> list[tuple[str, str]]:
    corpus = result.about.get("corpus", np.full(len(result.truth), ""))
    return list(zip(corpus.tolist(), result.about["file"].tolist(), strict=True))


def _order(first: list[tuple[str, str]], second: list[tuple[str, str]]) -> list[int]:
    place = {key: row for row, key in enumerate(second)}
    if len(place) != len(second) or len(set(first)) != len(first):
        raise ProtocolError(
            "two clips of a result have the same corpus and file name, so they cannot be paired: "
            "rename one"
        )
    missing = [key for key in first if key not in place]
    if missing or len(first) != len(second):
        unpaired = missing or sorted(set(second) - set(first))
        raise ProtocolError(
            f"{counted(len(unpaired), 'clip')} in one result only, {unpaired[0][1]} for one; a "
            "paired test needs both systems evaluated on the same recordings"
        )
    return [place[key] for key in first]


def _permutations(speakers: int, random_state: int) -> Floats:
    """Say whose predictions are swapped, 0 or 1: every choice, or many at random."""
    if speakers <= MAX_EXACT:
        numbers = np.arange(2**speakers)[:, None]
        return (numbers >> np.arange(speakers) & 1).astype(np.float64)
    generator = np.random.default_rng(random_state)
    return generator.integers(2, size=(PERMUTATIONS, speakers)).astype(np.float64)
