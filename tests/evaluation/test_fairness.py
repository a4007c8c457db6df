"""Fairness by construction: planted differences are found, and chance is left alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serein.evaluation.fairness import (
    DISJOINT,
    GROUPINGS,
    MIN_CLIPS,
    OUTSIDE,
    TOO_FEW,
    WITHIN,
    Fairness,
    _corrected,
    fairness,
)
from serein.evaluation.metrics import uar
from serein.evaluation.result import Result

LABELS = ("anger", "happiness", "neutral", "sadness")


def result(
    seed: int = 0,
    *,
    speakers: int = 24,
    each: int = 28,
    skill: float = 0.7,
    spread: float = 0.08,
    lost: Any = None,
) -> Result:
    """Answers that are right with each speaker's own skill; `lost` says what is always wrong."""
    generator = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(speakers), each)
    truth = np.tile(np.arange(len(LABELS)), speaker.size // len(LABELS))
    gender = np.where(speaker % 2, "male", "female")
    text = np.char.add("text ", generator.integers(0, 8, speaker.size).astype(str))
    right = generator.random(speaker.size) < generator.normal(skill, spread, speakers)[speaker]
    if lost is not None:
        right &= ~lost(speaker=speaker, truth=truth, gender=gender, text=text)
    prediction = np.where(right, truth, (truth + generator.integers(1, 4, speaker.size)) % 4)
    return Result(
        "by construction",
        LABELS,
        truth,
        np.eye(len(LABELS))[prediction],
        np.char.add("s", np.char.zfill(speaker.astype(str), 2)),
        np.zeros(speaker.size, np.intp),
        {"gender": gender, "text": text, "language": np.where(speaker < 3, "pl", "en")},
    )


def verdicts(found: Fairness) -> dict[str, str]:
    return {group.name: group.verdict for group in found.groups}


def test_a_model_that_fails_women_is_found_out() -> None:
    half = np.random.default_rng(1).random(24 * 28) < 0.4
    found = fairness(result(lost=lambda gender, **_: (gender == "female") & half))
    assert verdicts(found) == {"female": OUTSIDE, "male": OUTSIDE}
    female, male = found.groups
    assert female.uar_difference.value < female.uar_difference.chance_95[0] < 0
    assert male.uar_difference.value == pytest.approx(-female.uar_difference.value)
    assert female.uar_difference.p_value == male.uar_difference.p_value < 0.01
    assert (female.clips, female.speakers) == (336, 12)
    assert female.uar == pytest.approx(np.mean(list(female.recall.values())))


def test_a_fair_model_stays_within_chance_in_95_of_100() -> None:
    """Speakers differ; gender does not matter. Five in a hundred, give or take two sigma."""
    flagged = {by: 0 for by in ("gender", "sentence")}
    for seed in range(150):
        for by in flagged:
            found = fairness(result(seed, speakers=16, each=20), by, draws=100)
            flagged[by] += OUTSIDE in verdicts(found).values()
    assert 2 <= flagged["gender"] <= 13
    assert flagged["sentence"] <= 13


def test_dealing_clips_would_take_differences_of_speakers_for_bias() -> None:
    """Gender is permuted by speaker: by clip, 6 uneven speakers would look like a bias."""
    flagged = 0
    for seed in range(20):
        some = result(seed, speakers=6, each=40, spread=0.2)
        as_sentence = replace(some, about={"text": some.about["gender"]})
        flagged += OUTSIDE in verdicts(fairness(as_sentence, "sentence", draws=300)).values()
        assert set(verdicts(fairness(some, "gender", draws=300)).values()) == {TOO_FEW}
    assert flagged > 5


def test_one_class_that_fails_one_group_is_named() -> None:
    found = fairness(result(lost=lambda gender, truth, **_: (gender == "male") & (truth == 3)))
    female, male = found.groups
    assert male.classes_outside == female.classes_outside == ("sadness",)
    assert male.recall_difference["sadness"].value < -0.5
    assert male.precision_difference["anger"].value < 0.1
    assert female.recall["sadness"] > 0.5
    assert male.recall["sadness"] == 0


def test_a_sentence_and_a_speaker_that_are_never_understood_are_found() -> None:
    lost = result(lost=lambda text, speaker, **_: (text == "text 3") | (speaker == 5))
    by_text, by_speaker = fairness(lost, "sentence"), fairness(lost, "speaker")
    assert verdicts(by_text)["text 3"] == OUTSIDE
    assert verdicts(by_speaker)["s05"] == OUTSIDE
    assert len(by_text.groups) == 8
    assert "8 comparisons (Holm)" in by_text.notes[-1]
    assert by_text.unit == by_speaker.unit == "clip"


def test_clips_are_dealt_as_shuffling_within_classes_deals_them() -> None:
    some = result(3, speakers=6)
    group = fairness(some, "sentence", draws=4000).groups[0]
    mine = some.about["text"] == group.name
    generator, gaps = np.random.default_rng(0), []
    for _ in range(1500):
        permuted = mine.copy()
        for label in range(4):
            rows = np.flatnonzero(some.truth == label)
            permuted[rows] = generator.permutation(mine[rows])
        scores = [uar(some.truth[part], some.prediction[part]) for part in (permuted, ~permuted)]
        gaps.append(scores[0] - scores[1])
    assert group.uar_difference.chance_95 == pytest.approx(
        tuple(np.quantile(gaps, [0.025, 0.975])), abs=0.03
    )
    as_far = np.mean(np.abs(gaps) >= abs(group.uar_difference.value) - 1e-12)
    assert group.uar_difference.p_value == pytest.approx(as_far, abs=0.05)


def test_too_few_speakers_are_said_to_be_too_few() -> None:
    """Three women and three men can be permuted in 20 ways: no difference is rarer than 1 in 10."""
    lost = result(speakers=6, lost=lambda gender, **_: gender == "female")
    assert set(verdicts(fairness(lost)).values()) == {TOO_FEW}
    enough = result(speakers=8, lost=lambda gender, **_: gender == "female")
    assert set(verdicts(fairness(enough)).values()) == {OUTSIDE}
    assert verdicts(fairness(result(), "language")) == {"en": WITHIN, "pl": WITHIN}


@pytest.mark.parametrize("by", GROUPINGS)
def test_a_column_that_is_not_known_is_said_not_to_be(by: str) -> None:
    some = replace(result(speakers=1), about={})
    found = fairness(some, by)
    assert found.groups == ()
    assert "nothing to compare" in found.notes[-1]
    assert json.dumps(found.to_dict())


def test_clips_without_the_information_are_left_out_and_said() -> None:
    some = result()
    gender = np.where(some.speakers == "s00", "", some.about["gender"])
    found = fairness(replace(some, about={"gender": gender}))
    assert [group.speakers for group in found.groups] == [11, 12]
    assert found.notes[0] == "left out: 28 clips whose gender is not known"
    alike = fairness(replace(some, about={"gender": np.full(gender.size, "female")}))
    assert alike.notes == ("of every clip the gender is female: there is nothing to compare",)


def test_small_groups_are_among_the_rest_and_not_tested() -> None:
    some = result()
    text = np.where(np.arange(some.truth.size) < MIN_CLIPS - 1, "rare", "usual")
    found = fairness(replace(some, about={"text": text}), "sentence")
    assert [group.name for group in found.groups] == ["usual"]
    assert found.notes[0] == "1 of 2 with fewer than 10 clips are not tested"


def test_groups_are_compared_over_the_classes_that_both_have() -> None:
    some = result(skill=1, spread=0)
    kept = some.subset((some.about["gender"] == "male") | (some.truth < 2))
    female = fairness(kept).groups[0]
    assert set(female.recall) == {"anger", "happiness"}
    assert set(female.recall_difference) == {"anger", "happiness"}
    assert female.uar_difference.value == 0
    apart = some.subset((some.about["gender"] == "male") == (some.truth < 2))
    assert np.isnan(fairness(apart).groups[0].uar_difference.value)
    assert set(verdicts(fairness(apart)).values()) == {DISJOINT}


def test_somebody_in_two_groups_is_dealt_as_two() -> None:
    some = result()
    half = np.arange(some.truth.size) % 8 < 4
    found = fairness(replace(some, about={"language": np.where(half, "de", "en")}), "language")
    assert [group.speakers for group in found.groups] == [24, 24]
    assert set(verdicts(found).values()) == {WITHIN}


def test_differences_that_are_not_there_do_not_count_as_comparisons() -> None:
    raw = np.array([0.03, 0.01, np.nan, 0.04, 0.9])
    np.testing.assert_allclose(_corrected(raw), [0.09, 0.04, np.nan, 0.09, 0.9])
    np.testing.assert_allclose(_corrected(np.array([[0.8], [0.7]])), [[1.0], [1.0]])


def test_the_same_seed_deals_the_same() -> None:
    assert fairness(result(), "speaker").to_dict() == fairness(result(), "speaker").to_dict()


def test_an_unknown_kind_of_group_is_refused() -> None:
    with pytest.raises(
        ValueError, match="unknown group to compare 'sex'; known: speaker, sentence"
    ):
        fairness(result(), "sex")
