"""Predictions: of a stretch, and of a recording with its timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, NoReturn

from serein.emotions import OwnEmotion, circumplex, emotion_name


@dataclass(frozen=True)
class Segment:
    """The prediction for one stretch of a recording.

    Attributes
    ----------
    start, end : float
        Seconds from the beginning.
    emotion : str or None
        The emotion that a listener would most likely hear; ``unsure`` where its confidence is below
        the recognizer's threshold; None where there is neither speech nor a vocal burst.
    confidence : float or None
        Calibrated probability of the likeliest emotion, 0 to 1.
    probabilities : mapping of str to float
        Calibrated probability of each emotion: of speech, or of bursts; empty where there is
        neither.
    burst : bool
        Whether it is a vocal burst, such as a laugh, a cry or a sigh, and no speech.
    modalities : mapping of str to Segment
        Where there is more than the voice: the prediction from ``voice``, ``face`` and ``words``
        each; emotion None for one without speech, face or words. Else empty.
    contributions : mapping of str to float
        How much each modality speaks for the joint prediction, or, below 0, against it; their
        absolute values add up to 1.
    text : str or None
        The transcript, of the modality ``words`` alone.
    channel : int or None
        The channel that it is of, from 1, where channels were taken apart.
    speaker : int or None
        Who speaks, from 1 in the order of first words, where speakers were told apart.
    own : mapping of str to OwnEmotion
        What the model's recipe says of labels of its own.
    """

    start: float
    end: float
    emotion: str | None
    confidence: float | None
    probabilities: Mapping[str, float]
    modalities: Mapping[str, Segment] = field(default_factory=dict, kw_only=True)
    contributions: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    text: str | None = field(default=None, kw_only=True)
    burst: bool = field(default=False, kw_only=True)

    @property
    def kind(self) -> str | None:
        """What is heard: ``speech``, ``burst``, or None for neither."""
        return kind_of(self)

    channel: int | None = field(default=None, kw_only=True)
    speaker: int | None = field(default=None, kw_only=True)
    own: Mapping[str, OwnEmotion] = field(
        default_factory=dict, kw_only=True, repr=False, compare=False
    )

    @property
    def senses(self) -> NoReturn:
        """Raise AttributeError: it is called `modalities` now."""
        raise AttributeError("Segment.senses is called Segment.modalities now")

    @property
    def speech(self) -> bool:
        """Whether there is speech."""
        if self.modalities:
            return "voice" in self.modalities and self.modalities["voice"].speech
        return self.emotion is not None and not self.burst

    @property
    def likeliest(self) -> str | None:
        """The likeliest emotion, whatever its confidence; None where there is none."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default=None)

    @property
    def valence(self) -> float | None:
        """From unpleasant, -1, to pleasant, 1; None where there is no speech.

        Derived from `probabilities` by the fixed place of each emotion, not measured: it says no
        more than they do. See `serein.emotions.circumplex`.
        """
        place = circumplex(self.probabilities, self.own)
        return None if place is None else place[0]

    @property
    def arousal(self) -> float | None:
        """From sleepy, -1, to excited, 1; None where there is no speech.

        Derived from `probabilities` by the fixed place of each emotion, not measured: it says no
        more than they do. See `serein.emotions.circumplex`.
        """
        place = circumplex(self.probabilities, self.own)
        return None if place is None else place[1]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, rounded to what is meaningful.

        Returns
        -------
        dict
            ``start end kind speech emotion emotion_zh confidence probabilities valence arousal``;
            and, where there is more than the voice, ``modalities contributions``; ``channel`` and
            ``speaker``, where they were told apart.
        """
        values: dict[str, Any] = {"start": round(self.start, 3), "end": round(self.end, 3)}
        who = {"channel": self.channel, "speaker": self.speaker}
        values |= {name: value for name, value in who.items() if value is not None}
        values |= {
            "kind": kind_of(self),
            "speech": self.speech,
            "emotion": self.emotion,
            "emotion_zh": emotion_name(self.emotion, "zh", self.own) if self.emotion else None,
            "confidence": _rounded(self.confidence),
            "probabilities": {name: round(value, 4) for name, value in self.probabilities.items()},
            "valence": _rounded(self.valence),
            "arousal": _rounded(self.arousal),
        }
        if self.modalities:
            values["modalities"] = {k: _of_modality(v) for k, v in self.modalities.items()}
            values["contributions"] = {k: round(v, 4) for k, v in self.contributions.items()}
        return values


@dataclass(frozen=True)
class Lane(Segment):
    """The prediction for all that one channel or speaker says in a recording.

    Attributes
    ----------
    speech_s : float
        How long it speaks, in seconds.
    """

    speech_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: those of a segment, and ``speech_s``."""
        return super().to_dict() | {"speech_s": round(self.speech_s, 3)}


