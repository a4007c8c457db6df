"""What tells vocal bursts: three kinds, then the emotions of bursts, from one vector."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serein.errors import SettingError
from serein.models.bursts import BurstHeads, log_odds

HEADS = BurstHeads(
    ("amusement", "distress"), 0.0, np.eye(5, 6, dtype=np.float32), np.zeros(5, np.float32)
)


def vector(**logits: float) -> np.ndarray:
    """Make a vector of which the heads give these logits."""
    names = ("burst", "sound", "speech", "amusement", "distress", "rest")
    return np.array([logits.get(name, 0.0) for name in names], np.float32)


def test_a_burst_has_the_softmax_of_its_own_logits() -> None:
    found = HEADS.predict(vector(burst=9, amusement=2, rest=5))
    assert found is not None
    np.testing.assert_allclose(found, [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))], rtol=1e-6)


@pytest.mark.parametrize("logits", [{}, {"speech": 9}, {"sound": 9}, {"burst": 9, "speech": 9}])
def test_what_is_likelier_something_else_is_no_burst(logits: dict[str, float]) -> None:
    assert HEADS.predict(vector(**logits)) is None


def test_the_threshold_is_the_log_odds_of_a_burst() -> None:
    given = vector(burst=3, sound=1, speech=2)
    odds = float(log_odds(given[None, :3].astype(np.float64))[0])
    assert odds == pytest.approx(3 - np.log(np.exp(1) + np.exp(2)))
    assert replace(HEADS, threshold=odds - 1e-6).predict(given) is not None
    assert replace(HEADS, threshold=odds + 1e-6).predict(given) is None


def test_the_largest_vectors_still_give_probabilities() -> None:
    found = replace(HEADS, weight=HEADS.weight * 9e5).predict(vector(burst=3e38, amusement=3e38))
    np.testing.assert_array_equal(found, [1, 0])


def test_bytes_bring_them_back() -> None:
    again = BurstHeads.from_bytes(HEADS.to_bytes(), ["amusement", "distress"], 0)
    np.testing.assert_array_equal(again.weight, HEADS.weight)
    assert (again.labels, again.threshold) == (HEADS.labels, 0.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": ("amusement", "amusement")}, "need one or more, each once"),
        ({"labels": ()}, "need one or more"),
        ({"labels": ("amusement",)}, "need 4 rows"),
        ({"threshold": float("nan")}, "need a number"),
        ({"bias": np.zeros(4, np.float32)}, "need 5 rows"),
        ({"weight": np.zeros(5, np.float32)}, "need 5 rows"),
        ({"weight": np.full((5, 6), np.nan, np.float32)}, "numbers must be from"),
        ({"bias": np.full(5, np.inf, np.float32)}, "numbers must be from"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        replace(HEADS, **change)
