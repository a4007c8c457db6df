"""A voice as it comes: chunks of sound in, events out.

Silero's voice activity detector gates the recognizer. While someone speaks, the window that ends
now is predicted every hop; when the voice stops, the whole utterance is, window by window, as in a
file. All positions are counted in samples from the start of the stream, so the cutting into chunks
does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ, ChunkReader, Signal
from serein.audio.utterances import Span, UtteranceFinder
from serein.audio.voice import CHUNK
from serein.defaults import PAUSE_RANGE_S, STREAM_HOP_S, STREAM_PAUSE_S, STREAM_WINDOW_S
from serein.emotions import UNSURE
from serein.errors import SettingError, check_range
from serein.inference.network import Output, spoken
from serein.inference.prediction import Segment
from serein.inference.recognizer import Recognizer, model_of
from serein.inference.timeline import check_window, mean_segment
from serein.inference.window_model import Array, WindowModel

MIN_SAMPLES = RATE_HZ // 2  # of a window: less sound is too little to predict from
SMOOTHING_S = 0.7  # time constant of the smoothed probabilities
MIN_LEAD = 0.1  # hysteresis: the probability by which another emotion must lead to be shown
MAX_KNOWN = 100  # latest windows that a stream is adapted to


@dataclass(frozen=True)
class Event(Segment):
    """Something that happened in a stream.

    Attributes
    ----------
    type : {"voice", "emotion", "utterance"}
        ``voice``: someone began to speak at `start`; no emotion yet. ``emotion``: what the voice
        sounds like now, predicted from `start` to `end`, smoothed. ``utterance``: the voice
        stopped; the prediction for all of it, which may be a vocal burst.
    utterances_known : int
        By how many windows with speech the prediction is adapted; 0 for none.
    """

    type: str
    utterances_known: int = 0

    @property
    def kind(self) -> str:
        """The type of the event; whether speech or a burst is heard, say `speech` and `burst`."""
        return self.type

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            ``type start end kind speech emotion emotion_zh confidence probabilities valence arousal
            utterances_known``.
        """
        known = {"utterances_known": self.utterances_known}
        return {"type": self.type} | super().to_dict() | known


