"""How a recording is cut into windows, and which stretch each window's prediction is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from serein.audio.read import RATE_HZ
from serein.defaults import DEFAULT_UNSURE_BELOW, HOP_RANGE_S, WINDOW_RANGE_S
from serein.emotions import UNSURE, OwnEmotion
from serein.errors import check_range
from serein.inference.prediction import Segment


def window_starts(samples: int, window: int, hop: int) -> list[int]:
    """Place windows over a signal; the last one ends where the signal ends."""
    if samples <= window:
        return [0]
    starts = list(range(0, samples - window, hop))
    return [*starts, samples - window]


def check_window(window_s: float, hop_s: float) -> tuple[int, int]:
    """Check window and hop, and return them in samples."""
    check_range("window_s", window_s, *WINDOW_RANGE_S)
    check_range("hop_s", hop_s, HOP_RANGE_S.low, window_s)
    return round(window_s * RATE_HZ), round(hop_s * RATE_HZ)


def segment_bounds(starts: list[int], window: int, samples: int) -> list[tuple[float, float]]:
    """Return the stretch of each window in seconds: what lies nearest to its centre."""
    centres = [start + window / 2 for start in starts]
    between = [(left + right) / 2 for left, right in pairwise(centres)]
    edges = [edge / RATE_HZ for edge in [0.0, *between, float(samples)]]
    return list(pairwise(edges))


def make_segment(
    bounds: tuple[float, float],
    probabilities: Mapping[str, float],
    unsure_below: float = DEFAULT_UNSURE_BELOW,
    *,
    burst: bool = False,
    own: Mapping[str, OwnEmotion] | None = None,
) -> Segment:
    """Choose the likeliest emotion of a stretch; no probabilities mean neither speech nor burst."""
    if not probabilities:
        return Segment(*bounds, emotion=None, confidence=None, probabilities={})
    emotion = max(probabilities, key=probabilities.__getitem__)
    confidence = probabilities[emotion]
    label = UNSURE if confidence < unsure_below else emotion
    return Segment(*bounds, label, confidence, probabilities, burst=burst, own=own or {})


def mean_segment(
    bounds: tuple[float, float], timeline: Sequence[Segment], unsure_below: float
) -> Segment:
    """Predict a whole: the mean of its segments with speech, weighted by their lengths.

    Where there is no speech, vocal bursts take its place.
    """
    spoken = [segment for segment in timeline if segment.speech]
    heard = spoken or [segment for segment in timeline if segment.burst]
    if not heard:
        return make_segment(bounds, {}, unsure_below)
    lengths = np.array([segment.end - segment.start for segment in heard])
    rows = np.array([list(segment.probabilities.values()) for segment in heard])
    mean = lengths @ rows / lengths.sum()
    named = dict(zip(heard[0].probabilities, mean.tolist(), strict=True))
    return make_segment(bounds, named, unsure_below, burst=not spoken, own=heard[0].own)
