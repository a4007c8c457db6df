"""Two systems on the same clips: equal, planted better, and different by chance."""

from dataclasses import replace

import numpy as np
import pytest

from serein.errors import ProtocolError
from serein.evaluation.comparison import compare, holm
from serein.evaluation.result import Result


def made(speakers: int, skill: float, seed: int, *, clips: int = 20) -> Result:
    """Three classes; a share `skill` of the predictions is correct, more for some speakers."""
    world = np.random.default_rng([seed, 0])
    truth = world.integers(3, size=speakers * clips)
    luck = np.random.default_rng([seed, 1 + int(1000 * skill)])
    right = luck.random(truth.size) < np.clip(
        skill + luck.normal(0, 0.1, speakers).repeat(clips), 0, 1
    )
    prediction = np.where(right, truth, (truth + 1 + luck.integers(2, size=truth.size)) % 3)
    probabilities = np.full((truth.size, 3), 0.2)
    probabilities[np.arange(truth.size), prediction] = 0.6
    who = np.array([f"s{number:02d}" for number in range(speakers)]).repeat(clips)
    about = {"file": np.array([f"{number}.wav" for number in range(truth.size)])}
    return Result("made", ("a", "b", "c"), truth, probabilities, who, np.zeros_like(truth), about)


def test_a_system_does_not_differ_from_itself():
    result = made(8, 0.6, 0)
    found = compare(result, result)
    assert (found.difference, found.interval_95, found.p_value) == (0.0, (0.0, 0.0), 1.0)


@pytest.mark.parametrize("speakers", [10, 20])
def test_a_better_system_is_found(speakers: int):
    found = compare(made(speakers, 0.5, 1), made(speakers, 0.8, 1))
    assert found.difference > 0.2
    assert found.interval_95[0] > 0
    assert found.p_value < 0.05
    assert found.speakers == speakers


def test_the_other_way_round_is_the_other_sign():
    one, other = made(9, 0.5, 1), made(9, 0.7, 1)
    there, back = compare(one, other), compare(other, one)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p_value == back.p_value
    assert there.interval_95 == pytest.approx([-end for end in reversed(back.interval_95)])


def test_chance_is_rarely_taken_for_a_difference():
    """Two systems of the same skill: p below 0.05 in about 5 % of worlds."""
    found = [
        compare(made(8, 0.6, seed), made(8, 0.601, seed), draws=50).p_value < 0.05
        for seed in range(200)
    ]
    assert np.mean(found) <= 0.09


def test_the_order_of_the_clips_does_not_matter():
    one, other = made(6, 0.5, 2), made(6, 0.7, 2)
    mixed = other.subset(np.random.default_rng(0).permutation(len(other.truth)))
    assert compare(one, mixed) == compare(one, other)


@pytest.mark.parametrize("score", ["accuracy", "f1_macro", "log_loss", "brier"])
def test_other_scores_can_be_compared(score: str):
    one, other = made(8, 0.5, 3), made(8, 0.8, 3)
    found = compare(one, other, score=score)
    assert found.first == pytest.approx(one.scores()[score])
    assert found.second == pytest.approx(other.scores()[score])
    assert found.p_value < 0.05


def test_what_cannot_be_compared_is_refused():
    result = made(4, 0.5, 0)
    with pytest.raises(ProtocolError, match="unknown score 'uars'; known: uar"):
        compare(result, result, score="uars")
    with pytest.raises(ProtocolError, match="other labels: a, b, c and a, b, d"):
        compare(result, replace(result, labels=("a", "b", "d")))
    with pytest.raises(ProtocolError, match=r"1 clip in one result only, 0\.wav for one"):
        compare(result, result.subset(np.arange(1, len(result.truth))))
    with pytest.raises(ProtocolError, match="not about the same clips"):
        compare(result, replace(result, truth=(result.truth + 1) % 3))
    twice = {"file": np.array(["same.wav"] * len(result.truth))}
    with pytest.raises(ProtocolError, match="same corpus and file name"):
        compare(replace(result, about=twice), replace(result, about=twice))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
