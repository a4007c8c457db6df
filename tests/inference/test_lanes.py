"""Channels and utterances of a recording: each as it would be predicted alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serein.audio.read import RATE_HZ, read_audio
from serein.errors import AudioError, SettingError
from serein.inference.load import load
from serein.inference.multimodal import MultimodalRecognizer
from serein.inference.prediction import Segment
from serein.inference.recognizer import Recognizer
from serein.inference.stream import Stream

SAMPLES = Path(__file__).parents[2] / "samples"
VOICE = SAMPLES / "espeak-english-fast-high.flac"
OTHER = SAMPLES / "espeak-german-two-voices-with-pause.flac"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load(threads=1)


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    """One voice on the left; on the right, later, another; on the third channel nobody."""
    left, right = read_audio(VOICE), read_audio(OTHER)
    sound = np.zeros((left.size + right.size + RATE_HZ, 3), np.float32)
    sound[: left.size, 0] = left
    sound[-right.size :, 1] = right
    return sound


def plain(segment: Segment) -> tuple[object, ...]:
    return (segment.start, segment.end, segment.emotion, dict(segment.probabilities))


def test_each_channel_is_predicted_as_if_it_were_alone(
    recognizer: Recognizer, call: np.ndarray
) -> None:
    found = recognizer.predict(call, rate=RATE_HZ, channels="each")
    assert [lane.channel for lane in found.lanes] == [1, 2, 3]
    for lane in found.lanes:
        alone = recognizer.predict(call[:, lane.channel - 1], rate=RATE_HZ)
        assert plain(lane) == plain(alone)
        own = [segment for segment in found.timeline if segment.channel == lane.channel]
        assert [plain(one) for one in own] == [plain(one) for one in alone.timeline]
        spoken = sum(one.end - one.start for one in own if one.speech)
        assert lane.speech_s == pytest.approx(spoken)
    assert [lane.speech for lane in found.lanes] == [True, True, False]
    assert list(found.timeline) == sorted(found.timeline, key=lambda one: (one.start, one.channel))
    assert found.notices == ()
    values = found.to_dict()
    assert [lane["channel"] for lane in values["lanes"]] == [1, 2, 3]
    assert {row["channel"] for row in values["timeline"]} == {1, 2, 3}


def test_one_channel_alone(recognizer: Recognizer, call: np.ndarray) -> None:
    found = recognizer.predict(call, rate=RATE_HZ, channels="right", window_s=1.0)
    alone = recognizer.predict(call[:, 1], rate=RATE_HZ, window_s=1.0)
    assert plain(found) == plain(alone)
    assert [plain(one) for one in found.timeline] == [plain(one) for one in alone.timeline]
    assert {one.channel for one in found.timeline} == {2}


def test_the_average_says_that_the_channels_differ(
    recognizer: Recognizer, call: np.ndarray
) -> None:
    (notice,) = recognizer.predict(call, rate=RATE_HZ).notices
    assert "channels differ" in notice
    assert "--channels each" in notice
    assert (
        recognizer.predict(call[:, 0], rate=RATE_HZ)
        .to_dict()
        .keys()
        .isdisjoint({"notices", "lanes"})
    )


def test_utterances_are_those_of_a_stream(recognizer: Recognizer, call: np.ndarray) -> None:
    signal = call.sum(axis=1)
    stream = Stream(recognizer)
    events = [*stream.push(signal), *stream.end()]
    said = [event for event in events if event.kind == "utterance"]
    found = recognizer.predict(signal, rate=RATE_HZ, segments="utterances")
    assert len(said) >= 3
    assert [plain(one) for one in found.timeline] == [plain(event) for event in said]
    assert found.lanes == ()
    assert found.confidence == max(found.probabilities.values())
    each = recognizer.predict(call, rate=RATE_HZ, segments="utterances", channels="each")
    assert [plain(one) for one in each.timeline if one.channel == 2] == [
        plain(one)
        for one in recognizer.predict(call[:, 1], rate=RATE_HZ, segments="utterances").timeline
    ]


def test_no_utterance_is_no_speech(recognizer: Recognizer) -> None:
    found = recognizer.predict(np.zeros(RATE_HZ), rate=RATE_HZ, segments="utterances")
    assert (found.timeline, found.speech, found.emotion, found.end) == ((), False, None, 1.0)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"channels": "middle"}, SettingError, "channels is 'middle'; allowed: mix, each"),
        ({"channels": 4}, AudioError, "has 3 channels: there is no channel 4"),
        ({"segments": "words"}, SettingError, "unknown segments 'words'"),
        ({"segments": "utterances", "window_s": 1.0}, SettingError, "are for windows"),
        ({"channels": "each", "text": "hello"}, SettingError, "leave out the face"),
        ({"segments": "utterances", "transcribe": True}, SettingError, "leave out the face"),
    ],
)
def test_what_cannot_be(
    recognizer: Recognizer,
    call: np.ndarray,
    options: dict[str, object],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        MultimodalRecognizer(recognizer).predict(call, rate=RATE_HZ, **options)
