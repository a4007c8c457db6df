import subprocess
import sys
from itertools import chain
from statistics import mean

import pytest

from serein.emotions import (
    EMOTIONS,
    Emotion,
    canonical_emotion,
    circumplex,
    colour_of,
    in_chinese,
    near_emotion,
)
from serein.errors import CorpusError


def test_the_order_of_emotions_is_fixed():
    assert list(EMOTIONS) == [
        "neutral",
        "calm",
        "happiness",
        "sadness",
        "anger",
        "fear",
        "disgust",
        "surprise",
        "boredom",
        "contempt",
        "amusement",
        "contentment",
        "distress",
        "elation",
    ]


@pytest.mark.parametrize("emotion", EMOTIONS.values(), ids=list(EMOTIONS))
def test_every_name_of_an_emotion_leads_to_it(emotion: Emotion):
    for word in (emotion.name, emotion.chinese, *emotion.aliases):
        assert canonical_emotion(word) == emotion.name
        assert canonical_emotion(f"  {word.upper()}\t") == emotion.name


def test_own_labels_have_colours_and_near_emotions():
    own = {colour_of(letter) for letter in "abcdef"}
    assert len(own) == 6
    assert own.isdisjoint({colour_of(name) for name in [*EMOTIONS, "unsure"]})
    assert [near_emotion(word) for word in ("hapiness", "frustrated", "anger")] == [
        "happiness",
        None,
        None,
    ]


def test_no_word_names_two_emotions():
    words = [(e.name, e.chinese, *e.aliases) for e in EMOTIONS.values()]
    flat = list(chain.from_iterable(words))
    assert len(flat) == len(set(flat))


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Angry", "anger"),
        ("JOY", "happiness"),
        ("fearful", "fear"),
        ("Fear/Anxiety", "fear"),
        ("ps", "surprise"),
        ("pleasant_surprise", "surprise"),
        ("Pleasant-Surprised", "surprise"),
        ("pleasant  surprise", "surprise"),
        ("悲伤", "sadness"),
    ],
)
def test_words_of_the_corpora(word: str, name: str):
    assert canonical_emotion(word) == name


@pytest.mark.parametrize("word", ["", "  ", "hapiness", "0", None])
def test_an_unknown_word_is_refused(word):
    with pytest.raises(CorpusError, match="unknown emotion"):
        canonical_emotion(word)


def test_an_unknown_word_lists_the_nearest_first():
    with pytest.raises(CorpusError, match=r"unknown emotion 'hapiness'; known: happiness, "):
        canonical_emotion("hapiness")


def test_chinese_names():
    chinese = " ".join(in_chinese(name) for name in EMOTIONS)
    assert chinese == "中性 平静 快乐 悲伤 愤怒 恐惧 厌恶 惊讶 无聊 轻蔑 逗乐 满足 苦恼 欢欣"
    assert in_chinese("Angry") == "愤怒"
    with pytest.raises(CorpusError, match="unknown emotion 'wut'"):
        in_chinese("wut")


def test_places_on_the_circumplex():
    place = {name: (e.valence, e.arousal) for name, e in EMOTIONS.items()}
    assert all(-1 <= value <= 1 for pair in place.values() for value in pair)
    assert place["neutral"] == (0, 0)
    pleasant = {name for name, (valence, _) in place.items() if valence > 0}
    excited = {name for name, (_, arousal) in place.items() if arousal > 0}
    pleasing = {"calm", "happiness", "surprise", "amusement", "contentment", "elation"}
    assert pleasant == pleasing
    assert set(EMOTIONS) - excited == {"neutral", "calm", "sadness", "boredom", "contentment"}


@pytest.mark.parametrize("emotion", EMOTIONS.values(), ids=list(EMOTIONS))
def test_one_sure_emotion_is_at_its_place(emotion: Emotion):
    probabilities = dict.fromkeys(EMOTIONS, 0.0) | {emotion.name: 1.0}
    assert circumplex(probabilities) == (emotion.valence, emotion.arousal)


def test_emotions_as_likely_as_each_other_are_at_the_mean():
    valence = mean(emotion.valence for emotion in EMOTIONS.values())
    arousal = mean(emotion.arousal for emotion in EMOTIONS.values())
    assert circumplex(dict.fromkeys(EMOTIONS, 0.1)) == pytest.approx((valence, arousal))


def test_a_place_is_weighted_by_probability():
    place = circumplex({"anger": 0.75, "calm": 0.25})
    assert place == pytest.approx((0.75 * -0.6 + 0.25 * 0.7, 0.75 * 0.8 + 0.25 * -0.7))


def test_a_word_without_a_place_is_left_out_of_the_mean():
    assert circumplex({"anger": 0.2, "neutral": 0.2, "wut": 0.6}) == pytest.approx((-0.3, 0.4))
    assert circumplex({"angry": 0.5, "愤怒": 0.5}) == pytest.approx((-0.6, 0.8))


@pytest.mark.parametrize("probabilities", [{}, {"wut": 1.0}, {"wut": 1.0, "anger": 0.0}])
def test_nothing_known_has_no_place(probabilities: dict[str, float]):
    assert circumplex(probabilities) is None


def test_importing_emotions_and_corpora_is_light():
    heavy = "{'numpy', 'scipy', 'pandas', 'torch', 'sklearn', 'librosa', 'soundfile'}"
    code = f"import sys, serein.emotions, serein.corpora; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
