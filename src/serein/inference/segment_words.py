"""What is said in each segment of a recording. Needs the extra [text]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock

from serein.audio.channels import Sound
from serein.audio.read import RATE_HZ
from serein.features.transcript import Transcriber
from serein.inference.prediction import Segment

PIECE_S = 28.0  # of sound, at most, unless one utterance is longer: Whisper takes 30 s at once
_transcribing = Lock()  # one piece at a time


@dataclass(frozen=True)
class Words:
    """What is said in a segment: `confidence` is the mean of its phrases, 0 without any."""

    text: str = ""
    confidence: float = 0.0


def words_of(
    sound: Sound, segments: Sequence[Segment], before_piece: Callable[[], None]
) -> list[Words]:
    """Transcribe segments of a recording, in English; what is said goes to the nearest segment.

    `before_piece` is called before each piece of sound, of half a minute, and may raise.
    """
    found: list[list[Words]] = [[] for _ in segments]
    for number, signal in zip(sound.numbers, sound.signals, strict=True):
        own = [at for at, one in enumerate(segments) if one.channel in (None, number)]
        for piece in pieces(own, segments):
            first, last = segments[piece[0]].start, max(segments[at].end for at in piece)
            before_piece()
            with _transcribing:
                said = _transcriber()(signal[round(first * RATE_HZ) : round(last * RATE_HZ)])
            for one in said.phrases:
                middle = first + (one.start_s + one.end_s) / 2
                nearest = min(piece, key=lambda at: _apart(segments[at], middle))
                found[nearest].append(Words(one.text, one.confidence))
    return [_joined(parts) for parts in found]


def pieces(own: Sequence[int], segments: Sequence[Segment]) -> list[list[int]]:
    """Group segments of a signal into pieces that the model takes at once."""
    found: list[list[int]] = []
    for at in own:
        if found and segments[at].end - segments[found[-1][0]].start <= PIECE_S:
            found[-1].append(at)
        else:
            found.append([at])
    return found


@cache
def _transcriber() -> Transcriber:
    """Load the packaged model, once a process."""
    return Transcriber(threads=1)


def _apart(segment: Segment, moment: float) -> float:
    """Measure how far a moment is from a segment, in seconds."""
    return max(segment.start - moment, moment - segment.end, 0.0)


def _joined(parts: Sequence[Words]) -> Words:
    if not parts:
        return Words()
    mean = sum(part.confidence for part in parts) / len(parts)
    return Words(" ".join(part.text for part in parts), mean)
