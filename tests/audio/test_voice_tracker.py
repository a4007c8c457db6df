"""Speech is tracked chunk by chunk as `speech_segments` finds it in the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serein.audio.read import RATE_HZ, read_audio
from serein.audio.voice import CHUNK, HOVER, VoiceDetector, VoiceTracker, speech_segments

SAMPLES = Path(__file__).parents[2] / "samples"


def tracked(probabilities: list[float], speech: int = 1, pause: int = 2) -> list[tuple[int, int]]:
    tracker = VoiceTracker(min_speech=speech, min_pause=pause)
    found = [tracker.push(p) for p in probabilities] + [tracker.close()]
    return [stretch for stretch in found if stretch is not None]


@pytest.mark.parametrize("pause", [3, 8, 16])
@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.flac")), ids=lambda file: file.stem)
def test_as_in_the_whole_recording(file: Path, pause: int) -> None:
    signal = read_audio(file)
    chunks = np.pad(signal, (0, -signal.size % CHUNK)).reshape(-1, CHUNK)
    found = tracked(list(map(VoiceDetector(), chunks)), 4, pause)
    expected = speech_segments(
        signal,
        min_speech_s=4 * CHUNK / RATE_HZ,
        min_pause_s=(pause * CHUNK - CHUNK / 3) / RATE_HZ,
        margin_s=0,
    )
    assert len(found) == len(expected)
    for (first, last), segment in zip(found, expected, strict=True):
        assert first * CHUNK / RATE_HZ == pytest.approx(segment.start_s, abs=0.011)
        end = min(last * CHUNK, signal.size) / RATE_HZ
        assert end == pytest.approx(segment.end_s, abs=0.011)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.1, 0.9, 0.9, 0.1, 0.1, 0.1], [(1, 3)]),
        ([0.9, 0.1, 0.9, 0.1, 0.1], [(0, 3)]),
        ([0.9, 0.1, 0.1, 0.9], [(0, 1), (3, 4)]),
        ([0.4, 0.4, 0.4], []),
        ([0.4, 0.9, 0.4, 0.1], [(0, 3)]),
        ([0.9, 0.1, 0.4, 0.4, 0.9], [(0, 5)]),
        ([0.9, 0.1, 0.4, 0.4, 0.1, 0.1], [(0, 1)]),
        ([], []),
    ],
    ids=[
        "one",
        "bridged",
        "two",
        "never sure",
        "from the lower",
        "joined late",
        "not joined",
        "none",
    ],
)
def test_two_thresholds_and_pauses(
    probabilities: list[float], expected: list[tuple[int, int]]
) -> None:
    assert tracked(probabilities) == expected


def test_a_short_sound_is_no_speech_unless_more_follows() -> None:
    assert tracked([0.9, 0.1, 0.1, 0.1], speech=3) == []
    assert tracked([0.9, 0.1, 0.9, 0.1, 0.1], speech=3) == [(0, 3)]


def test_what_stays_undecided_is_not_waited_for_for_ever() -> None:
    tracker = VoiceTracker(min_speech=1, min_pause=2)
    tracker.push(0.9)
    tracker.push(0.1)
    waited = [tracker.push(0.4) for _ in range(2 * HOVER)]
    assert waited[HOVER] == (0, 1)
    assert tracker.start is None


def test_it_tells_the_start_while_speech_goes_on() -> None:
    tracker = VoiceTracker(min_speech=2, min_pause=2)
    starts = []
    for probability in (0.1, 0.9, 0.9, 0.1, 0.9):
        tracker.push(probability)
        starts.append(tracker.start)
    assert starts == [None, None, 1, 1, 1]
    assert tracker.last == 5
