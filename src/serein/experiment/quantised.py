"""An encoder as its int8 ONNX graph, to measure what quantising costs."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import onnxruntime

from serein.features.encoder import SpeechEncoder
from serein.inference.export import example_input, quantise, to_onnx

Array = npt.NDArray[np.float32]


class GraphEncoder:
    """An encoder's ONNX graph, called like the encoder itself.

    Parameters
    ----------
    model : bytes
        The graph; one input, one output.
    encoder : SpeechEncoder
        Whose front end to use.
    """

    def __init__(self, model: bytes, encoder: SpeechEncoder) -> None:
        onnxruntime.disable_telemetry_events()  # Windows knows no variable
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.front_end = encoder.front_end
        self.fingerprint = f"{encoder.fingerprint}-{hashlib.sha256(model).hexdigest()[:12]}"
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, signal: Array) -> Array:
        """Describe one signal: (samples,) to (features,)."""
        network_input = self.front_end(signal)[None]
        vector: Array = self._session.run(None, {"input": network_input})[0][0]
        return vector


def quantised_encoder(encoder: SpeechEncoder) -> GraphEncoder:
    """Export an encoder and quantise it.

    Parameters
    ----------
    encoder : SpeechEncoder
        In float32.

    Returns
    -------
    GraphEncoder
        In int8.
    """
    model = to_onnx(encoder.network, example_input(encoder.front_end), ["vector"])
    return GraphEncoder(quantise(model), encoder)
