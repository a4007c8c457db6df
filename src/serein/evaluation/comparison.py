"""Two systems on the same clips: whether one is better, or had luck with the speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serein.errors import ProtocolError, unknown_name
from serein.evaluation.intervals import SpeakerSums, draw_speakers, ends, summed_scores
from serein.evaluation.metrics import Floats
from serein.evaluation.result import Result

EXACT = 12  # speakers up to which every swap is tried
SWAPS = 10_000
LESS_IS_BETTER = ("log_loss", "expected_calibration_error", "brier")
PAIRED = (
    *("uar", "accuracy", "precision_macro", "f1_macro", "f1_weighted"),
    *LESS_IS_BETTER,
)
"""Scores that two systems can be compared by."""


@dataclass(frozen=True)
class Comparison:
    """How a second system differs from a first on the same clips.

    Attributes
    ----------
    score : str
        One of `PAIRED`.
    first, second : float
        The scores.
    interval_95 : tuple of float
        Of the difference, second less first, drawing speakers; NaN with a single one.
    p_value : float
        Two-sided: how often swapping the two systems' answers for whole speakers, at random, gives
        a difference as large.
    speakers : int
        How many there are.
    """

    score: str
    first: float
    second: float
    interval_95: tuple[float, float]
    p_value: float
    speakers: int

    @property
    def difference(self) -> float:
        """Second less first."""
        return self.second - self.first


def compare(
    first: Result,
    second: Result,
    *,
    score: str = "uar",
    draws: int = 2000,
    random_state: int = 0,
) -> Comparison:
    """Compare two systems by a paired permutation test over speakers.

    Parameters
    ----------
    first, second : Result
        Answers for the same clips, in the same or another order.
    score : str
        One of `PAIRED`.
    draws : int
        Resamples for the interval.
    random_state : int
        Seed.

    Returns
    -------
    Comparison
        Difference, interval and p-value.

    Raises
    ------
    ProtocolError
        If the score is unknown, or clips, labels, truth or speakers differ.

    References
    ----------
    R. A. Fisher, "The Design of Experiments", 1935, section 21; E. W. Noreen, "Computer-Intensive
    Methods for Testing Hypotheses", 1989 (approximate randomisation).
    """
    if score not in PAIRED:
        raise ProtocolError(unknown_name("score", score, PAIRED))
    second = aligned(first, second)
    one = SpeakerSums.of(first.truth, first.probabilities, first.speakers)
    two = SpeakerSums.of(second.truth, second.probabilities, second.speakers)
    people = len(one.sums)

    def value(sums: Floats) -> Floats:
        return summed_scores(sums, one.classes)[score]

    weight = draw_speakers(people, draws, random_state)
    drawn = value(weight @ two.sums) - value(weight @ one.sums)
    low, high = ends(drawn, people).tolist()
    swapped = _swaps(people, random_state)
    kept = 1 - swapped
    there = value(kept @ one.sums + swapped @ two.sums)
    back = value(kept @ two.sums + swapped @ one.sums)
    everyone = np.ones((1, people))
    before, after = float(value(everyone @ one.sums)[0]), float(value(everyone @ two.sums)[0])
    as_large = np.abs(back - there) >= abs(after - before) - 1e-12
    p_value = as_large.mean() if people <= EXACT else (as_large.sum() + 1) / (len(swapped) + 1)
    return Comparison(score, before, after, (low, high), float(p_value), people)


def aligned(first: Result, second: Result) -> Result:
    """Put a second system's answers in the order of the first's clips."""
    if first.labels != second.labels:
        raise ProtocolError(
            f"the results have other labels: {', '.join(first.labels)} and "
            f"{', '.join(second.labels)}; judge both on the same emotions"
        )
    if "file" in first.about and "file" in second.about:
        second = second.subset(np.array(_order(_keys(first), _keys(second))))
    same = len(first.truth) == len(second.truth) and (first.speakers == second.speakers).all()
    if not same or (first.truth != second.truth).any():
        raise ProtocolError(
            "the results are not about the same clips, with the same speakers and true emotions; "
            "a paired test needs both systems judged on the same recordings"
        )
    return second


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for having made several tests.

    Parameters
    ----------
    p_values : sequence of float
        One a test.

    Returns
    -------
    list of float
        In the same order, at most 1.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6(2), 1979.

    Examples
    --------
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
        odd = missing or sorted(set(second) - set(first))
        raise ProtocolError(
            f"{len(odd)} clips are in one result only, {odd[0][1]} for one; a paired test needs "
            "both systems judged on the same recordings"
        )
    return [place[key] for key in first]


def _swaps(speakers: int, random_state: int) -> Floats:
    """Which speakers' answers change sides: every choice, or many at random."""
    if speakers <= EXACT:
        numbers = np.arange(2**speakers)[:, None]
        return (numbers >> np.arange(speakers) & 1).astype(np.float64)
    generator = np.random.default_rng(random_state)
    return generator.integers(2, size=(SWAPS, speakers)).astype(np.float64)
