"""Any trained estimator as one ONNX graph, alone or behind an encoder.

Results agree with `predict_proba` within 1e-4, except where float32 falls on the other side of a
threshold than float64: at a tree's split, in a vote of an SVM, and for equally near neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from serein.errors import BundleError
from serein.experiment.export import (
    HEAD,
    OPSET,
    OPSETS,
    converters,  # noqa: F401  # registers them
    fusion_graph,  # noqa: F401  # the same
)
from serein.experiment.export.graph_writer import INPUT, restore, write_graph
from serein.inference.network import OTHERS, VECTOR

IR_VERSION = 10  # what onnxruntime 1.20 reads
PROBABILITY, SPEECH, ROW = "probability", "speech", "row"


def to_graph(estimator: Any, inputs: int | None) -> ModelProto:
    """Write a fitted classifier as an ONNX graph."""
    model = write_graph(estimator, inputs)
    return _last_output(model, PROBABILITY, classes=len(estimator.classes_))


def speech_graph(estimator: Any, inputs: int | None) -> ModelProto:
    """Write a fitted detector of speech as an ONNX graph."""
    if len(estimator.classes_) != 2:
        raise BundleError(
            f"a speech detector has 2 classes, False and True; got {len(estimator.classes_)}"
        )
    model = to_graph(estimator, inputs)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1), "speech_column"))
    model.graph.node.append(
        onnx.helper.make_node("Gather", [PROBABILITY, "speech_column"], [SPEECH], axis=1)
    )
    _set_output(model, SPEECH, ["batch"])
    return model


def join(
    encoder: bytes | ModelProto | None,
    heads: Mapping[str, ModelProto],
    *,
    others: int = 0,
    vector: bool = False,
) -> bytes:
    """Put heads behind an encoder, or side by side on one input, as one graph.

    With so many `others`, features of other modalities, the head of probabilities takes them beside
    the vector: see `serein.inference.network`. With `vector` the graph gives the features too.
    """
    if isinstance(encoder, bytes):
        encoder = onnx.load_from_string(encoder)
    if encoder is None:
        encoder = _pass_through(heads.get(SPEECH) or next(iter(heads.values())))
    joined = _unified(encoder)
    outputs = [output for output in joined.graph.output if vector and output.name == VECTOR]
    if others:
        _add_others(joined, others)
    for name, head in heads.items():
        if [output.name for output in head.graph.output] != [name]:
            raise BundleError(
                f"head {name!r} gives {[output.name for output in head.graph.output]}; "
                f"it must give {name!r} alone"
            )
        prefix, source = f"{HEAD}_{name}_", ROW if others and name == PROBABILITY else VECTOR
        part = _unified(onnx.compose.add_prefix(head, prefix)).graph
        joined.graph.node.append(onnx.helper.make_node("Identity", [source], [prefix + INPUT]))
        joined.graph.node.extend(part.node)
        joined.graph.initializer.extend(part.initializer)
        joined.graph.node.append(onnx.helper.make_node("Identity", [prefix + name], [name]))
        outputs.append(head.graph.output[0])
    del joined.graph.output[:]
    joined.graph.output.extend(outputs)
    del joined.graph.value_info[:]  # shapes of single parts; onnxruntime infers those of the whole
    onnx.checker.check_model(joined)
    return bytes(joined.SerializeToString())


def _add_others(encoder: ModelProto, width: int) -> None:
    """Let an encoder also give rows: its vector, or NaN where the voice is off, and the others."""
    float32, graph = onnx.TensorProto.FLOAT, encoder.graph
    graph.input.append(onnx.helper.make_tensor_value_info(OTHERS, float32, ["rows", 1 + width]))
    constants: dict[str, Any] = {"zero": [0], "one": [1], "all": [1 + width]}
    constants = {name: np.array(value) for name, value in constants.items()}
    constants |= {"nan": np.full((1, 1), np.nan, np.float32)}
    constants |= {"half": np.full((1, 1), 0.5, np.float32)}
    for name, values in constants.items():
        graph.initializer.append(onnx.numpy_helper.from_array(values, f"others_{name}"))
    for kind, inputs, output in (
        ("Slice", [OTHERS, "others_zero", "others_one", "others_one"], "others_voice"),
        ("Slice", [OTHERS, "others_one", "others_all", "others_one"], "others_rest"),
        ("Greater", ["others_voice", "others_half"], "others_on"),
        ("Where", ["others_on", VECTOR, "others_nan"], "others_vector"),
    ):
        graph.node.append(onnx.helper.make_node(kind, inputs, [output]))
    row = ["others_vector", "others_rest"]
    graph.node.append(onnx.helper.make_node("Concat", row, [ROW], axis=1))
    graph.output.append(onnx.helper.make_tensor_value_info(ROW, float32, ["rows", "columns"]))


def _unified(model: ModelProto) -> ModelProto:
    """Bring a model to this module's operator sets and file version."""
    main = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if main != OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.opset_import[:]
    domains = {entry.domain: entry.version for entry in model.opset_import} | OPSETS
    result.opset_import.extend(
        onnx.helper.make_opsetid(domain, version)
        for domain, version in domains.items()
        if domain != "ai.onnx"
    )
    result.ir_version = IR_VERSION
    return result


def _pass_through(head: ModelProto) -> ModelProto:
    """Make a model whose vector is its input, of the shape that a head takes."""
    values = []
    for name in (INPUT, VECTOR):
        values.append(onnx.ValueInfoProto())
        values[-1].CopyFrom(head.graph.input[0])
        values[-1].name = name
    node = onnx.helper.make_node("Identity", [INPUT], [VECTOR])
    graph = onnx.helper.make_graph([node], "serein", values[:1], values[1:])
    opsets = [onnx.helper.make_opsetid(*entry) for entry in OPSETS.items()]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _last_output(model: ModelProto, name: str, *, classes: int) -> ModelProto:
    """Keep the last output alone, under a name, and only the nodes that it needs."""
    model = _unified(model)
    last = model.graph.output[-1].name
    model.graph.node.append(onnx.helper.make_node("Identity", [last], [name]))
    _set_output(model, name, ["batch", classes])
    model = _unified(onnx.utils.Extractor(model).extract_model([INPUT], [name]))
    restore(model.graph)
    columns = model.graph.input[0].type.tensor_type.shape.dim
    columns[0].dim_param = "batch"
    if not columns[1].dim_value:
        columns[1].dim_param = "columns"
    onnx.checker.check_model(model)
    return model


def _set_output(model: ModelProto, name: str, shape: list[Any]) -> None:
    del model.graph.output[:]
    value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    model.graph.output.append(value)
