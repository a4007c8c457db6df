"""A bundle that adapts soon: the default model, with a made-up prior of how emotions differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from serein.inference.bundle import ADAPTATION, MODEL, Bundle, read_bundle, write_bundle
from serein.inference.load import find_model
from serein.inference.network import VECTOR
from serein.models.baseline import KINDS, AdaptiveHeads

AT_ONCE = np.array([[0.0, 0.1], [0.0, 0.1]], np.float32)  # how varied recordings have to be


def adaptive_bundle(folder: Path) -> Path:
    """Write the bundle, of version 2, whatever version the default model has."""
    bundle = read_bundle(find_model("multi"))
    model = bundle.files[MODEL]
    if ADAPTATION in bundle.files:
        heads = AdaptiveHeads.from_bytes(bundle.files[ADAPTATION])
    else:
        model, heads = _with_second_head(bundle)
    labels = len(bundle.labels)
    apart = 4 * np.eye(labels) - 4 / labels
    prior = np.stack([apart, 0.1 * np.eye(labels), 0.1 * np.eye(labels)]).astype(np.float32)
    manifest = {key: value for key, value in bundle.manifest.items() if key != "adaptation"}
    return write_bundle(
        folder,
        manifest | {"version": 2},
        model=model,
        card="made for a test",
        notice="",
        adaptation=replace(heads, prior=prior, varied=AT_ONCE).to_bytes(),
    )


def _with_second_head(bundle: Bundle) -> tuple[bytes, AdaptiveHeads]:
    """Let a graph of version 1 give its vector, and take its one head for the other too."""
    model = onnx.load_from_string(bundle.files[MODEL])
    parts = {part.name: numpy_helper.to_array(part) for part in model.graph.initializer}
    nodes = [n for n in model.graph.node if n.input[0] == VECTOR and "probability" in n.output[0]]
    weight = parts[nodes[0].input[1]].astype(np.float32)
    weight = weight if len(weight) == len(bundle.labels) else weight.T
    rows, columns = weight.shape
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(VECTOR, onnx.TensorProto.FLOAT, [1, columns])
    )
    zeros = np.zeros(columns, np.float32)
    heads = AdaptiveHeads(
        weight=weight,
        bias=np.zeros(rows, np.float32),
        mean=zeros,
        deviation=zeros + 1,
        near_weight=np.zeros((0, columns), np.float32),
        near_bias=np.zeros(0, np.float32),
        near_gate=np.zeros(2, np.float32),
        axes=zeros[:, None],
        centres=np.zeros((1, 1), np.float32),
        confidence=np.zeros((len(KINDS), 2), np.float32),
        prior=np.zeros((3, rows, rows), np.float32),
        varied=AT_ONCE,
        offsets=np.zeros((rows, columns), np.float32),
    )
    return model.SerializeToString(), heads
