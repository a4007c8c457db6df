"""Voice, face and words: the joint prediction follows from those of each modality."""

from __future__ import annotations

import math

import pytest

from serein.emotions import UNSURE
from serein.inference.multimodal import MIN_PROBABILITY, MODALITIES, TRUST, check_trust, fuse
from serein.inference.prediction import Prediction, Segment

THREE = ("anger", "happiness", "neutral")


def said(*values: float, labels: tuple[str, ...] = THREE) -> Segment:
    named = dict(zip(labels, values, strict=False))
    best = max(named, key=named.__getitem__, default=None)
    return Segment(0.0, 2.0, best, named.get(best) if best else None, named)


NOTHING = Segment(0.0, 2.0, None, None, {})
FULL = dict.fromkeys(MODALITIES, 1.0)


def test_one_modality_in_full_trust_says_what_it_says_alone():
    voice = said(0.7, 0.2, 0.1)
    joint = fuse(voice, {"voice": voice})
    assert joint.emotion == "anger"
    assert joint.probabilities == pytest.approx(voice.probabilities)
    assert joint.contributions == {"voice": 1.0}


def test_the_joint_answer_is_the_product_to_the_power_of_trust():
    voice, face, words = said(0.5, 0.3, 0.2), said(0.2, 0.6, 0.2), said(0.3, 0.4, 0.3)
    trust = {"voice": 1.0, "face": 0.5, "words": 0.25}
    joint = fuse(voice, {"voice": voice, "face": face, "words": words}, trust)
    raw = {
        label: voice.probabilities[label]
        * face.probabilities[label] ** 0.5
        * words.probabilities[label] ** 0.25
        for label in THREE
    }
    total = sum(raw.values())
    assert joint.probabilities == pytest.approx({k: v / total for k, v in raw.items()})
    assert joint.confidence == pytest.approx(max(raw.values()) / total)


def test_two_that_agree_are_surer_than_each():
    voice, face = said(0.6, 0.3, 0.1), said(0.6, 0.3, 0.1)
    joint = fuse(voice, {"voice": voice, "face": face}, FULL)
    assert joint.emotion == "anger"
    assert joint.confidence is not None
    assert joint.confidence > 0.6


def test_a_modality_with_nothing_to_say_changes_nothing():
    voice = said(0.6, 0.3, 0.1)
    alone = fuse(voice, {"voice": voice})
    joint = fuse(voice, {"voice": voice, "face": NOTHING, "words": NOTHING})
    assert joint.probabilities == alone.probabilities
    assert joint.contributions == {"voice": 1.0}
    assert set(joint.modalities) == {"voice", "face", "words"}


def test_a_face_alone_answers_where_there_is_no_speech():
    joint = fuse(NOTHING, {"voice": NOTHING, "face": said(0.1, 0.8, 0.1)})
    assert joint.emotion == "happiness"
    assert not joint.speech


def test_no_modality_at_all_is_no_answer():
    joint = fuse(NOTHING, {"voice": NOTHING, "face": NOTHING})
    assert joint.emotion is joint.confidence is None
    assert joint.probabilities == joint.contributions == {}
    assert not joint.speech


def test_an_emotion_that_a_modality_does_not_know_is_left_to_the_others():
    voice = said(0.5, 0.2, 0.3, labels=("anger", "happiness", "boredom"))
    face = said(1 / 3, 1 / 3, 1 / 3)  # as chance has it
    joint = fuse(voice, {"voice": voice, "face": face}, FULL)
    ratio = joint.probabilities["anger"] / joint.probabilities["boredom"]
    assert ratio == pytest.approx(0.5 / 0.3)
    assert set(joint.probabilities) == {"anger", "happiness", "boredom", "neutral"}


def test_no_modality_can_veto():
    voice, face = said(0.98, 0.01, 0.01), said(0.0, 0.5, 0.5)
    joint = fuse(voice, {"voice": voice, "face": face}, FULL)
    expected = 0.98 * MIN_PROBABILITY / (0.98 * MIN_PROBABILITY + 2 * 0.01 * 0.5)
    assert joint.probabilities["anger"] == pytest.approx(expected)


def test_contributions_say_who_speaks_for_the_answer_and_who_against():
    voice, face = said(0.8, 0.1, 0.1), said(0.2, 0.6, 0.2)
    joint = fuse(voice, {"voice": voice, "face": face})
    assert joint.emotion == "anger"
    assert joint.contributions["voice"] > 0 > joint.contributions["face"]
    assert sum(map(abs, joint.contributions.values())) == pytest.approx(1)
    lead = math.log(0.8 / 0.1)
    against = TRUST["face"] * (math.log(0.2) - (math.log(0.6) + math.log(0.2)) / 2)
    share = lead / (lead + abs(against))
    assert joint.contributions["voice"] == pytest.approx(share)


def test_trust_of_nothing_leaves_a_modality_out_of_the_answer_but_not_of_the_report():
    voice, face = said(0.6, 0.3, 0.1), said(0.0, 1.0, 0.0)
    joint = fuse(voice, {"voice": voice, "face": face}, TRUST | {"face": 0.0})
    assert joint.emotion == "anger"
    assert set(joint.contributions) == {"voice"}
    assert joint.modalities["face"].emotion == "happiness"


def test_a_doubtful_joint_answer_is_unsure():
    voice = said(0.4, 0.35, 0.25)
    assert fuse(voice, {"voice": voice}, unsure_below=0.5).emotion == UNSURE


def test_what_else_an_answer_carries_stays():
    voice = said(0.6, 0.3, 0.1)
    whole = Prediction(0.0, 2.0, "anger", 0.6, voice.probabilities, "a.mp4", "multi", (voice,), 3)
    joint = fuse(whole, {"voice": voice, "face": said(0.1, 0.8, 0.1)})
    assert (joint.file, joint.model, joint.utterances_known) == ("a.mp4", "multi", 3)
    values = joint.to_dict()
    assert set(values["modalities"]) == {"voice", "face"}
    assert set(values["modalities"]["face"]) == {
        *("emotion", "emotion_zh", "confidence", "probabilities"),
    }
    assert "modalities" not in whole.to_dict()


@pytest.mark.parametrize(
    "trust", [{"smell": 1.0}, {"face": -0.1}, {"face": 11}, {"face": math.nan}]
)
def test_trust_is_checked(trust: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(trust))):
        check_trust(trust)
    assert check_trust({"face": 0.7}) == {"voice": 1.0, "face": 0.7, "words": 0.5}


def test_the_former_name_says_the_new_one():
    with pytest.raises(AttributeError, match=r"Segment\.modalities"):
        _ = NOTHING.senses
