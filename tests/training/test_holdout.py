"""Held-out samples: whole speakers, and no class lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serein.training.holdout import held_out


def draw(y, groups, share: float = 0.2, seed: int = 0):
    return held_out(np.asarray(y), groups, share, np.random.RandomState(seed))


@given(seed=st.integers(0, 999), share=st.floats(0.05, 0.9), speakers=st.integers(3, 8))
def test_speakers_stay_whole_and_classes_stay_in_training(seed: int, share: float, speakers: int):
    generator = np.random.default_rng(seed)
    y = np.append(generator.integers(0, 3, 30), [0, 1, 2] * 2)
    groups = np.append(generator.integers(0, speakers, 30), [90] * 3 + [91] * 3)
    aside = draw(y, groups, share, seed)
    assert aside.any()
    assert not set(groups[aside]) & set(groups[~aside])
    assert set(y[~aside]) == {0, 1, 2}


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.2, 2), (0.5, 5), (0.9, 9)])
def test_the_share_is_of_speakers(share: float, count: int):
    groups = np.repeat(np.arange(10), 4)
    aside = draw([0, 1] * 20, groups, share)
    assert len(set(groups[aside])) == count
    assert (aside == draw([0, 1] * 20, groups, share)).all()
    assert any((aside != draw([0, 1] * 20, groups, share, seed)).any() for seed in range(1, 9))


def test_without_groups_each_class_gives_its_share():
    y = np.repeat([0, 1, 2], [50, 10, 2])
    assert np.bincount(y[draw(y, None)]).tolist() == [10, 2, 1]


def test_copies_are_never_held_out_but_learnt_from():
    y, groups = np.array([0, 1] * 6), np.array(["ann"] * 4 + [""] * 8)
    aside = draw(y, groups)
    assert groups[aside].tolist() == ["ann"] * 4


@pytest.mark.parametrize("groups", [["ann"] * 4, [""] * 4])
def test_one_speaker_is_refused(groups: list[str]):
    with pytest.raises(ValueError, match=r"needs at least 2 speakers.*; got [01]: "):
        draw([0, 1, 0, 1], groups)


def test_speakers_with_a_class_of_their_own_are_refused():
    with pytest.raises(ValueError, match="each is the only one of some class"):
        draw([0, 0, 1, 1], ["ann", "ann", "bob", "bob"])


def test_groups_must_be_one_for_each_sample():
    with pytest.raises(ValueError, match=r"groups has shape \(3,\); need one group for each of 4"):
        draw([0, 0, 1, 1], ["ann", "bob", "cat"])
