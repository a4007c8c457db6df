"""Which emotions can occur: probabilities among them, everywhere a recognizer predicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import serein
from serein.errors import SettingError
from serein.inference.stream import Stream

VOICE = Path(__file__).parents[2] / "samples" / "espeak-german.flac"
FEW = ["sadness", "Anger", "neutral"]


def test_probabilities_are_renormalised_among_them() -> None:
    every, few = serein.load().predict(VOICE), serein.load(emotions=FEW)
    assert few.labels == ("anger", "neutral", "sadness")  # in the model's own order
    found = few.predict(VOICE)
    assert tuple(found.probabilities) == few.labels
    segment, whole = found.timeline[0], every.timeline[0]
    kept = np.array([whole.probabilities[label] for label in few.labels])
    assert list(segment.probabilities.values()) == pytest.approx(kept / kept.sum(), abs=1e-5)
    assert found.confidence == pytest.approx(max(found.probabilities.values()))


def test_a_stream_names_none_but_them() -> None:
    sound = np.concatenate([serein.read_audio(VOICE), np.zeros(32_000, np.float32)])
    stream = Stream(serein.load(emotions=FEW))
    events = [*stream.push(sound), *stream.end()]
    named = [event for event in events if event.probabilities]
    assert named
    assert {tuple(event.probabilities) for event in named} == {("anger", "neutral", "sadness")}
    assert {event.emotion for event in named} <= {"anger", "neutral", "sadness"}


def test_adaptation_stays_possible() -> None:
    recognizer = serein.load(emotions=FEW)
    adapted = recognizer.adapt(VOICE).predict(VOICE)
    assert sum(adapted.probabilities.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("emotions", "match"),
    [
        (["anger"], "at least 2 emotions"),
        (["anger", "anger"], "at least 2 emotions"),
        ([], "at least 2 emotions"),
        (["anger", "boredom"], "unknown emotion 'boredom'"),
        (["anger", "nonsense"], "unknown emotion 'nonsense'"),
    ],
)
def test_others_are_refused(emotions: list[str], match: str) -> None:
    with pytest.raises(SettingError, match=match):
        serein.load(emotions=emotions)
