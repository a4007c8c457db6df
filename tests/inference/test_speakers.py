"""Who speaks when: on voices that differ by construction, and whatever is asked of few."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from serein.audio.read import RATE_HZ, read_audio
from serein.audio.utterances import find_utterances
from serein.errors import SettingError
from serein.features.speaker_embedding import SpeakerEncoder
from serein.inference.lanes import Telling
from serein.inference.load import load
from serein.inference.recognizer import Recognizer
from serein.inference.speakers import find_turns

pytest.importorskip("sklearn", reason="pip install 'serein[speakers]'")
SAMPLES = Path(__file__).parents[2] / "samples"
ONE, OTHER = "espeak-english-fast-high", "espeak-mandarin"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load(threads=1)


@pytest.fixture(scope="module")
def talk() -> tuple[np.ndarray, list[tuple[float, float, int]]]:
    """Two voices in turn, three times, with pauses of 0.2 to 0.8 s; who speaks when."""
    parts, truth, at = [], [], 0.0
    for number in range(6):
        voice = read_audio(SAMPLES / f"{(ONE, OTHER)[number % 2]}.flac")[: 4 * RATE_HZ]
        loud = np.flatnonzero(np.abs(voice) > 0.02)
        voice = voice[loud[0] : loud[-1]]
        pause = 0.2 + 0.12 * number
        parts += [voice, np.zeros(round(pause * RATE_HZ), np.float32)]
        truth.append((at, at + voice.size / RATE_HZ, number % 2))
        at += (voice.size + parts[-1].size) / RATE_HZ
    return np.concatenate(parts), truth


def confused(turns: list[tuple[float, float, int]], truth: list[tuple[float, float, int]]) -> float:
    """The share of time in which another speaks than is said."""
    wrong = 0.0
    for start, end, who in truth:
        for first, last, said in turns:
            wrong += max(0.0, min(end, last) - max(start, first)) * (said != who)
    return wrong / sum(end - start for start, end, _ in truth)


@pytest.mark.parametrize("speakers", ["auto", 2])
def test_two_voices_are_told_apart(
    recognizer: Recognizer,
    talk: tuple[np.ndarray, list[tuple[float, float, int]]],
    speakers: str | int,
) -> None:
    signal, truth = talk
    found = recognizer.predict(signal, rate=RATE_HZ, speakers=speakers)
    assert [lane.speaker for lane in found.lanes] == [1, 2]
    turns = [(one.start, one.end, one.speaker - 1) for one in found.timeline]
    assert confused(turns, truth) < 0.08
    for lane in found.lanes:
        own = [one.end - one.start for one in found.timeline if one.speaker == lane.speaker]
        assert lane.speech_s == pytest.approx(sum(own))
    values = found.to_dict()
    assert [lane["speaker"] for lane in values["lanes"]] == [1, 2]


def test_turns_lie_in_the_utterances_without_gaps(
    talk: tuple[np.ndarray, list[tuple[float, float, int]]],
) -> None:
    signal, _ = talk
    utterances, probabilities = find_utterances(signal)
    turns = find_turns(signal, probabilities, utterances, 2)
    for start, end in utterances:
        inside = [turn for turn in turns if start <= turn[0] < end]
        assert (inside[0][0], inside[-1][1]) == (start, end)
        assert all(one[1] == other[0] for one, other in pairwise(inside))
        assert all(one[2] != other[2] for one, other in pairwise(inside))
    assert len(turns) == sum(
        sum(start <= turn[0] < end for turn in turns) for start, end in utterances
    )


def test_one_speaker_is_that_of_the_utterances(
    recognizer: Recognizer, talk: tuple[np.ndarray, list[tuple[float, float, int]]]
) -> None:
    signal = talk[0][: 9 * RATE_HZ]
    one = recognizer.predict(signal, rate=RATE_HZ, speakers=1)
    plain = recognizer.predict(signal, rate=RATE_HZ, segments="utterances")
    assert [(a.start, a.end, a.emotion) for a in one.timeline] == [
        (a.start, a.end, a.emotion) for a in plain.timeline
    ]
    assert {a.speaker for a in one.timeline} == {1}


def test_few_words_and_many_speakers_asked_for(recognizer: Recognizer) -> None:
    word = read_audio(SAMPLES / f"{ONE}.flac")[: RATE_HZ // 2]
    found = recognizer.predict(np.pad(word, RATE_HZ), rate=RATE_HZ, speakers=20)
    assert len(found.lanes) <= 1
    silence = recognizer.predict(np.zeros(RATE_HZ), rate=RATE_HZ, speakers="auto")
    assert (silence.lanes, silence.timeline, silence.speech) == ((), (), False)


@pytest.mark.parametrize("speakers", [0, 50, -1, True, "two", 1.5])
def test_so_many_cannot_be_told_apart(speakers: object) -> None:
    with pytest.raises(SettingError, match="allowed: auto, or 1 to 20"):
        Telling(speakers=speakers)


def test_each_adapts_to_what_it_says(
    recognizer: Recognizer, talk: tuple[np.ndarray, list[tuple[float, float, int]]]
) -> None:
    signal = talk[0][: 12 * RATE_HZ]
    stereo = np.stack([signal, np.zeros_like(signal)], axis=1)
    found = recognizer.predict(stereo, rate=RATE_HZ, channels="each", adapt=True)
    own = load(threads=1).adapt(signal, rate=RATE_HZ).predict(signal, rate=RATE_HZ)
    assert dict(found.lanes[0].probabilities) == dict(own.probabilities)
    assert found.utterances_known == own.utterances_known > 0
    assert recognizer.utterances_known == 0


def test_vectors_are_of_a_voice_whatever_its_level(
    talk: tuple[np.ndarray, list[tuple[float, float, int]]],
) -> None:
    signal, truth = talk
    spans = np.array([[round(100 * start), round(100 * start) + 160] for start, _, _ in truth])
    loud, soft = SpeakerEncoder(signal)(spans), SpeakerEncoder(signal / 50)(spans)
    assert np.allclose(loud, soft, atol=1e-3)
    assert np.allclose(np.linalg.norm(loud, axis=1), 1, atol=1e-4)
    near = loud @ loud.T
    same = np.equal.outer(*[np.arange(6) % 2] * 2)
    assert near[same].min() > near[~same].max()
    assert SpeakerEncoder(signal)(np.empty((0, 2), np.int64)).shape == (0, 256)
