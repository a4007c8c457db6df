"""How each of our own estimators becomes ONNX nodes, for skl2onnx. Needs the extra [train].

A converter writes the probabilities of one fitted estimator and leaves the estimators inside it to
skl2onnx, so that ours and scikit-learn's nest in any way. Where skl2onnx 1.20 errs, its converter
is replaced: votes with weights in a list, bags that lack a class, neighbours weighted by distance;
and where probabilities are to be cooled but it gives no logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import onnx.compose
from onnx import numpy_helper
from skl2onnx import get_model_alias, update_registered_converter
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from serein.errors import BundleError
from serein.experiment.export.onnx import OPSET, module_graph
from serein.models.calibration import TemperatureScaled
from serein.models.linear import MaskedLogisticRegression, MaskedRidge
from serein.models.margin_svm import MarginSVM
from serein.models.network_classifier import NetworkClassifier
from serein.models.pipelines import Pooled, Pooling, Scaled

NOTHING = "nothing"


class Writer:
    """Writes the nodes of one estimator among those of the others, under names of their own."""

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


WRAPPERS = ("Balanced", "Tuned")  # by name: their rooms lie above this one or beside it
ENSEMBLES = "serein.models.ensembles"  # its classes only train otherwise than their parents
OPTIONS = {
    "zipmap": [True, False, "columns"],
    "raw_scores": [True, False],
    "nocl": [True, False],
    "output_class_labels": [True, False],
}


def unwrapped(estimator: Any) -> Any:
    """Take off what only trains: an estimator that answers just as its `estimator_` does."""
    while type(estimator).__name__ in WRAPPERS:
        estimator = estimator.estimator_
    return estimator


def register(estimator: Any) -> None:
    """Tell skl2onnx of all the estimators of ours, and of those inside an estimator."""
    for kind, write in CONVERTERS.items():
        _register(kind, write)
    update_registered_converter(Pooling, "SereinPooling", _pooling_shape, _pooling)
    for part in _parts(estimator):
        if isinstance(part, CalibratedClassifierCV):  # skl2onnx 1.20 writes it, but wrongly
            raise BundleError("CalibratedClassifierCV cannot be exported; use TemperatureScaled")
        if type(part).__name__ in WRAPPERS:
            _register(type(part), _wrapper)
        elif type(part).__module__ == ENSEMBLES:
            sklearn_operator_name_map[type(part)] = _parents_alias(type(part))


def _register(kind: type, write: Callable[[Any, Writer], None]) -> None:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        writer = Writer(scope, operator, container)
        write(operator.raw_operator, writer)
        writer.label(operator.raw_operator.classes_)

    update_registered_converter(
        kind,
        f"Serein{kind.__name__}",
        calculate_linear_classifier_output_shapes,
        convert,
        options=OPTIONS,
    )


def _parents_alias(kind: type) -> str:
    known = (parent for parent in kind.__mro__[1:] if parent in sklearn_operator_name_map)
    return str(get_model_alias(next(known)))


def _parts(estimator: Any) -> Iterator[Any]:
    yield estimator
    for value in vars(estimator).values():
        held = value if isinstance(value, (list, tuple)) else [value]
        for entry in held:
            part = entry[1] if isinstance(entry, tuple) and len(entry) > 1 else entry  # a step
            if isinstance(part, BaseEstimator):
                yield from _parts(part)


def _linear(estimator: Any, write: Writer) -> None:
    weight = (estimator.coef_ / estimator.scale_).T
    bias = estimator.intercept_ - estimator.mean_ @ weight
    product = write("MatMul", write.source, write.constant(weight))
    write.logits(write("Add", product, write.constant(bias)))


def _naive_bayes(estimator: Any, write: Writer) -> None:
    """Write the joint log likelihood: skl2onnx gives probabilities alone, 0 when very small."""
    constant = np.log(estimator.class_prior_) - 0.5 * np.log(2 * np.pi * estimator.var_).sum(axis=1)
    rows = write("Unsqueeze", write.source, write.constant(np.array([1])))
    scale = write.constant(np.sqrt(0.5 / estimator.var_))
    apart = write("Mul", write("Sub", rows, write.constant(estimator.theta_)), scale)
    distance = write("ReduceSumSquare", apart, write.constant(np.array([2])), keepdims=0)
    write.logits(write("Sub", write.constant(constant), distance))


def _logistic(estimator: Any, write: Writer) -> None:
    if estimator.solver == "liblinear" and len(estimator.classes_) > 2:
        raise BundleError("logistic regression one against the rest; choose another solver")
    coef, intercept = estimator.coef_, estimator.intercept_
    if len(coef) == 1:  # two classes: the first one's logit is 0
        coef, intercept = np.vstack([0 * coef, coef]), np.append(0 * intercept, intercept)
    product = write("MatMul", write.source, write.constant(coef.T))
    write.logits(write("Add", product, write.constant(intercept)))


def _neighbours(estimator: Any, write: Writer) -> None:
    norms = {"euclidean": "ReduceL2", "manhattan": "ReduceL1"}
    metric, weights = estimator.effective_metric_, estimator.weights
    if metric not in norms or weights not in ("uniform", "distance"):
        raise BundleError(
            f"nearest neighbours with metric {metric!r} and weights {weights!r}; "
            f"known: {', '.join(norms)}; uniform, distance"
        )
    first, last = write.constant(np.array([1])), write.constant(np.array([2]))
    rows = write("Unsqueeze", write.source, first)
    apart = write("Sub", rows, write.constant(estimator._fit_X))
    distance = write(norms[metric], apart, last, keepdims=0)
    nearest, which = write.name("nearest"), write.name("which")
    count = write.constant(np.array([estimator.n_neighbors]))
    write("TopK", distance, count, to=f"{nearest} {which}", axis=1, largest=0)
    votes = write("Gather", write.constant(np.eye(len(estimator.classes_))[estimator._y]), which)
    if weights == "distance":  # the same place gets all the weight, and no division by zero
        weight = write("Reciprocal", write("Max", nearest, write.constant([1e-30])))
        votes = write("Mul", votes, write("Unsqueeze", weight, last))
    counted = write("ReduceSum", votes, first, keepdims=0)
    write("Div", counted, write("ReduceSum", counted, first, keepdims=1), to=write.target)


def _scaled(estimator: Any, write: Writer) -> None:
    scaled = write.transformed(estimator.scaler_)
    write("Identity", write.inner(estimator.estimator_, scaled, raw=write.raw), to=write.target)


def _pooled(estimator: Any, write: Writer) -> None:
    vectors = write.transformed(estimator.pooling_)
    write("Identity", write.inner(estimator.estimator_, vectors, raw=write.raw), to=write.target)


def _margin(estimator: Any, write: Writer) -> None:
    values = write.inner(estimator.svm_)
    if len(estimator.classes_) == 2:  # one value for both, of opposite sign
        first = write("Gather", values, write.constant([0]), axis=1)
        values = write("Mul", first, write.constant([[-1.0, 1.0]]))
    write.logits(values)


def _wrapper(estimator: Any, write: Writer) -> None:
    write("Identity", write.inner(estimator.estimator_, raw=write.raw), to=write.target)


def _cooled(estimator: Any, write: Writer) -> None:
    """Divide logits where there are any: probabilities below 1e-38 are 0 in float32."""
    temperature = float(estimator.temperature_)
    last = _answering(estimator.estimator_)
    if isinstance(last, WITH_LOGITS):
        write.ask_logits(last)
        logits = write.inner(estimator.estimator_)
        write.logits(write("Div", logits, write.constant([temperature])))
        return
    # onnxruntime's votes of trees may lie a hair under 0
    votes = write.inner(estimator.estimator_)
    probability = write("Max", votes, write.constant([0.0]))
    axis = write.constant(np.array([1]))
    # p ** (1 / T) keeps an impossible class impossible without a logarithm of zero
    greatest = write("ReduceMax", probability, axis, keepdims=1)
    power = write.constant([1 / temperature])
    cooled = write("Pow", write("Div", probability, greatest), power)
    write("Div", cooled, write("ReduceSum", cooled, axis, keepdims=1), to=write.target)


def _answering(estimator: Any) -> Any:
    """Find the estimator whose probabilities pipelines, scaling and wrappers hand on."""
    while True:
        estimator = unwrapped(estimator)
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, (Pooled, Scaled)):
            estimator = estimator.estimator_
        else:
            return estimator


def _network(estimator: Any, write: Writer) -> None:
    width = estimator.width_
    shape = write.constant(np.array([0, -1, width]))
    series = write("Reshape", write.source, shape)
    prefix = write.scope.get_unique_operator_name("network") + "_"
    graph = onnx.compose.add_prefix(module_graph(estimator.module_, width), prefix).graph
    write("Identity", series, to=graph.input[0].name)
    write.embed(graph)
    write.logits(graph.output[0].name)


def _pooling(scope: Any, operator: Any, container: Any) -> None:
    write = Writer(scope, operator, container)
    width = operator.raw_operator.width
    if width is None:
        write("Identity", write.source, to=write.target)
        return
    axis = write.constant(np.array([1]))
    series = write("Reshape", write.source, write.constant(np.array([0, -1, width])))
    mean = write("ReduceMean", series, axis, keepdims=1)
    apart = write("Sub", series, mean)
    variance = write("ReduceMean", write("Mul", apart, apart), axis, keepdims=0)
    least = write("ReduceMin", series, axis, keepdims=0)
    greatest = write("ReduceMax", series, axis, keepdims=0)
    level = write("Squeeze", mean, axis)
    write("Concat", level, write("Sqrt", variance), least, greatest, to=write.target, axis=1)


def _pooling_shape(operator: Any) -> None:
    width = operator.raw_operator.width
    columns = operator.inputs[0].get_second_dimension() if width is None else 4 * width
    operator.outputs[0].set_type(
        FloatTensorType([operator.inputs[0].get_first_dimension(), columns])
    )


def _voting(estimator: Any, write: Writer) -> None:
    if estimator.voting != "soft":
        raise BundleError("hard voting has no probabilities to export; use voting='soft'")
    weights = estimator.weights
    if weights is None:
        weights = np.ones(len(estimator.estimators))
    voting = np.array([part is not None and part != "drop" for _, part in estimator.estimators])
    share = np.asarray(weights, dtype=float)[voting]
    _weighted_mean(write, [write.inner(part) for part in estimator.estimators_], share)


def _bagging(estimator: Any, write: Writer) -> None:
    answers = []
    for part, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        source = None
        if not np.array_equal(features, np.arange(estimator.n_features_in_)):
            shape = [None, len(features)]
            source = write.scope.declare_local_variable("features", FloatTensorType(shape))
            write("Gather", write.source, write.constant(features), to=source.full_name, axis=1)
        answer = write.inner(part, source)
        if len(part.classes_) < len(estimator.classes_):  # the bag lacked a class; it counts as 0
            place = np.zeros((len(part.classes_), len(estimator.classes_)))
            place[np.arange(len(place)), part.classes_.astype(int)] = 1
            answer = write("MatMul", answer, write.constant(place))
        answers.append(answer)
    _weighted_mean(write, answers, np.ones(len(answers)))


def _weighted_mean(write: Writer, answers: list[str], weights: Any) -> None:
    shares = weights / weights.sum()
    parts = [
        write("Mul", answer, write.constant([share]))
        for answer, share in zip(answers, shares, strict=True)
    ]
    write("Sum", *parts, to=write.target)


WITH_LOGITS = (
    GaussianNB,
    LogisticRegression,
    MarginSVM,
    MaskedLogisticRegression,
    MaskedRidge,
    NetworkClassifier,
)

CONVERTERS: dict[type, Callable[[Any, Writer], None]] = {
    GaussianNB: _naive_bayes,
    LogisticRegression: _logistic,
    KNeighborsClassifier: _neighbours,
    MaskedLogisticRegression: _linear,
    MaskedRidge: _linear,
    MarginSVM: _margin,
    NetworkClassifier: _network,
    Pooled: _pooled,
    Scaled: _scaled,
    TemperatureScaled: _cooled,
    VotingClassifier: _voting,
    BaggingClassifier: _bagging,
}
"""Class -> function that writes its probabilities."""
