"""Writes a scikit-learn estimator as ONNX; the one module that touches skl2onnx and its insides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.compose
from onnx import ModelProto, numpy_helper
from skl2onnx import get_model_alias, to_onnx, update_registered_converter
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

from serein.errors import BundleError
from serein.experiment.export import OPSET, OPSETS, first_line, quiet

INPUT = "input"
NOTHING = "nothing"


class Writer:
    """Writes the nodes of one estimator among those of the others, under names of its own."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.operator, self.container = scope, operator, container
        self.source: str = operator.inputs[0].full_name
        self.target: str = operator.outputs[-1].full_name
        options = container.get_options(operator.raw_operator, {"raw_scores": False}, fail=False)
        self.raw = bool(options and options["raw_scores"])  # None of a transformer

    def constant(self, values: Any) -> str:
        """Store numbers or words."""
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        name = self.name("constant")
        self.container.initializers.append(numpy_helper.from_array(array, name))
        return name

    def __call__(self, kind: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        """Add a node; return the name of what it gives."""
        output = to or self.name(kind)
        name = self.scope.get_unique_operator_name(kind)
        # container.add_node would insist on skl2onnx's own wrappers for some kinds of node
        outputs = output.split()
        node = onnx.helper.make_node(kind, list(inputs), outputs, name=name, **attributes)
        self.container.node_domain_version_pair_sets.add(("", OPSET))
        self.container.nodes.append(node)
        return output

    def name(self, noun: str) -> str:
        """Find a name that nothing in the graph has yet."""
        return str(self.scope.get_unique_variable_name(noun.lower()))

    def embed(self, graph: onnx.GraphProto) -> None:
        """Add another graph's nodes, whose names must be its own."""
        # skl2onnx takes the empty name of an omitted input for one it has lost: `NOTHING` stands
        # for it until `restore`
        for node in graph.node:
            node.input[:] = [name or NOTHING for name in node.input]
            node.output[:] = [name or self.name("unused") for name in node.output]
        if all(tensor.name != NOTHING for tensor in self.container.initializers):
            self.container.initializers.append(numpy_helper.from_array(np.zeros(1), NOTHING))
        self.container.initializers.extend(graph.initializer)
        self.container.nodes.extend(graph.node)

    def inner(self, estimator: Any, source: Any = None, *, raw: bool = False) -> str:
        """Have skl2onnx write an estimator inside; return the name of its probabilities."""
        if raw:
            self.ask_logits(estimator)
        operator = self._declared(estimator, source)
        operator.outputs.append(self.scope.declare_local_variable("label", Int64TensorType()))
        scores = self.scope.declare_local_variable("scores", FloatTensorType())
        operator.outputs.append(scores)
        return str(scores.full_name)

    def ask_logits(self, estimator: Any) -> None:
        """Have an estimator that is still to be written give its logits."""
        for place in (self.scope, self.container):
            place.add_options(id(estimator), {"raw_scores": True})

    def transformed(self, transformer: Any, source: Any = None) -> Any:
        """Have skl2onnx write a transformer, on the input if nothing else; return its variable."""
        operator = self._declared(transformer, source)
        result = self.scope.declare_local_variable("transformed", FloatTensorType())
        operator.outputs.append(result)
        return result

    def variable(self, width: int) -> Any:
        """Declare what an estimator inside takes, so many columns wide."""
        return self.scope.declare_local_variable("columns", FloatTensorType([None, width]))

    def columns(self, which: Any) -> Any:
        """Select columns of the input; return their variable."""
        result = self.variable(len(which))
        self("Gather", self.source, self.constant(which), to=result.full_name, axis=1)
        return result

    def logits(self, name: str) -> None:
        """Give logits as they are where they are wanted, else their softmax."""
        if self.raw:
            self("Identity", name, to=self.target)
        else:
            self("Softmax", name, to=self.target, axis=1)

    def label(self, classes: Any) -> None:
        """Give the name of the likeliest class, which skl2onnx's ensembles may ask for."""
        words = classes if classes.dtype.kind in "UO" else classes.astype(np.int64)
        best = self("ArgMax", self.target, axis=1, keepdims=0)
        table = self.constant(words.astype(object) if words.dtype.kind == "U" else words)
        self("Gather", table, best, to=self.operator.outputs[0].full_name)

    def _declared(self, estimator: Any, source: Any) -> Any:
        operator = self.scope.declare_local_operator(get_model_alias(type(estimator)), estimator)
        operator.inputs = list(self.operator.inputs) if source is None else [source]
        return operator


def restore(graph: onnx.GraphProto) -> None:
    """Give omitted inputs their empty name back."""
    for node in graph.node:
        node.input[:] = ["" if name == NOTHING else name for name in node.input]
    kept = [tensor for tensor in graph.initializer if tensor.name != NOTHING]
    del graph.initializer[:]
    graph.initializer.extend(kept)


Converter = Callable[[Any, Writer], None]
OPTIONS = {
    "zipmap": [True, False, "columns"],
    "raw_scores": [True, False],
    "nocl": [True, False],
    "output_class_labels": [True, False],
}


def register_classifier(kind: type, write: Converter) -> None:
    """Have skl2onnx write classifiers of a class by a function that writes the probabilities."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        writer = Writer(scope, operator, container)
        write(operator.raw_operator, writer)
        writer.label(operator.raw_operator.classes_)

    shapes = calculate_linear_classifier_output_shapes
    update_registered_converter(kind, f"Serein{kind.__name__}", shapes, convert, options=OPTIONS)


def register_transformer(kind: type, write: Converter, width: Callable[[Any, Any], Any]) -> None:
    """Have skl2onnx write transformers of a class; `width` gives the columns that come out."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        write(operator.raw_operator, Writer(scope, operator, container))

    def shapes(operator: Any) -> None:
        source = operator.inputs[0]
        columns = width(operator.raw_operator, source.get_second_dimension())
        operator.outputs[0].set_type(FloatTensorType([source.get_first_dimension(), columns]))

    update_registered_converter(kind, f"Serein{kind.__name__}", shapes, convert)


def register_as_parent(kind: type) -> None:
    """Have skl2onnx write a class as the nearest parent that it knows."""
    known = (parent for parent in kind.__mro__[1:] if parent in sklearn_operator_name_map)
    sklearn_operator_name_map[kind] = get_model_alias(next(known))


def write_graph(estimator: Any, inputs: int | None) -> ModelProto:
    """Write a fitted classifier; the last output holds its probabilities."""
    try:
        with quiet():
            model: ModelProto = to_onnx(
                estimator,
                initial_types=[(INPUT, FloatTensorType([None, inputs]))],
                options={id(estimator): {"zipmap": False}},
                target_opset=OPSETS,
            )
    except BundleError:
        raise
    except (RuntimeError, ValueError, KeyError, TypeError) as error:  # as skl2onnx happens to fail
        raise BundleError(
            f"{type(estimator).__name__} cannot be exported as a graph: {first_line(error)}"
        ) from error
    return model
