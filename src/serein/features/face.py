"""A face over time: its place in a video and its expression. Extra [face].

One face is tracked: the one that overlaps the last face most, else the largest. A picture without a
face is a row of NaN, and a video without any face is no error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import cast

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array, Doubles
from serein.audio.video_sound import VideoSource
from serein.errors import VideoError
from serein.features.face_models import (
    EXPRESSIONS,
    Boxes,
    ExpressionReader,
    FaceFinder,
    grey_of,
)
from serein.features.video import (
    DEFAULT_VIDEO_LIMITS,
    Picture,
    Timed,
    VideoLimits,
    sample_frames,
)

MAX_SIDE = 480  # pixels of the pictures that are searched
MAX_GAP_S = 1.0  # after a longer gap, tracking starts anew

Expression = dict[str, float] | None


@dataclass(frozen=True, eq=False)
class FaceSeries:
    """The face of a video, picture by picture."""

    time_s: Doubles  # (pictures,)
    expression: Array  # (pictures, 7): probabilities of `EXPRESSIONS`; NaN without a face
    box: Array  # (pictures, 4): left, top, width, height as shares of the picture
    faces: npt.NDArray[np.int32]  # (pictures,): how many there are

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """In which pictures a face was found, shape (pictures,)."""
        return ~np.isnan(self.expression[:, 0])

    @property
    def found(self) -> float:
        """Share of the pictures in which a face was found, 0 to 1; 0 without pictures."""
        return float(self.seen.mean()) if len(self.time_s) else 0.0

    def pooled(self, start_s: float | None = None, end_s: float | None = None) -> Expression:
        """Average the expression between two times; None without a face."""
        here = self.seen
        if start_s is not None:
            here &= self.time_s >= start_s
        if end_s is not None:
            here &= self.time_s < end_s
        if not here.any():
            return None
        mean = self.expression[here].mean(axis=0, dtype=np.float64)
        return dict(zip(EXPRESSIONS, (mean / mean.sum()).tolist(), strict=True))


def describe_face(
    source: VideoSource | Picture | Iterable[Timed],
    *,
    per_s: float = 5.0,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
) -> FaceSeries:
    """Track the face of a video, a picture, or the pictures of a camera with their times."""
    finder, reader = FaceFinder(), ExpressionReader()
    times: list[float] = []
    rows: list[_Row] = []
    tracker = _Tracker()
    for time_s, picture in _pictures(source, per_s, limits):
        grey = grey_of(picture, MAX_SIDE)
        boxes = finder.find(grey)
        face = tracker.choose(time_s, boxes)
        expression = np.full(len(EXPRESSIONS), np.nan) if face is None else reader.read(grey, face)
        times.append(time_s)
        rows.append((expression, _share(face, grey.shape), len(boxes)))
    return _series(times, rows)


_Row = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating], int]


class _Tracker:
    """Chooses one face of each picture."""

    def __init__(self) -> None:
        self._last: Boxes | None = None
        self._last_s = 0.0

    def choose(self, time_s: float, boxes: Boxes) -> Boxes | None:
        """Choose one of the boxes, which are sorted by size."""
        if not len(boxes):
            return None
        chosen = 0
        if self._last is not None and time_s - self._last_s <= MAX_GAP_S:
            shared = [_overlap(self._last, box) for box in boxes]
            chosen = int(np.argmax(shared))  # the first is the largest
        self._last, self._last_s = boxes[chosen], time_s
        face: Boxes = boxes[chosen]
        return face


def _overlap(one: Boxes, other: Boxes) -> float:
    """Compute the intersection over union of two boxes."""
    start = np.maximum(one[:2], other[:2])
    end = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.prod(np.maximum(end - start, 0)))
    return shared / (float(np.prod(one[2:])) + float(np.prod(other[2:])) - shared)


def _pictures(
    source: VideoSource | Picture | Iterable[Timed], per_s: float, limits: VideoLimits
) -> Iterator[Timed]:
    """Yield the pictures of a source with their times, checked."""
    if isinstance(source, np.ndarray):
        source = [(0.0, source)]
    elif isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(
        source, "read"
    ):
        video = cast("VideoSource", source)
        yield from sample_frames(video, per_s=per_s, max_side=MAX_SIDE, limits=limits)
        return
    for time_s, picture in source:
        _check_picture(time_s, picture, limits)
        yield time_s, picture


def _check_picture(time_s: float, picture: Picture, limits: VideoLimits) -> None:
    """Check a picture that is not from a file."""
    shape, dtype = getattr(picture, "shape", None), getattr(picture, "dtype", None)
    if dtype != np.uint8 or shape is None or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise VideoError(
            f"<picture>: is of type {type(picture).__name__}, {dtype}, with shape {shape}; need an "
            "array of uint8 with shape (height, width, 3): red, green, blue"
        )
    if max(shape) > limits.max_side:
        raise VideoError(
            f"<picture>: is {shape[1]} x {shape[0]} pixels; need at most {limits.max_side} a side: "
            "scale it down"
        )
    if not isfinite(time_s):
        raise VideoError(f"<picture>: has the time {time_s}; need seconds")


def _share(face: Boxes | None, shape: tuple[int, ...]) -> Doubles:
    """Scale a box to shares of the picture; NaN without one."""
    if face is None:
        return np.full(4, np.nan)
    height, width = shape
    return face / np.array([width, height, width, height], np.float64)


def _series(times: list[float], rows: list[_Row]) -> FaceSeries:
    """Stack the rows of all pictures."""
    expressions = [row[0] for row in rows]
    return FaceSeries(
        time_s=np.array(times, np.float64),
        expression=np.array(expressions, np.float32).reshape(-1, len(EXPRESSIONS)),
        box=np.array([row[1] for row in rows], np.float32).reshape(-1, 4),
        faces=np.array([row[2] for row in rows], np.int32),
    )
