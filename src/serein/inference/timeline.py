"""How a recording is cut into windows, and which stretch each window answers for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from serein.audio.read import RATE_HZ
from serein.inference.prediction import UNSURE, Segment

SHORTEST_S, LONGEST_S = 0.5, 10.0  # of a window
LEAST_HOP_S = 0.1


def window_starts(samples: int, window: int, hop: int) -> list[int]:
    """Place windows over a signal; the last one ends where the signal ends.

    Parameters
    ----------
    samples, window, hop : int
        Lengths in samples.

    Returns
    -------
    list of int
        First sample of each window; a signal that fits into one window has one.

    Examples
    --------
    >>> window_starts(10, 4, 3)
    [0, 3, 6]
    >>> window_starts(9, 4, 3)
    [0, 3, 5]
    """
    if samples <= window:
        return [0]
    starts = list(range(0, samples - window, hop))
    return [*starts, samples - window]


def check_window(window_s: float, hop_s: float) -> tuple[int, int]:
    """Check window and hop, and return them in samples.

    Parameters
    ----------
    window_s : float
        Length of a window in seconds, 0.5 to 10.
    hop_s : float
        From one window to the next in seconds, 0.1 to `window_s`.

    Returns
    -------
    tuple of int
        Both in samples at 16 kHz.

    Raises
    ------
    ValueError
        If one is outside its range.

    Examples
    --------
    >>> check_window(2.0, 0.5)
    (32000, 8000)
    """
    if not SHORTEST_S <= window_s <= LONGEST_S:
        raise ValueError(
            f"the window is {window_s} s; allowed: {SHORTEST_S} to {LONGEST_S} s, and the models "
            "know best what they learnt from, 2 to 4 s"
        )
    if not LEAST_HOP_S <= hop_s <= window_s:
        raise ValueError(
            f"the hop is {hop_s} s; allowed: {LEAST_HOP_S} s to a window, {window_s} s"
        )
    return round(window_s * RATE_HZ), round(hop_s * RATE_HZ)


def segment_bounds(starts: list[int], window: int, samples: int) -> list[tuple[float, float]]:
    """Say which stretch each window answers for: what lies nearest to its centre.

    Parameters
    ----------
    starts : list of int
        First sample of each window.
    window, samples : int
        Lengths of a window and of the signal, in samples.

    Returns
    -------
    list of (start, end)
        Seconds, without gaps or overlaps, from 0 to the end of the signal.

    Examples
    --------
    >>> segment_bounds([0, 32000], 64000, 96000)
    [(0.0, 3.0), (3.0, 6.0)]
    """
    centres = [start + window / 2 for start in starts]
    between = [(left + right) / 2 for left, right in pairwise(centres)]
    edges = [edge / RATE_HZ for edge in [0.0, *between, float(samples)]]
    return list(pairwise(edges))


def labelled(
    bounds: tuple[float, float], probabilities: dict[str, float], unsure_below: float
) -> Segment:
    """Name the likeliest emotion of a stretch.

    Parameters
    ----------
    bounds : tuple of float
        Its start and end in seconds.
    probabilities : dict of str to float
        Of each emotion; empty where there is no speech.
    unsure_below : float
        A likeliest emotion of less confidence, 0 to 1, is ``unsure``.

    Returns
    -------
    Segment
        Its emotion is None where there is no speech.
    """
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
    """Answer for a whole: the mean of its segments with speech, each by its length.

    Parameters
    ----------
    bounds : tuple of float
        Start and end of the whole in seconds.
    timeline : sequence of Segment
        Its segments.
    unsure_below : float
        A likeliest emotion of less confidence, 0 to 1, is ``unsure``.

    Returns
    -------
    Segment
        Its emotion is None where no segment has speech.
    """
    spoken = [segment for segment in timeline if segment.speech]
    if not spoken:
        return labelled(bounds, {}, unsure_below)
    lengths = np.array([segment.end - segment.start for segment in spoken])
    rows = np.array([list(segment.probabilities.values()) for segment in spoken])
    mean = lengths @ rows / lengths.sum()
    named = dict(zip(spoken[0].probabilities, mean.tolist(), strict=True))
    return labelled(bounds, named, unsure_below)
