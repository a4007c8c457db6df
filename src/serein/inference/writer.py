"""Writing ONNX nodes into a graph that skl2onnx makes. Needs the extra [train]."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from skl2onnx import get_model_alias
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

from serein.inference.export import OPSET

NOTHING = "nothing"


class Writer:
    """Writes the nodes of one estimator among those of the others, under names of their own.

    Parameters
    ----------
    scope, operator, container
        What skl2onnx gives a converter.

    Attributes
    ----------
    source, target : str
        Names of the estimator's input and of its probabilities.
    raw : bool
        Whether logits are wanted in place of probabilities.
    """

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
        """Add another graph's nodes, whose names must be its own.

        skl2onnx takes the empty name of an input left out for one it has lost: until the graph is
        finished the name is `NOTHING`. See `restore`.
        """
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
        answer = self.scope.declare_local_variable("answer", FloatTensorType())
        operator.outputs.append(answer)
        return str(answer.full_name)

    def ask_logits(self, estimator: Any) -> None:
        """Have an estimator that is still to be written give its logits."""
        for place in (self.scope, self.container):
            place.add_options(id(estimator), {"raw_scores": True})

    def transformed(self, transformer: Any) -> Any:
        """Have skl2onnx write a transformer on the input; return its variable."""
        operator = self._declared(transformer, None)
        answer = self.scope.declare_local_variable("transformed", FloatTensorType())
        operator.outputs.append(answer)
        return answer

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
    """Give inputs left out their empty name back."""
    for node in graph.node:
        node.input[:] = ["" if name == NOTHING else name for name in node.input]
    kept = [tensor for tensor in graph.initializer if tensor.name != NOTHING]
    del graph.initializer[:]
    graph.initializer.extend(kept)
