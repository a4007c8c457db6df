"""From a trained encoder and classifier to one ONNX graph, and from float32 to int8.

Needs the extra [train].
"""

from __future__ import annotations

import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from serein.audio.read import RATE_HZ
from serein.errors import BundleError, MissingExtraError
from serein.features.frontend import FrontEnd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto
    from torch import nn


Array = npt.NDArray[np.float32]
OPSET = 20
HEAD = "head"  # nodes whose name begins so stay float32: they are small and decide


def to_onnx(network: nn.Module, example: Array, outputs: Iterable[str]) -> bytes:
    """Write a network as an ONNX graph with free batch and time axes."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("exporting a model", "train") from error
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


def example_input(front_end: FrontEnd, *, batch: int = 2) -> Array:
    """Make an input to trace a network with: noise through a front end."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((batch, 2 * RATE_HZ + 160)).astype(np.float32)
    return np.stack([front_end(0.1 * signal) for signal in noise])


def quantise(model: bytes) -> bytes:
    """Quantise the large matrices to int8, a scale an output channel; activations as they come.

    Weights take 7 of the 8 bits: processors without VNNI add products in 16 bits, which 8 would
    overflow, so that the answer would depend on the machine.
    """
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise MissingExtraError("quantising a model", "train") from error
    graph = onnx.load_from_string(model).graph
    constants = {tensor.name for tensor in graph.initializer}
    nodes = [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in constants and not _is_head(node)
    ]
    if not nodes:
        raise BundleError(
            "the graph has no float32 matrix to quantise: it is int8 already, or has no encoder"
        )
    with tempfile.TemporaryDirectory() as folder, quiet():
        source, target = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model)
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=nodes,
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=True,
        )
        return _fused(target).read_bytes()


def _fused(file: Path) -> Path:
    """Fuse nodes once, here, rather than at every start; this level suits any processor."""
    fused = file.with_suffix(".fused.onnx")
    onnxruntime.disable_telemetry_events()  # Windows knows no variable
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(fused)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return fused


def _is_head(node: object) -> bool:
    return any(name.startswith(HEAD) for name in node.input)  # type: ignore[attr-defined]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters' chatter about their own insides from the user."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


INPUT, LOGIT = "input", "logit"
TOLERANCE = 1e-4
SHAPES = ((1, 1), (1, 7), (3, 50))  # batch and time on which an exported network is tried


def module_graph(module: nn.Module, width: int) -> ModelProto:
    """Write a network over series as an ONNX graph, and try it on series of several lengths."""
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
