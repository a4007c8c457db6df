"""From the probabilities of windows to answers for stretches and wholes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serein.inference.prediction import UNSURE, Segment


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