@dataclass(frozen=True)
class Prediction(Segment):
    """The prediction for a whole recording, with its timeline.

    Attributes
    ----------
    file : str or None
        Where the recording came from, if from a file.
    model : str
        Name of the model.
    timeline : tuple of Segment
        Predictions over time, in order: windows without gaps or overlaps, unless channels were
        taken apart; or utterances.
    utterances_known : int
        By how many utterances, windows with speech, it is adapted; 0 for unseen recordings.
    lanes : tuple of Lane
        One for each channel and each speaker that was told apart; empty where there is one voice.
    notices : tuple of str
        What is to be known of the recording, each in one line, such as channels that differ.

    Notes
    -----
    `emotion` is None when the recording holds neither speech nor vocal bursts: silence is not an
    emotion. Where it holds speech, bursts are in the timeline alone.
    """

    file: str | None
    model: str
    timeline: tuple[Segment, ...]
    utterances_known: int = 0
    lanes: tuple[Lane, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Length of the recording in seconds."""
        return self.end

    def to_dict(self, *, timeline: bool = True) -> dict[str, Any]:
        """Return plain values for JSON.

        Parameters
        ----------
        timeline : bool
            Whether to list the segments.

        Returns
        -------
        dict
            ``file model duration utterances_known kind speech emotion emotion_zh confidence
            probabilities valence arousal experimental timeline``, of which ``experimental`` names
            the keys that are; ``modalities contributions`` as in a segment;
            ``lanes`` and ``notices`` where there are any.
        """
        whole = super().to_dict()
        duration = whole.pop("end")
        del whole["start"]
        result = {"file": self.file, "model": self.model, "duration": duration}
        result |= {"utterances_known": self.utterances_known} | whole
        result["experimental"] = ["valence", "arousal"]  # derived: docs/EVALUATION.md
        if self.lanes:
            result["lanes"] = [lane.to_dict() for lane in self.lanes]
        if self.notices:
            result["notices"] = list(self.notices)
        if timeline:
            result["timeline"] = [segment.to_dict() for segment in self.timeline]
        return result

    def _repr_html_(self) -> str:
        """Draw the probabilities as bars, for a notebook."""
        bars = [
            f"<tr><td>{escape(name)}</td><td>{value:.2f}</td>"
            f"<td><meter value='{value:.3f}'></meter></td></tr>"
            for name, value in sorted(self.probabilities.items(), key=lambda item: -item[1])
        ]
        title = f"{escape(self.file or 'sound')}: {escape(self.emotion or 'no speech')}"
        return f"<b>{title}</b> ({self.duration:.1f} s)<table>{''.join(bars)}</table>"


def kind_of(segment: Segment) -> str | None:
    """Say what is heard: ``speech``, ``burst``, or None for neither."""
    if segment.burst:
        return "burst"
    return "speech" if segment.speech else None


def lane_name(segment: Segment, channels: int, chinese: bool = False) -> str:
    """Name the channel, of so many, and the speaker of a segment; nothing where none is known."""
    names = []
    if segment.channel is not None:
        sides = ("左声道", "右声道") if chinese else ("left", "right")
        other = f"声道 {segment.channel}" if chinese else f"channel {segment.channel}"
        names.append(sides[segment.channel - 1] if channels == 2 else other)
    if segment.speaker is not None:
        names.append(f"说话人 {segment.speaker}" if chinese else f"speaker {segment.speaker}")
    return " ".join(names)


def _of_modality(segment: Segment) -> dict[str, Any]:
    """Return the prediction of one modality as plain values."""
    kept = ("emotion", "emotion_zh", "confidence", "probabilities")
    values = {key: value for key, value in segment.to_dict().items() if key in kept}
    return values if segment.text is None else {"text": segment.text} | values


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4) + 0.0  # 0.0 in place of -0.0
