"""ONNX graphs from float32 to int8."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from serein.errors import BundleError
from serein.experiment.export import HEAD, quiet
from serein.onnx_session import open_session


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
        fused = target.with_suffix(".fused.onnx")
        open_session(target, optimised=fused)  # nodes are fused here rather than at every start
        return fused.read_bytes()


def _is_head(node: Any) -> bool:
    return any(name.startswith(HEAD) for name in node.input)
