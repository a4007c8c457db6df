"""ONNX graphs from float32 to int8."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

from serein.errors import BundleError
from serein.experiment.export import HEAD, quiet


def quantise(model: bytes) -> bytes:
    """Quantise the large matrices to int8, a scale an output channel; activations as they come.

    Weights take 7 of the 8 bits: processors without VNNI add products in 16 bits, which 8 would
    overflow, so that results would depend on the machine.
    """
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


def _is_head(node: Any) -> bool:
    return any(name.startswith(HEAD) for name in node.input)
