"""PyTorch networks as ONNX graphs."""

from __future__ import annotations

import copy
import hashlib
import io
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import ModelProto
from torch import nn

from serein.audio.read import RATE_HZ
from serein.errors import BundleError
from serein.experiment.export import OPSET, first_line, quiet
from serein.experiment.export.quantise import quantise
from serein.features.encoder import SpeechEncoder, shaped
from serein.features.frontend import FrontEnd
from serein.onnx_session import open_session

Array = npt.NDArray[np.float32]


def to_onnx(network: nn.Module, example: Array, outputs: Iterable[str]) -> bytes:
    """Write a network as an ONNX graph with free batch and time axes."""
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with tempfile.TemporaryDirectory() as folder, quiet():
        program = torch.onnx.export(
            network,
            (torch.from_numpy(example),),
            dynamo=True,
            dynamic_shapes=(free,),
            input_names=["input"],
            output_names=list(outputs),
            opset_version=OPSET,
            verbose=False,
        )
        file = Path(folder) / "model.onnx"
        program.save(str(file), external_data=False)  # type: ignore[union-attr]
        return file.read_bytes()


@lru_cache(maxsize=1)  # training tests the int8 encoder, then packs the same one
def encoder_graph(encoder: SpeechEncoder) -> bytes:
    """Write an encoder as an ONNX graph."""
    return to_onnx(encoder.network, example_input(encoder.front_end), ["vector"])


def example_input(front_end: FrontEnd, *, batch: int = 2) -> Array:
    """Make an input to trace a network with: noise through a front end."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((batch, 2 * RATE_HZ + 160)).astype(np.float32)
    return np.stack([front_end(0.1 * signal) for signal in noise])


INPUT, LOGIT = "input", "logit"
TOLERANCE = 1e-4
SHAPES = ((1, 1), (1, 7), (3, 50))  # batch and time on which an exported network is tried


def module_graph(module: nn.Module, width: int) -> ModelProto:
    """Write a network over series as an ONNX graph, and try it on series of several lengths."""
    module = copy.deepcopy(module).cpu().eval()
    example = np.random.default_rng(0).standard_normal((2, 50, width)).astype(np.float32)
    reasons = []
    for write in (_traced_program, _traced_script):  # the first knows no nn.RNN, the second no
        try:  # attention over a free time axis
            model = onnx.load_from_string(write(module, example))
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            reasons.append(first_line(error))
            continue
        if _agrees(model, module, width):
            return model
        reasons.append("the graph gives other results than the network")
    raise BundleError(f"{type(module).__name__} cannot be exported: {'; '.join(reasons)}")


def _traced_program(module: nn.Module, example: Any) -> bytes:
    return to_onnx(module, example, [LOGIT])


def _traced_script(module: nn.Module, example: Any) -> bytes:
    with io.BytesIO() as file, quiet():
        torch.onnx.export(
            module,
            (torch.from_numpy(example),),
            file,  # type: ignore[arg-type]
            dynamo=False,
            dynamic_axes={INPUT: {0: "batch", 1: "time"}, LOGIT: {0: "batch"}},
            input_names=[INPUT],
            output_names=[LOGIT],
            opset_version=OPSET,
        )
        return file.getvalue()


def _agrees(model: ModelProto, module: nn.Module, width: int) -> bool:
    generator = np.random.default_rng(1)
    try:
        session = open_session(model.SerializeToString())
        for batch, time in SHAPES:
            drawn = generator.standard_normal((batch, time, width)).astype(np.float32)
            for series in (drawn, -drawn):  # a branch not taken in tracing may show
                with torch.no_grad():
                    wanted = module(torch.from_numpy(series)).numpy()
                given = session.run(None, {INPUT: series})[0]
                if given.shape != wanted.shape or not np.allclose(given, wanted, atol=TOLERANCE):
                    return False
    except Exception:  # onnxruntime's own errors share no other base
        return False
    return True


class GraphEncoder:
    """An encoder's ONNX graph, called like the encoder itself."""

    def __init__(self, model: bytes, encoder: SpeechEncoder) -> None:
        self.front_end, self.width = encoder.front_end, encoder.width
        self.fingerprint = f"{encoder.fingerprint}-{hashlib.sha256(model).hexdigest()[:12]}"
        self._session = open_session(model)

    def __call__(self, signal: Array) -> Array:
        """Extract the features of one signal: (samples,) to what the encoder gives."""
        row = self._session.run(None, {"input": self.front_end(signal)[None]})[0][0]
        return shaped(row, self.width)


def quantised_encoder(encoder: SpeechEncoder) -> GraphEncoder:
    """Export an encoder and quantise it."""
    return GraphEncoder(quantise(encoder_graph(encoder)), encoder)
