"""The explanation of a prediction: importance over time, frequency and features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serein.inference.prediction import Prediction


@dataclass(frozen=True)
class Moment:
    """A stretch of a recording: seconds from its beginning, and its importance.

    The importance is -1 to 1: how much less probable the emotion is, in the windows that hold this
    moment, while noise replaces it.
    """

    start: float
    end: float
    importance: float


@dataclass(frozen=True)
class Band:
    """A band of frequencies in Hz, and its importance, -1 to 1."""

    low_hz: float
    high_hz: float
    importance: float


@dataclass(frozen=True)
class FeatureGroup:
    """Features that measure the same, their number of columns and importance, -1 to 1."""

    name: str
    columns: int
    importance: float


@dataclass(frozen=True)
class Explanation:
    """What speaks for an emotion in a recording, and what against it.

    The emotion is the predicted one, unless another was given. Moments without speech, and those of
    a long recording that the budget excluded, are left out.
    """

    prediction: Prediction  # what the recognizer predicted
    emotion: str  # the one that is explained
    probability: float  # of that emotion in the prediction, 0 to 1
    moments: tuple[Moment, ...]  # in order of time, each `hop_s` long
    bands: tuple[Band, ...]  # in order of frequency
    features: tuple[FeatureGroup, ...]  # the most important first, for or against
    note: str  # why there are no features; empty if there are
    window_s: float  # length of the occluded stretches
    hop_s: float  # step from one to the next
    examined_s: float  # length of the examined part of the recording
    questions: int  # number of predictions beyond the one explained

    def strongest(self, count: int = 3) -> tuple[Moment, ...]:
        """Join neighbouring moments at least half as important as the most important one.

        `count`: how many are returned at most.
        Returns: the strongest first, for or against, each with the importance of its strongest
        moment.
        """
        most = max((abs(moment.importance) for moment in self.moments), default=0.0)
        runs: list[Moment] = []
        for moment in self.moments:
            if abs(moment.importance) < most / 2 or not most:
                continue
            if runs and runs[-1].end == moment.start and _same_side(runs[-1], moment):
                peak = max(runs[-1].importance, moment.importance, key=abs)
                runs[-1] = Moment(runs[-1].start, moment.end, peak)
            else:
                runs.append(moment)
        return tuple(sorted(runs, key=lambda run: -abs(run.importance))[:count])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, rounded to what is meaningful."""
        return {
            **self.prediction.to_dict(timeline=False),
            "explained": {"emotion": self.emotion, "probability": round(self.probability, 4)},
            "window_s": round(self.window_s, 3),
            "hop_s": round(self.hop_s, 3),
            "examined_s": round(self.examined_s, 3),
            "questions": self.questions,
            "strongest": [_plain(moment) for moment in self.strongest()],
            "moments": [_plain(moment) for moment in self.moments],
            "bands": [_plain(band) for band in self.bands],
            "features": [_plain(group) for group in self.features],
            "note": self.note,
        }


def _same_side(one: Moment, other: Moment) -> bool:
    return (one.importance > 0) == (other.importance > 0)


def _plain(part: Moment | Band | FeatureGroup) -> dict[str, Any]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in vars(part).items()
    }
