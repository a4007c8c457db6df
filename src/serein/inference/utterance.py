"""The answer for an utterance that is still being spoken: a file's windows, heard as they fill."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ
from serein.inference.answers import averaged, labelled
from serein.inference.prediction import Segment
from serein.inference.recent import Recent
from serein.inference.recognizer import Recognizer
from serein.inference.speaker import Speaker
from serein.inference.windows import segment_bounds

Answer = npt.NDArray[np.float32] | None


class Utterance:
    """Judges an utterance as `Recognizer.predict` would judge a recording of it.

    Parameters
    ----------
    start : int
        Its first sample in the stream.
    recognizer : Recognizer
        Judges.
    speaker : Speaker
        Who speaks.
    """

    def __init__(self, start: int, recognizer: Recognizer, speaker: Speaker) -> None:
        self.start = start
        self._recognizer, self._speaker = recognizer, speaker
        self._window = round(recognizer.window_s * RATE_HZ)
        self._hop = round(recognizer.hop_s * RATE_HZ)
        self._starts: list[int] = []  # of windows, counted from its start
        self._answers: list[Answer] = []

    def extend(self, end: int, recent: Recent) -> None:
        """Hear the windows that are full, and not the last, once it is known to go on to `end`."""
        while (start := len(self._starts) * self._hop) < end - self.start - self._window:
            self._hear(start, start + self._window, recent)

    def close(self, end: int, recent: Recent) -> tuple[Segment, list[npt.NDArray[np.float32]]]:
        """Hear what is left up to its end.

        Parameters
        ----------
        end : int
            The sample after its last.
        recent : Recent
            Where the sound is.

        Returns
        -------
        answer : Segment
            For the whole of it; its emotion is None if it was no speech.
        heard : list of numpy.ndarray
            What each window with speech sounds like from a stranger, each of shape (labels,).
        """
        self.extend(end, recent)
        samples = end - self.start
        self._hear(max(0, samples - self._window), samples, recent)
        unsure_below = self._recognizer.unsure_below
        bounds = segment_bounds(self._starts, self._window, samples)
        timeline = [
            labelled(span, self._named(answer), unsure_below)
            for span, answer in zip(bounds, self._answers, strict=True)
        ]
        whole = averaged((self.start / RATE_HZ, end / RATE_HZ), timeline, unsure_below)
        return whole, [answer for answer in self._answers if answer is not None]

    def _hear(self, start: int, end: int, recent: Recent) -> None:
        self._starts.append(start)
        window = recent.cut(self.start + start, self.start + end)
        self._answers.append(self._recognizer.hear(window))

    def _named(self, answer: Answer) -> dict[str, float]:
        if answer is None:
            return {}
        return self._recognizer.named(self._speaker.own(answer))
