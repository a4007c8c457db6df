"""Voice activity detection: Silero's detector, for a recording or chunk by chunk.

The detector takes chunks of 512 samples (32 ms) and has a state, so it runs from the start of a
recording to its end.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from serein.audio.frames import HOP, Array, frame_count, runs
from serein.audio.read import RATE_HZ, check_signal
from serein.errors import SettingError
from serein.onnx_session import open_session

Runs = list[tuple[int, int]]  # first frame, frame after the last

WEIGHTS = Path(__file__).with_name("voice.onnx")  # `bench/voice_weights.py` wrote it
CHUNK = 512  # samples: the only length that the detector takes
CONTEXT = 64  # samples of the chunk before that are part of its input
LOWER_THRESHOLD = 0.7  # of the threshold: Silero's own 0.35 for 0.5
BATCH = 64  # chunks that are computed at once
MAX_UNDECIDED_CHUNKS = 31  # 1 s between the two thresholds ends a segment


class SpeechSegment(NamedTuple):
    """A segment of speech, in seconds from the start of the recording."""

    start_s: float
    end_s: float


class VoiceDetector:
    """Computes the probability of speech chunk by chunk, from an empty state.

    Source: Silero Team, "Silero VAD: pre-trained enterprise-grade voice activity detector", 2024,
    https://github.com/snakers4/silero-vad.
    """

    def __init__(self) -> None:
        self._network = _network()
        self._context = np.zeros(CONTEXT, np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)

    def __call__(self, chunks: Array) -> Array:
        """Return the probability of speech in each of the next chunks.

        `chunks`: shape (chunks, 512), float32, mono at 16 kHz. However many come at once, the
        probabilities are the same.
        """
        found = [self._run(chunks[at : at + BATCH]) for at in range(0, len(chunks), BATCH)]
        return np.concatenate([np.empty(0, np.float32), *found])

    def _run(self, chunks: Array) -> Array:
        before = np.concatenate([self._context[None], chunks[:-1, -CONTEXT:]])
        inputs = {"samples": np.concatenate([before, chunks], axis=1), "state": self._state}
        probability: Array
        probability, self._state = self._network.run(None, inputs)
        self._context = chunks[-1, -CONTEXT:].copy()
        return probability


@cache
def _network() -> Any:
    """Open the detector's network, once a process."""
    return open_session(WEIGHTS)


def chunk_probabilities(signal: Array) -> Array:
    """Run a new detector over all chunks of a signal, the last one padded with silence."""
    whole = signal.size // CHUNK * CHUNK
    detector = VoiceDetector()
    found = detector(signal[:whole].reshape(-1, CHUNK))
    rest = signal[whole:]
    if not rest.size:
        return found
    return np.append(found, detector(np.pad(rest, (0, CHUNK - rest.size))[None]))


