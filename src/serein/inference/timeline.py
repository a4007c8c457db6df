"""How a recording is cut into windows, and which stretch each window answers for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from serein.audio.read import RATE_HZ
from serein.defaults import HOP_RANGE_S, WINDOW_RANGE_S, Range
from serein.inference.prediction import UNSURE, Segment


def window_starts(samples: int, window: int, hop: int) -> list[int]:
    """Place windows over a signal; the last one ends where the signal ends."""
    if samples <= window:
        return [0]
    starts = list(range(0, samples - window, hop))
    return [*starts, samples - window]


def check_window(window_s: float, hop_s: float) -> tuple[int, int]:
    """Check window and hop, and return them in samples."""
    WINDOW_RANGE_S.check("the window", window_s, " s")
    Range(HOP_RANGE_S.low, window_s).check("the hop", hop_s, " s")
    return round(window_s * RATE_HZ), round(hop_s * RATE_HZ)


def segment_bounds(starts: list[int], window: int, samples: int) -> list[tuple[float, float]]:
    """Say which stretch each window answers for: what lies nearest to its centre."""
    centres = [start + window / 2 for start in starts]
    between = [(left + right) / 2 for left, right in pairwise(centres)]
    edges = [edge / RATE_HZ for edge in [0.0, *between, float(samples)]]
    return list(pairwise(edges))


def labelled(
    bounds: tuple[float, float], probabilities: dict[str, float], unsure_below: float
) -> Segment:
    """Name the likeliest emotion of a stretch."""
    if not probabilities:
        return Segment(*bounds, emotion=None, confidence=None, probabilities={})
    emotion = max(probabilities, key=probabilities.__getitem__)
    confidence = probabilities[emotion]
    return Segment(
        *bounds, UNSURE if confidence < unsure_below else emotion, confidence, probabilities
    )


def averaged(
    bounds: tuple[float, float], timeline: Sequence[Segment], unsure_below: float
) -> Segment:
    """Answer for a whole: the mean of its segments with speech, each by its length."""
    spoken = [segment for segment in timeline if segment.speech]
    if not spoken:
        return labelled(bounds, {}, unsure_below)
    lengths = np.array([segment.end - segment.start for segment in spoken])
    rows = np.array([list(segment.probabilities.values()) for segment in spoken])
    mean = lengths @ rows / lengths.sum()
    named = dict(zip(spoken[0].probabilities, mean.tolist(), strict=True))
    return labelled(bounds, named, unsure_below)
