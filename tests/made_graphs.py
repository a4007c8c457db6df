"""Graphs from strangers: a sound one, and ones with data in another file at every place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper, numpy_helper, parser

SOUND = """
    <ir_version: 8, opset_import: ["" : 17]>
    tiny (float[1, samples] input) => (float[1, 2] probability, float[1] speech)
    <float[1, 2] weight = {3.0, -3.0}, int64[1] flat = {1}>
    {
      size = Abs(input)
      level = ReduceMean<axes = [1], keepdims = 1>(size)
      logits = MatMul(level, weight)
      probability = Softmax<axis = 1>(logits)
      all = Sigmoid(level)
      speech = Reshape(all, flat)
    }
"""
WEIGHTS = np.array([[3, -3]], np.float32)


def sound() -> ModelProto:
    """Make a graph that a bundle of two emotions may hold."""
    return parser.parse_model(SOUND)


def external(location: str, name: str = "weight") -> TensorProto:
    """Make a tensor of two numbers that lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1, 2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def sparse(tensor: TensorProto, *, indices: bool = False) -> Any:
    result = onnx.SparseTensorProto(dims=[1, 2])
    result.values.CopyFrom(numpy_helper.from_array(WEIGHTS[0], "weight") if indices else tensor)
    result.indices.CopyFrom(tensor if indices else numpy_helper.from_array(np.array([0, 1])))
    return result


def inner(tensor: TensorProto) -> GraphProto:
    """Make a graph inside an operator, with the tensor."""
    made = helper.make_node("Identity", ["weight"], ["made"])
    outputs = [helper.make_tensor_value_info("made", TensorProto.FLOAT, [1, 2])]
    return helper.make_graph([made], "inner", [], outputs, [tensor])


def _without_weight() -> ModelProto:
    model = sound()
    kept = [tensor for tensor in model.graph.initializer if tensor.name != "weight"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def _first(kind: str, *inputs: str, **attributes: Any) -> ModelProto:
    """Make the sound graph, its weights given by a node."""
    model = _without_weight()
    node = helper.make_node(kind, list(inputs), ["weight"], **attributes)
    nodes = [node, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _initializer(tensor: TensorProto) -> ModelProto:
    model = _without_weight()
    model.graph.initializer.append(tensor)
    return model


def _location_alone(tensor: TensorProto) -> ModelProto:
    del tensor.external_data[:]
    return _initializer(tensor)


def _entries_alone(tensor: TensorProto) -> ModelProto:
    tensor.ClearField("data_location")
    return _initializer(tensor)


def _sparse_initializer(tensor: TensorProto, *, indices: bool = False) -> ModelProto:
    model = _without_weight()
    model.graph.sparse_initializer.append(sparse(tensor, indices=indices))
    return model


def _tensors(tensor: TensorProto) -> ModelProto:
    model = sound()
    attribute = AttributeProto(name="more", type=AttributeProto.TENSORS, tensors=[tensor])
    model.graph.node[0].attribute.append(attribute)
    return model


def _sparse_tensors(tensor: TensorProto) -> ModelProto:
    model = sound()
    attribute = AttributeProto(name="more", type=AttributeProto.SPARSE_TENSORS)
    attribute.sparse_tensors.append(sparse(tensor))
    model.graph.node[0].attribute.append(attribute)
    return model


def _graphs(tensor: TensorProto) -> ModelProto:
    model = sound()
    attribute = AttributeProto(name="more", type=AttributeProto.GRAPHS, graphs=[inner(tensor)])
    model.graph.node[0].attribute.append(attribute)
    return model


def _branch(tensor: TensorProto) -> ModelProto:
    model = _first("If", "yes", then_branch=inner(tensor), else_branch=inner(tensor))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    return model


def _function(tensor: TensorProto) -> ModelProto:
    model = _first("Own", domain="own")
    node = helper.make_node("Constant", [], ["out"], value=tensor)
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "Own", [], ["out"], [node], opsets)
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def _training(tensor: TensorProto) -> ModelProto:
    model = sound()
    model.training_info.add().initialization.CopyFrom(inner(tensor))
    return model


PLACES: dict[str, Callable[[TensorProto], ModelProto]] = {
    "initializer": _initializer,
    "location alone": _location_alone,
    "entries alone": _entries_alone,
    "sparse values": _sparse_initializer,
    "sparse indices": lambda tensor: _sparse_initializer(tensor, indices=True),
    "constant": lambda tensor: _first("Constant", value=tensor),
    "sparse constant": lambda tensor: _first("Constant", sparse_value=sparse(tensor)),
    "unknown attribute": lambda tensor: _first("Identity", "flat", more=tensor),
    "list of tensors": _tensors,
    "list of sparse tensors": _sparse_tensors,
    "branch": _branch,
    "list of graphs": _graphs,
    "function": _function,
    "training": _training,
}


def with_external_data(location: str) -> dict[str, bytes]:
    """Make graphs that ask for another file, by the place where they do and how it is written."""
    graphs = {place: make(external(location)).SerializeToString() for place, make in PLACES.items()}
    tensor = external(location).SerializeToString()
    field = b"\x2a" + bytes([len(tensor)]) + tensor  # initializer, of a graph
    rest = _without_weight().SerializeToString()
    graphs["second half of a graph"] = rest + b"\x3a" + bytes([len(field)]) + field
    long = b"\xba\x80\x00" + bytes([len(field) | 0x80, 0]) + field  # padded key and size
    graphs["long numbers"] = rest + long
    location_twice = b"\x70\x01\x70\x00"  # data_location, the last one counts
    again = b"\x2a" + bytes([len(tensor) + 4]) + tensor + location_twice
    graphs["location taken back"] = rest + b"\x3a" + bytes([len(again)]) + again
    return graphs