def speech_probability(signal: Array) -> Array:
    """Compute the probability of speech in each frame.

    Returns: shape (1 + samples // 160,), float32, 0 to 1: for each frame the probability of the 32
    ms chunk that holds the frame's centre.
    Source: Silero Team, "Silero VAD: pre-trained enterprise-grade voice activity detector", 2024,
    https://github.com/snakers4/silero-vad.
    """
    signal = check_signal(signal)
    chunks = chunk_probabilities(signal)
    centres = np.arange(frame_count(signal.size)) * HOP
    return chunks[np.minimum(centres // CHUNK, chunks.size - 1)]


def speech_segments(
    signal: Array,
    *,
    threshold: float = 0.5,
    min_speech_s: float = 0.1,
    min_pause_s: float = 0.2,
    margin_s: float = 0.05,
) -> list[SpeechSegment]:
    """Find the segments in which someone speaks.

    In a segment the probability stays above 0.7 x `threshold` and reaches `threshold` at least
    once. Short pauses are bridged first, then short segments dropped, then margins added.

    `threshold`: probability, above 0 and at most 1; `min_speech_s`: shorter segments are dropped,
    in seconds; `min_pause_s`: shorter pauses are bridged, in seconds; `margin_s`: added on both
    sides, for soft onsets and endings, in seconds.
    Returns: segments in order, disjoint, within the recording, to 10 ms; empty without speech.
    Source: J. Canny, "A computational approach to edge detection", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 8(6), 1986, section VI (the two thresholds).
    """
    if not 0 < threshold <= 1:
        raise SettingError(f"threshold is {threshold}; allowed: above 0, at most 1")
    speech, pause, margin = (
        _frames_of(name, seconds)
        for name, seconds in [
            ("min_speech_s", min_speech_s),
            ("min_pause_s", min_pause_s),
            ("margin_s", margin_s),
        ]
    )
    signal = check_signal(signal)
    count = -(-signal.size // HOP)  # a frame that begins where the recording ends has no length
    runs = _joined(speaking_runs(speech_probability(signal)[:count], threshold), pause)
    kept = [(first, end) for first, end in runs if end - first >= speech]
    wide = [(max(0, first - margin), min(count, end + margin)) for first, end in kept]
    return [
        SpeechSegment(first * HOP / RATE_HZ, min(end * HOP, signal.size) / RATE_HZ)
        for first, end in _joined(wide, 1)
    ]


def _frames_of(name: str, seconds: float) -> int:
    if not 0 <= seconds < np.inf:
        raise SettingError(f"{name} is {seconds}; allowed: 0 s or more")
    return round(seconds * RATE_HZ / HOP)


def speaking_runs(probability: Array, threshold: float = 0.5) -> Runs:
    """Find runs above the lower threshold that reach the upper one: first, and after the last."""
    above = probability >= np.float32(LOWER_THRESHOLD * threshold)
    found = [(int(first), int(end)) for first, end in runs(above)]
    return [run for run in found if probability[slice(*run)].max() >= threshold]


def _joined(runs: Runs, gap: int) -> Runs:
    """Join runs that are less than a gap apart."""
    if not runs:
        return []
    apart = [(one[1], other[0]) for one, other in pairwise(runs) if other[0] - one[1] >= gap]
    starts = [runs[0][0], *(start for _, start in apart)]
    ends = [*(end for end, _ in apart), runs[-1][1]]
    return list(zip(starts, ends, strict=True))


class VoiceTracker:
    """Turns the probabilities of consecutive chunks into segments: (first chunk, chunk after)."""

    start: int | None  # of the present segment, once it is long enough
    last: int  # chunk after the last of speech

    def __init__(self, min_speech: int, min_pause: int, threshold: float = 0.5) -> None:
        self._min_speech, self._min_pause, self._threshold = min_speech, min_pause, threshold
        self._now = 0
        self._clear()

    def push(self, probability: float) -> tuple[int, int] | None:
        """Add the next chunk's probability; return the segment that it ends, if any."""
        self._extend(probability)
        self._now += 1
        if self._begun is None:
            return None
        if self.last - self._begun >= self._min_speech:
            self.start = self._begun
        return self.close() if self._is_over() else None

    def close(self) -> tuple[int, int] | None:
        """End the present segment here, though speech may go on, and return it as `push` does."""
        segment = None if self.start is None else (self.start, self.last)
        self._clear()
        return segment

    def _clear(self) -> None:
        self.start = None
        self.last = 0
        self._begun: int | None = None  # start of a segment that may be too short
        self._run: int | None = None  # first chunk above the lower threshold
        self._reached = False  # whether the upper threshold was reached since then

    def _extend(self, probability: float) -> None:
        if probability < LOWER_THRESHOLD * self._threshold:
            self._run, self._reached = None, False
            return
        if self._run is None:
            self._run = self._now
        self._reached |= probability >= self._threshold
        if self._reached:
            self._begun = self._run if self._begun is None else self._begun
            self.last = self._now + 1

    def _is_over(self) -> bool:
        pause = self._now - self.last
        if self._run is None or self._reached:
            return pause >= self._min_pause
        undecided = pause - self._min_pause  # between the thresholds: it may become speech
        return self._run - self.last >= self._min_pause or undecided >= MAX_UNDECIDED_CHUNKS
