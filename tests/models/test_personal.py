"""Personal heads: where they start, and how far labelled recordings move them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from made_heads import made_heads
from serein.errors import SettingError
from serein.models.baseline import AdaptiveHeads, Baseline, log_softmax
from serein.models.personal import PersonalHeads, Strength, balanced

LABELS, COLUMNS, TAKES = 4, 12, 40


@pytest.fixture(scope="module")
def heads() -> AdaptiveHeads:
    """Heads that know each label by a direction of its own."""
    weight = np.random.default_rng(0).standard_normal((LABELS, COLUMNS)).astype(np.float32)
    zeros, ones = np.zeros(COLUMNS), np.ones(COLUMNS)
    return made_heads(weight, np.zeros(LABELS), zeros, ones, spread=4.0)


def made(heads: AdaptiveHeads, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Features of each label in turn, in a room that shifts them, and the labels."""
    generator = np.random.default_rng(seed)
    truth = np.arange(TAKES) % LABELS
    room = shift * np.random.default_rng(9).standard_normal(COLUMNS)
    noise = 0.8 * generator.standard_normal((TAKES, COLUMNS))
    return (0.6 * heads.weight[truth] + room + noise).astype(np.float32), truth


def single(heads: AdaptiveHeads, vectors: np.ndarray) -> np.ndarray:
    return log_softmax(heads.relative(vectors))


def right(logs: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(logs.argmax(axis=1) == truth))


def test_they_start_as_the_own_heads_of_a_bundle(heads: AdaptiveHeads) -> None:
    vectors, _ = made(heads, 1)
    logs, own = single(heads, vectors), PersonalHeads.of(heads)
    np.testing.assert_allclose(own.predict(heads, logs, vectors), logs, atol=1e-5)
    baseline = Baseline("recordings", LABELS)
    baseline.add(heads, vectors, np.exp(logs))
    assert baseline.evidence(heads) > 0
    np.testing.assert_allclose(
        own.predict(heads, logs, vectors, baseline),
        heads.adapted(logs, vectors, baseline),
        atol=1e-5,
    )


def test_labelled_recordings_help_where_the_heads_are_wrong(heads: AdaptiveHeads) -> None:
    vectors, truth = made(heads, 1, shift=2.0)
    tested, expected = made(heads, 2, shift=2.0)
    before = right(single(heads, tested), expected)
    found = []
    for count in (3, 8):
        mine = np.arange(count * LABELS)
        own = PersonalHeads.of(heads).learnt(
            heads, single(heads, vectors[mine]), vectors[mine], truth[mine]
        )
        found.append(right(own.predict(heads, single(heads, tested), tested), expected))
    assert before + 0.05 < min(found)
    assert found[1] > 0.75


def test_the_minimum_is_that_of_another_solver(heads: AdaptiveHeads) -> None:
    vectors, truth = made(heads, 3)
    vectors, truth, weight = vectors[:9], truth[:9], np.linspace(0.5, 1.5, 9)
    strength = Strength(logits=2.0, features=0.5)
    logs = single(heads, vectors)
    start = PersonalHeads.of(heads)
    found = start.learnt(heads, logs, vectors, truth, weight=weight, strength=strength)
    moves = (found.weight - start.weight)[0].astype(float)
    inputs = np.hstack(
        [logs - logs.mean(axis=1, keepdims=True), np.ones((9, 1)), vectors / np.sqrt(COLUMNS)]
    )
    precision = np.r_[np.full(LABELS, 2.0), np.full(COLUMNS + 1, 0.5)]

    def loss(flat: np.ndarray) -> float:
        moved = flat.reshape(moves.shape)
        tempered = log_softmax(logs + inputs @ moved.T)
        return float(-weight @ tempered[np.arange(9), truth] + 0.5 * (precision * moved**2).sum())

    best = minimize(loss, np.zeros(moves.size)).fun
    assert loss(moves.ravel()) == pytest.approx(best, abs=1e-4)


def test_a_new_label_is_learnt_and_the_others_stay(heads: AdaptiveHeads) -> None:
    vectors, truth = made(heads, 4)
    generator = np.random.default_rng(5)
    direction = 4 * np.random.default_rng(6).standard_normal(COLUMNS)
    new = (direction + 0.5 * generator.standard_normal((10, COLUMNS))).astype(np.float32)
    mine = np.concatenate([vectors[:8], new[:2]])
    own = PersonalHeads.of(heads).learnt(
        heads, single(heads, mine), mine, [*truth[:8], LABELS, LABELS]
    )
    assert own.matches(heads, LABELS + 1)
    logs = own.predict(heads, single(heads, new), new)
    assert right(logs[2:], np.full(8, LABELS)) == 1
    old = own.predict(heads, single(heads, vectors), vectors)
    assert right(old, truth) >= 0.8
    again = own.learnt(heads, single(heads, mine), mine, [*truth[:8], LABELS, LABELS])
    assert again.matches(heads, LABELS + 1)
    later = again.predict(heads, single(heads, new), new)
    assert (later[:, LABELS] > logs[:, LABELS]).all()  # it started where the first one ended


@pytest.mark.parametrize(
    "strength", [Strength(logits=1e8, features=1e8), Strength(logits=1.0, features=1.0, few=1e9)]
)
def test_a_strong_prior_changes_little(heads: AdaptiveHeads, strength: Strength) -> None:
    vectors, truth = made(heads, 1, shift=2.0)
    logs = single(heads, vectors)
    own = PersonalHeads.of(heads).learnt(heads, logs, vectors, truth, strength=strength)
    np.testing.assert_allclose(own.predict(heads, logs, vectors), logs, atol=1e-3)


def test_each_label_and_each_recording_of_it_weighs_the_same() -> None:
    truth, recording = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 2, 2])
    found = balanced(truth, recording)
    np.testing.assert_allclose(found, [0.25, 0.25, 0.25, 0.75, 0.75, 0.75])
    assert found.sum() == pytest.approx(3)


def test_arrays_come_back(heads: AdaptiveHeads) -> None:
    own = PersonalHeads.of(heads)
    np.testing.assert_array_equal(PersonalHeads.from_bytes(own.to_bytes()).weight, own.weight)


@pytest.mark.parametrize("weight", [np.zeros((2, 3)), np.full((2, 4, 17), np.nan)])
def test_arrays_that_are_no_heads_are_refused(weight: np.ndarray) -> None:
    with pytest.raises(SettingError, match="personal heads"):
        PersonalHeads(weight.astype(np.float32))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip"])
def test_bytes_that_are_no_arrays_are_refused(content: bytes) -> None:
    with pytest.raises(SettingError, match="not the arrays"):
        PersonalHeads.from_bytes(content)