class Stream:
    """Predicts emotions while someone speaks.

    Parameters
    ----------
    recognizer : Recognizer
        Predicts; many streams may share one.
    rate : int
        Sampling rate of the chunks in Hz.
    window_s : float
        How much sound a prediction is of, at most, in seconds, 0.5 to 10.
    hop_s : float
        Seconds from one prediction to the next, 0.1 to `window_s`.
    pause_s : float
        A silence of so many seconds, 0.1 to 5, ends an utterance.
    adapt : {"recordings", "speaker"}, optional
        Adapt as it goes, to each utterance, without labels: to the microphone, place or language;
        or to the one speaker who says everything, for which True is the other name. It begins with
        what the recognizer is adapted to, if that is of the same kind. Not at all, if not given.

    Attributes
    ----------
    labels : tuple of str
        The recognizer's.
    hop_s : float
        May be set anew at any time, for instance to predict less often while a machine is busy;
        it holds from the next prediction on.

    Raises
    ------
    AudioError
        If the rate is outside the limits.
    BundleError
        If `adapt` is asked for and the model was trained without what adaptation needs.
    SettingError
        If a length is outside its range, or there is no such kind of adaptation.

    Examples
    --------
    >>> from serein.inference.load import load
    >>> stream = Stream(load())
    >>> stream.push(np.zeros(16_000, np.float32))
    []
    >>> stream.position_s
    1.0
    """

    _model: WindowModel

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        rate: int = RATE_HZ,
        window_s: float = STREAM_WINDOW_S,
        hop_s: float = STREAM_HOP_S,
        pause_s: float = STREAM_PAUSE_S,
        adapt: Literal["recordings", "speaker"] | bool | None = None,
    ) -> None:
        if not hasattr(recognizer, "labels"):
            raise SettingError(
                f"recognizer is {recognizer!r}; need what serein.load gives: Stream(serein.load())"
            )
        check_range("pause_s", pause_s, *PAUSE_RANGE_S)
        self._window_s, self.hop_s = window_s, hop_s
        self._pause_s, self._rate = pause_s, rate
        self._to = "speaker" if adapt is True else adapt or None
        self._recognizer = recognizer
        self.labels = recognizer.labels
        self.reset()

    @property
    def hop_s(self) -> float:
        """Seconds from one prediction to the next."""
        return self._hop_s

    @hop_s.setter
    def hop_s(self, hop_s: float) -> None:
        self._window, self._hop = check_window(self._window_s, hop_s)
        self._hop_s, self._new_weight = hop_s, 1 - math.exp(-hop_s / SMOOTHING_S)

    @property
    def position_s(self) -> float:
        """Seconds of sound taken in."""
        return self._history.end / RATE_HZ

    def reset(self) -> None:
        """Forget everything; the stream begins at 0 s."""
        self._model = model = model_of(self._recognizer)
        if self._to is not None:
            known = model.adaptation.learning(self._to, MAX_KNOWN)
            self._model = replace(model, adaptation=known)
        self._reader = ChunkReader(self._rate)
        keep = max(self._window, model.window)
        self._history = History(keep + round((self._pause_s + 2) * RATE_HZ))
        self._next_hop = self._hop
        self._finder = UtteranceFinder(self._pause_s)
        self._restart()

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
            What happened up to its end, in order.

        Raises
        ------
        AudioError
            If it is no such array, or holds NaN or infinite samples; then the stream is as before.
        """
        return list(self._process(self._reader.push(chunk)))

    def end(self) -> list[Event]:
        """Predict what is pending, as if a long silence followed; the stream may go on.

        Returns
        -------
        list of Event
            What happened and was not returned before.
        """
        events = list(self._process(self._reader.end()))
        rest = self._history.cut(self._finder.checked, self._history.end)
        if rest.size:
            over = self._finder.push(rest)
            events += [*self._start_utterance(over), *self._extend_utterance(over)]
        events += self._extend_utterance(self._finder.end())
        self._finder.restart(self._history.end)
        self._restart()
        return events

    def _restart(self) -> None:
        """Forget the present utterance."""
        self._utterance: UtteranceTimeline | None = None
        self._smoothed: Array | None = None
        self._label = 0  # index of the one that is shown
        while self._next_hop <= self._history.end:
            self._next_hop += self._hop

    def _process(self, signal: Signal) -> Iterator[Event]:
        """Go through new sound in the detector's chunks, wherever it was cut."""
        for start in range(0, signal.size, CHUNK):
            self._history.append(signal[start : start + CHUNK])
            if self._history.end - self._finder.checked >= CHUNK:
                yield from self._process_chunk()

    def _process_chunk(self) -> Iterator[Event]:
        checked = self._finder.checked
        over = self._finder.push(self._history.cut(checked, checked + CHUNK))
        yield from self._start_utterance(over)
        if self._next_hop <= self._finder.checked:
            yield from self._predict_window(self._next_hop)
            self._next_hop += self._hop
        yield from self._extend_utterance(over)

    def _start_utterance(self, over: Span | None) -> Iterator[Event]:
        """Say that someone speaks, once."""
        start = over[0] if over else self._finder.start
        if self._utterance is None and start is not None:
            self._utterance = UtteranceTimeline(start, self._model)
            self._smoothed = None
            at = start / RATE_HZ
            yield Event(at, at, None, None, {}, "voice", self._model.adaptation.utterances_known)

    def _predict_window(self, now: int) -> Iterator[Event]:
        """Predict the window that ends now."""
        if self._utterance is None or now - self._utterance.start < MIN_SAMPLES:
            return
        start = max(self._utterance.start, now - self._window)
        output = self._model.output(self._history.cut(start, now))
        if output is None or output.burst is not None:
            return
        probability = self._smooth(self._model.adapted(output))
        confidence = float(probability[self._label])
        sure = confidence >= self._model.unsure_below
        yield Event(
            *(start / RATE_HZ, now / RATE_HZ, self._model.labels[self._label] if sure else UNSURE),
            *(confidence, self._model.named(probability), "emotion"),
            self._model.adaptation.utterances_known,
            own=self._model.own,
        )

    def _smooth(self, probability: Array) -> Array:
        """Smooth exponentially, and keep the label until another leads by `MIN_LEAD`."""
        if self._smoothed is None:
            self._smoothed, self._label = probability, int(probability.argmax())
        step = np.float32(self._new_weight) * (probability - self._smoothed)
        self._smoothed = self._smoothed + step
        best = int(self._smoothed.argmax())
        if self._smoothed[best] - self._smoothed[self._label] >= MIN_LEAD:
            self._label = best
        return self._smoothed

    def _extend_utterance(self, over: Span | None) -> Iterator[Event]:
        """Take the utterance as far as it is known to go, and predict it if it is over."""
        utterance = self._utterance
        if utterance is None:
            return
        if over is None:
            utterance.extend(self._finder.last, self._history)
            return
        self._utterance = None
        whole, outputs = utterance.close(over[1], self._history)
        known = self._model.adaptation.utterances_known
        if self._to is not None:
            self._model.adaptation.add(outputs, self._to)
        yield Event(
            *(whole.start, whole.end, whole.emotion, whole.confidence, whole.probabilities),
            *("utterance", known),
            burst=whole.burst,
            own=whole.own,
        )


class History:
    """The last `keep` samples of a signal that grows for ever."""

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
        """Copy the samples from `start` to `end`, which must still be kept."""
        return self._sound[start - self._first : end - self._first].copy()


class UtteranceTimeline:
    """Predicts an utterance as `Recognizer.predict` would predict a recording of it."""

    def __init__(self, start: int, model: WindowModel) -> None:
        self.start = start
        self._model = model
        self._starts: list[int] = []  # of windows, counted from its start
        self._outputs: list[Output | None] = []

    def extend(self, end: int, history: History) -> None:
        """Predict the windows that are full, and not the last, now that it goes on to `end`."""
        window, hop = self._model.window, self._model.hop
        while (start := len(self._starts) * hop) < end - self.start - window:
            self._predict(start, start + window, history)

    def close(self, end: int, history: History) -> tuple[Segment, list[Output]]:
        """Predict what is left up to its end; return all of it, and the windows with speech."""
        self.extend(end, history)
        samples = end - self.start
        self._predict(max(0, samples - self._model.window), samples, history)
        timeline = self._model.segments(self._outputs, self._starts, self._model.window, samples)
        bounds = (self.start / RATE_HZ, end / RATE_HZ)
        whole = mean_segment(bounds, timeline, self._model.unsure_below)
        return whole, list(spoken(self._outputs))

    def _predict(self, start: int, end: int, history: History) -> None:
        self._starts.append(start)
        self._outputs.append(self._model.output(history.cut(self.start + start, self.start + end)))
