"""Bundles for tests: one that adapts soon, and a tiny one that tells a high voice from a low."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from made_heads import made_heads
from serein.features.frontend import FrontEnd
from serein.inference.bundle import ADAPTATION, MODEL, read_bundle, write_bundle
from serein.inference.load import find_model
from serein.models.baseline import AdaptiveHeads

AT_ONCE = np.array([[0.0, 0.1], [0.0, 0.1]], np.float32)  # how varied recordings have to be
WEIGHT = np.float32([[0.03, 0, 0], [0, 0, 0]])  # anger is a voice above 200 Hz
BIAS = np.float32([-6, 0])
MEAN, DEVIATION = np.float32([200, 60, 0.5]), np.float32([80, 10, 0.5])


def adaptive_bundle(folder: Path) -> Path:
    """Write the bundle."""
    bundle = read_bundle(find_model("multi"))
    heads = AdaptiveHeads.from_bytes(bundle.files[ADAPTATION])
    labels = len(bundle.labels)
    apart = 4 * np.eye(labels) - 4 / labels
    prior = np.stack([apart, 0.1 * np.eye(labels), 0.1 * np.eye(labels)]).astype(np.float32)
    manifest = {key: value for key, value in bundle.manifest.items() if key != "adaptation"}
    return write_bundle(
        folder,
        manifest,
        model=bundle.files[MODEL],
        card="made for a test",
        notice="",
        adaptation=replace(heads, prior=prior, varied=AT_ONCE).to_bytes(),
    )


def pitched_bundle(folder: Path, labels: tuple[str, str], **more: Any) -> Path:
    """Write one of version 2 that hears the first label in a high voice, the second in a low one.

    `more`: of the manifest.
    """
    constants = {"weights": WEIGHT.T, "bias": BIAS, "last": np.array([1])}
    steps = [
        helper.make_node("Identity", ["input"], ["vector"]),
        helper.make_node("MatMul", ["input", "weights"], ["heard"]),
        helper.make_node("Add", ["heard", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probability"], axis=1),
        helper.make_node("ReduceSum", ["probability", "last"], ["speech"], keepdims=0),
    ]
    shapes = {"input": ["n", 3], "probability": ["n", 2], "speech": ["n"], "vector": ["n", 3]}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    stored = [numpy_helper.from_array(item, name) for name, item in constants.items()]
    graph = helper.make_graph(steps, "pitch", [values.pop("input")], list(values.values()), stored)
    model: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    front_end = FrontEnd("features", sets=("f0", "loudness"), functionals=("mean",))
    manifest = {
        **{"name": "pitch", "precision": "float32", "labels": list(labels)},
        **{"front_end": front_end.to_dict(), "window_s": 4.0, "hop_s": 2.5, "temperature": 1.0},
        **{"speech_threshold": 0.5, "trained_on": [], "scores": [], "licence": "none"},
    }
    relative = WEIGHT * DEVIATION
    heads = made_heads(relative, BIAS + WEIGHT @ MEAN, MEAN, DEVIATION, spread=3.0)
    return write_bundle(
        folder,
        manifest | more,
        model=model.SerializeToString(),
        card="# pitch\n",
        notice="Recognizer pitch.\n",
        adaptation=heads.to_bytes(),
    )


OWN = ("frustrated", "xxx")


def own_bundle(folder: Path) -> Path:
    """Write one of two labels of one's own, of which one is described."""
    said = {"frustrated": {"valence": -0.5, "arousal": 0.4, "zh": "沮丧"}}
    return pitched_bundle(folder / "own", OWN, name="own", emotions=said)
