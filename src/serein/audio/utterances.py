"""Where utterances begin and end, in a recording or chunk by chunk, by its pauses.

A stream and a file of the same sound hold the same utterances: both go through the detector's
chunks from their start, and cut by one rule.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ, Signal
from serein.audio.voice import CHUNK, VoiceDetector, VoiceTracker, chunk_probabilities
from serein.defaults import STREAM_PAUSE_S

Span = tuple[int, int]  # samples: first, and one after the last

PADDING = RATE_HZ // 10  # samples kept around speech, for soft onsets and endings
MIN_SPEECH_S = 0.25  # shorter sounds are clicks and coughs
MAX_UTTERANCE = 30 * RATE_HZ  # samples; longer speech is cut there


class UtteranceFinder:
    """Finds utterances in chunks of `CHUNK` samples, from sample `at` on.

    `start`: where the present utterance began, or None; `checked`: up to where the sound is known.
    """

    def __init__(self, pause_s: float = STREAM_PAUSE_S) -> None:
        self._pause_s = pause_s
        self._last_end = 0  # of the last utterance
        self.restart(0)

    def restart(self, at: int) -> None:
        """Begin to look for speech anew, at a sample."""
        self._grid = self.checked = at  # where the detector's chunk 0 begins
        self.start: int | None = None
        self._detector = VoiceDetector()
        self._tracker = VoiceTracker(
            min_speech=round(MIN_SPEECH_S * RATE_HZ / CHUNK),
            min_pause=round(self._pause_s * RATE_HZ / CHUNK),
        )

    @property
    def last(self) -> int:
        """Up to where the present utterance is known to go."""
        return self._sample(self._tracker.last)

    def push(self, chunk: Signal) -> Span | None:
        """Take in the next chunk, shorter only at the end; return the utterance that it ends."""
        padded = chunk if chunk.size == CHUNK else np.pad(chunk, (0, CHUNK - chunk.size))
        return self.advance(chunk.size, float(self._detector(padded[None])[0]))

    def advance(self, samples: int, probability: float) -> Span | None:
        """Take in the probability of speech in the next chunk, as `push` finds it."""
        self.checked += samples
        over = self._tracker.push(probability)
        if self.start is None and self._tracker.start is not None:
            first = self._sample(self._tracker.start) - PADDING
            self.start = max(self._last_end, first)
        if self.start is not None and self.checked - self.start >= MAX_UTTERANCE:
            over = over or self._tracker.close()
        return self._ended(over)

    def end(self) -> Span | None:
        """End the present utterance here, and return it."""
        return self._ended(self._tracker.close())

    def _ended(self, over: tuple[int, int] | None) -> Span | None:
        if over is None or self.start is None:
            return None
        start, self.start = self.start, None
        self._last_end = min(self._sample(over[1]) + PADDING, self.checked)
        return start, self._last_end

    def _sample(self, chunk: int) -> int:
        """Return where a chunk begins."""
        return self._grid + chunk * CHUNK


def find_utterances(
    signal: Signal, pause_s: float = STREAM_PAUSE_S
) -> tuple[list[Span], npt.NDArray[np.float32]]:
    """Find the utterances of a recording, in samples: what a stream of it would end.

    `pause_s`: a silence of so many seconds ends an utterance.
    Returns: and the probability of speech in each chunk of `CHUNK` samples.
    """
    finder = UtteranceFinder(pause_s)
    probabilities = chunk_probabilities(signal)
    found = [
        finder.advance(min(CHUNK, signal.size - number * CHUNK), probability)
        for number, probability in enumerate(probabilities.tolist())
    ]
    spans = [span for span in (*found, finder.end()) if span is not None]
    return spans, probabilities
