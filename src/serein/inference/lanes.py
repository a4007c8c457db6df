"""A recording of several voices: a lane for each channel and speaker, all on one timeline.

A voice is predicted window by window as a recording of its own, or utterance by utterance as a
stream predicts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from serein.audio.channels import Channels, Sound, check_channels
from serein.audio.read import RATE_HZ, Signal
from serein.audio.utterances import Span, find_utterances
from serein.errors import SettingError, check_name
from serein.inference.adaptation import Adaptation
from serein.inference.network import Output, spoken
from serein.inference.prediction import Lane, Segment
from serein.inference.speakers import Speakers, check_speakers, find_turns
from serein.inference.timeline import mean_segment, window_starts
from serein.inference.window_model import WindowModel

Cut = Literal["windows", "utterances"]
Grid = tuple[int, int]  # window and hop, in samples
Outputs = list[Output | None]


@dataclass(frozen=True)
class Telling:
    """What is told apart in a recording, and how it is cut.

    `channels`: ``mix``, ``each``, ``left``, ``right``, or a number from 1; `segments`: ``windows``
    or ``utterances``; `speakers`: ``auto``, how many, or None, which tells none apart; `adapt`:
    whether each voice is predicted as adapted to all that it says in the recording.
    """

    channels: Channels = "mix"
    segments: Cut = "windows"
    speakers: Speakers | None = None
    adapt: bool = False

    def __post_init__(self) -> None:
        check_channels(self.channels)
        check_name("segments", self.segments, ("windows", "utterances"))
        check_speakers(self.speakers)

    @property
    def utterances(self) -> bool:
        """Whether the timeline is of utterances: those of speakers always are."""
        return self.segments == "utterances" or self.speakers is not None


PLAIN = Telling()


def check_voice_alone(telling: Telling, *, alone: bool) -> None:
    """Refuse to tell voices apart where a face or words count too: they would be of one person."""
    if telling != PLAIN and not alone:
        raise SettingError(
            "channels, speakers and utterances are told apart by the voice alone: leave out the "
            "face, the text and its transcription"
        )


@dataclass(frozen=True)
class Told:
    """The prediction for all of a recording, its timeline and its lanes.

    `utterances_known`: by how many windows its voices are adapted, each by its own.
    """

    whole: Segment
    timeline: tuple[Segment, ...]
    lanes: tuple[Lane, ...]
    utterances_known: int


@dataclass(frozen=True)
class Voice:
    """What one channel, or one speaker in it, says; `spans` are its utterances, in samples."""

    signal: Signal
    channel: int | None
    speaker: int | None = None
    spans: Sequence[Span] | None = None


def predict_sound(model: WindowModel, sound: Sound, grid: Grid, telling: Telling) -> Told:
    """Predict what was taken of a recording."""
    bounds = (0.0, sound.signals[0].size / RATE_HZ)
    apart = telling.channels != "mix" or telling.speakers is not None
    lanes: list[Lane] = []
    timeline: list[Segment] = []
    counted: list[Segment] = []  # what the prediction for the whole is the mean of
    known = 0
    for voice in _voices(sound, telling):
        told = _predict_voice(model, voice, grid, adapt=telling.adapt)
        who: dict[str, Any] = {"channel": voice.channel, "speaker": voice.speaker}
        timeline += [replace(segment, **who) for segment in told.timeline]
        counted += told.counted
        known += told.utterances_known
        if apart:
            whole = mean_segment(bounds, told.counted, model.unsure_below)
            speech_s = sum(part.end - part.start for part in told.counted if part.speech)
            lanes.append(Lane(**vars(whole) | who, speech_s=speech_s))
    timeline.sort(key=lambda segment: (segment.start, segment.channel or 0))
    whole = mean_segment(bounds, counted, model.unsure_below)
    return Told(whole, tuple(timeline), tuple(lanes), known)


def _voices(sound: Sound, telling: Telling) -> Iterator[Voice]:
    """Tell the voices of a recording apart; speakers of several channels are numbered on."""
    known = 0
    for number, signal in zip(sound.numbers, sound.signals, strict=True):
        channel = number if telling.channels != "mix" else None
        if not telling.utterances:
            yield Voice(signal, channel)
            continue
        spans, probabilities = find_utterances(signal)
        if telling.speakers is None:
            yield Voice(signal, channel, None, spans)
            continue
        turns = find_turns(signal, probabilities, spans, telling.speakers)
        speakers = sorted({who for _, _, who in turns})
        for speaker in speakers:
            own = [(start, end) for start, end, who in turns if who == speaker]
            yield Voice(signal, channel, 1 + known + speaker, own)
        known += len(speakers)


@dataclass(frozen=True)
class _Predicted:
    """`counted`: the segments that the prediction for the whole voice is the mean of."""

    timeline: Sequence[Segment]
    counted: Sequence[Segment]
    utterances_known: int


def _predict_voice(model: WindowModel, voice: Voice, grid: Grid, *, adapt: bool) -> _Predicted:
    usual = (model.window, model.hop)
    spans = [(0, voice.signal.size)] if voice.spans is None else voice.spans
    outputs = [_outputs(model, voice.signal[start:end], usual) for start, end in spans]
    if adapt:
        own = Adaptation(model.adaptation.learnt)
        own.add((row for rows in outputs for row in spoken(rows)), "speaker")
        model = replace(model, adaptation=own)
    known = model.adaptation.utterances_known
    cut = [
        _segments(model, rows, end - start, usual)
        for (start, end), rows in zip(spans, outputs, strict=True)
    ]
    if voice.spans is not None:
        found = [
            mean_segment((start / RATE_HZ, end / RATE_HZ), segments, model.unsure_below)
            for (start, end), segments in zip(spans, cut, strict=True)
        ]
        return _Predicted(found, found, known)
    timeline = cut[0] if grid == usual else model.timeline(voice.signal, *grid)
    return _Predicted(timeline, cut[0], known)


def _outputs(model: WindowModel, signal: Signal, grid: Grid) -> Outputs:
    starts = window_starts(signal.size, *grid)
    return [model.output(signal[start : start + grid[0]]) for start in starts]


def _segments(
    model: WindowModel, outputs: Outputs, samples: int, grid: Grid
) -> tuple[Segment, ...]:
    return model.segments(outputs, window_starts(samples, *grid), grid[0], samples)
