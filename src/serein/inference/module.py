"""A network over series of frames as an ONNX graph. Needs the extra [train]."""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from serein.errors import BundleError
from serein.inference.export import OPSET, quiet, to_onnx

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

INPUT, LOGIT = "input", "logit"
TOLERANCE = 1e-4
SHAPES = ((1, 1), (1, 7), (3, 50))  # batch and time on which an exported network is tried


def module_graph(module: nn.Module, width: int) -> ModelProto:
    """Write a network over series as an ONNX graph, and try it on series of several lengths.

    Parameters
    ----------
    module : torch.nn.Module
        Takes series, (batch, time, width), and gives logits, (batch, classes).
    width : int
        Features a frame.

    Returns
    -------
    onnx.ModelProto
        ``input`` in, ``logit`` out, with free batch and time axes.

    Raises
    ------
    BundleError
        If no exporter of torch gives a graph that answers as the network does.
    """
    import onnx
    import torch

    module = copy.deepcopy(module).cpu().eval()
    example = np.random.default_rng(0).standard_normal((2, 50, width)).astype(np.float32)
    reasons = []
    for write in (_traced_program, _traced_script):  # the first knows no nn.RNN, the second no
        try:  # attention over a free time axis
            model = onnx.load_from_string(write(module, example))
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            reasons.append(first_line(error))
            continue
        if _same_answers(model, module, width):
            return model
        reasons.append("the graph answers otherwise than the network")
    raise BundleError(f"{type(module).__name__} cannot be exported: {'; '.join(reasons)}")


def _traced_program(module: nn.Module, example: Any) -> bytes:
    return to_onnx(module, example, [LOGIT])


def _traced_script(module: nn.Module, example: Any) -> bytes:
    import torch

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


def _same_answers(model: ModelProto, module: nn.Module, width: int) -> bool:
    import torch

    onnxruntime.disable_telemetry_events()  # Windows knows no variable
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # a route that fails here is not an error yet
    generator = np.random.default_rng(1)
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for batch, time in SHAPES:
            drawn = generator.standard_normal((batch, time, width)).astype(np.float32)
            for series in (drawn, -drawn):  # a way not taken in tracing may show
                with torch.no_grad():
                    wanted = module(torch.from_numpy(series)).numpy()
                given = session.run(None, {INPUT: series})[0]
                if given.shape != wanted.shape or not np.allclose(given, wanted, atol=TOLERANCE):
                    return False
    except Exception:  # onnxruntime's own errors share no other base
        return False
    return True


def first_line(error: BaseException) -> str:
    """Take the part of another library's error that is fit for a message of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
