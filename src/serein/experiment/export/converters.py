"""How each of our own estimators becomes ONNX nodes: by class, a function that writes them.

A converter writes the probabilities of one fitted estimator and leaves the estimators inside it to
skl2onnx, so that ours and scikit-learn's nest in any way. Where skl2onnx 1.20 errs, its converter
is replaced: votes with weights in a list, bags that lack a class, neighbours weighted by distance;
and where probabilities are to be scaled by temperature but it gives no logits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.compose
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from serein.errors import BundleError
from serein.evaluation.search.tuned import Tuned
from serein.experiment.export.graph_writer import (
    Converter,
    Writer,
    register_as_parent,
    register_classifier,
    register_transformer,
)
from serein.experiment.export.torch_graph import module_graph
from serein.models.calibration import TemperatureScaled
from serein.models.classical import MarginSVM
from serein.models.domain_adaptation import DomainAdapted
from serein.models.ensembles import GroupedStacking, SeriesBoosting
from serein.models.fusion import BlockRidge, ColumnFusion
from serein.models.fusion.semi_supervised import CoTraining, SelfTraining
from serein.models.linear import MaskedLogisticRegression
from serein.models.network_classifier import NetworkClassifier
from serein.models.pipelines import Pooled, Pooling, Scaled
from serein.models.ridge import MaskedRidge
from serein.training.balance import Balanced

WRAPPERS = (Balanced, ColumnFusion, CoTraining, SelfTraining, Tuned)
"""Classes that only train: they predict just as their `estimator_` does."""


def unwrapped(estimator: Any) -> Any:
    """Take off wrappers that only train."""
    while isinstance(estimator, WRAPPERS):
        estimator = estimator.estimator_
    return estimator


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


def _after_transformer(estimator: Any, write: Writer) -> None:
    transformer = estimator.scaler_ if isinstance(estimator, Scaled) else estimator.pooling_
    inner = write.inner(estimator.estimator_, write.transformed(transformer), raw=write.raw)
    write("Identity", inner, to=write.target)


def _margin(estimator: Any, write: Writer) -> None:
    values = write.inner(estimator.svm_)
    if len(estimator.classes_) == 2:  # one value for both, of opposite sign
        first = write("Gather", values, write.constant([0]), axis=1)
        values = write("Mul", first, write.constant([[-1.0, 1.0]]))
    write.logits(values)


def _wrapper(estimator: Any, write: Writer) -> None:
    write("Identity", write.inner(estimator.estimator_, raw=write.raw), to=write.target)


def _refused(estimator: Any, write: Writer) -> None:
    raise BundleError(f"{type(estimator).__name__} cannot be exported; use TemperatureScaled")


def _domain_adapted(estimator: Any, write: Writer) -> None:
    """Write the head for single recordings at the usual distance from training."""
    inner = estimator.single_
    weight = (inner.coef_ / inner.scale_).T
    product = write("MatMul", write.source, write.constant(weight / estimator.temperature_))
    bias = (inner.intercept_ - inner.mean_ @ weight) / estimator.temperature_
    write.logits(write("Add", product, write.constant(bias)))


def _temperature_scaled(estimator: Any, write: Writer) -> None:
    """Divide logits by the temperature where there are any: float32 ends at 1e-38."""
    temperature = float(estimator.temperature_)
    last = _deciding(estimator.estimator_)
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
    scaled = write("Pow", write("Div", probability, greatest), power)
    write("Div", scaled, write("ReduceSum", scaled, axis, keepdims=1), to=write.target)


def _deciding(estimator: Any) -> Any:
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
    prefix = write.name("network") + "_"
    graph = onnx.compose.add_prefix(module_graph(estimator.module_, width), prefix).graph
    write("Identity", series, to=graph.input[0].name)
    write.embed(graph)
    write.logits(graph.output[0].name)


def _pooling(estimator: Any, write: Writer) -> None:
    width = estimator.width
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
    parts = []
    for part, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        source = None
        if not np.array_equal(features, np.arange(estimator.n_features_in_)):
            source = write.columns(features)
        probability = write.inner(part, source)
        if len(part.classes_) < len(estimator.classes_):  # the bag lacked a class; it counts as 0
            place = np.zeros((len(part.classes_), len(estimator.classes_)))
            place[np.arange(len(place)), part.classes_.astype(int)] = 1
            probability = write("MatMul", probability, write.constant(place))
        parts.append(probability)
    _weighted_mean(write, parts, np.ones(len(parts)))


def _weighted_mean(write: Writer, parts: list[str], weights: Any) -> None:
    shares = weights / weights.sum()
    weighted = [
        write("Mul", part, write.constant([share]))
        for part, share in zip(parts, shares, strict=True)
    ]
    write("Sum", *weighted, to=write.target)


WITH_LOGITS = (
    GaussianNB,
    LogisticRegression,
    MarginSVM,
    MaskedLogisticRegression,
    MaskedRidge,
    NetworkClassifier,
)

CONVERTERS: dict[type, Converter] = {
    **dict.fromkeys(WRAPPERS, _wrapper),
    CalibratedClassifierCV: _refused,  # skl2onnx 1.20 writes it, but wrongly
    GaussianNB: _naive_bayes,
    LogisticRegression: _logistic,
    KNeighborsClassifier: _neighbours,
    MaskedLogisticRegression: _linear,
    MaskedRidge: _linear,
    BlockRidge: _linear,
    MarginSVM: _margin,
    NetworkClassifier: _network,
    Pooled: _after_transformer,
    Scaled: _after_transformer,
    TemperatureScaled: _temperature_scaled,
    DomainAdapted: _domain_adapted,
    VotingClassifier: _voting,
    BaggingClassifier: _bagging,
}
"""Class -> function that writes its probabilities."""

for _kind, _write in CONVERTERS.items():
    register_classifier(_kind, _write)
for _kind in (GroupedStacking, SeriesBoosting):  # only train otherwise than their parents
    register_as_parent(_kind)
register_transformer(
    Pooling, _pooling, lambda pooling, columns: 4 * pooling.width if pooling.width else columns
)
