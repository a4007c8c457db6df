"""How fused modalities become ONNX nodes: a row of columns in, NaN where one is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.kernel_approximation import Nystroem

from serein.errors import BundleError
from serein.experiment.export.graph_writer import (
    Writer,
    register_classifier,
    register_transformer,
)
from serein.models.fusion import EarlyFusion, HybridFusion, LateFusion
from serein.models.fusion.classifier import TINY, FusionClassifier
from serein.models.fusion.rules import LOG_FLOOR, Product, Rule, Stacked, WeightedMean


def _modalities(fusion: FusionClassifier, write: Writer) -> tuple[dict[str, Any], list[str]]:
    """Give the columns of each modality, 0 where it is missing, and whether it is there: 1 or 0."""
    columns, there, first = {}, [], 0
    for name, width in fusion.widths_.items():
        own = write.columns(np.arange(first, first + width))
        gaps = write("IsNaN", own.full_name)
        missing = write("Gather", gaps, write.constant(np.array([0])), axis=1)
        there.append(write("Where", missing, write.constant([0.0]), write.constant([1.0])))
        columns[name] = write.variable(width)
        zero = write.constant([0.0])
        write("Where", gaps, zero, own.full_name, to=columns[name].full_name)
        first += width
    return columns, there


def _chosen(
    fusion: FusionClassifier, there: list[str], fused: dict[int, str], write: Writer
) -> None:
    """Give what is fused from the modalities that are there; 1, 2, 4 … stand for them, 0 for none.

    The prior stands for a set that is not given.
    """
    powers = [
        write("Mul", flag, write.constant([float(2**number)])) for number, flag in enumerate(there)
    ]
    present = write("Sum", *powers)
    result = write.constant(fusion.prior_[None])
    for code, probabilities in fused.items():
        same = write("Equal", present, write.constant([float(code)]))
        result = write("Where", same, probabilities, result)
    write("Identity", result, to=write.target)


def _placed(name: str, estimator: Any, fusion: FusionClassifier, write: Writer) -> str:
    """Put the probabilities of an estimator that may lack classes in the order of all."""
    places = np.searchsorted(fusion.classes_, estimator.classes_)
    return write("MatMul", name, write.constant(np.eye(len(fusion.classes_))[places]))


def _late(fusion: LateFusion, write: Writer) -> None:
    columns, there = _modalities(fusion, write)
    each = {}
    for name, estimator in fusion.estimators_.items():
        given = _placed(write.inner(estimator, columns[name]), estimator, fusion, write)
        each[name] = write("Max", given, write.constant([TINY]))
    codes = {name: 2**number for number, name in enumerate(fusion.modalities_)}
    fused = {codes[name]: each[name] for name in each}
    for names, rule in fusion.rules_.items():
        code = sum(codes[name] for name in names)
        fused[code] = _rule(rule, [each[name] for name in names], write)
    _chosen(fusion, there, fused, write)


def _rule(rule: Rule, each: list[str], write: Writer) -> str:
    """Write the probabilities that a rule fuses."""
    if isinstance(rule, Stacked):
        inputs = write.variable(rule.regression.n_features_in_)
        floor = write.constant([np.exp(LOG_FLOOR)])
        raised = [write("Log", write("Max", part, floor)) for part in each]
        write("Concat", *raised, to=inputs.full_name, axis=1)
        return write.inner(rule.regression, inputs)
    if isinstance(rule, WeightedMean):
        total = write("Log", _weighted_sum(each, rule.weights, write))
        return write("Softmax", write("Mul", total, write.constant([rule.power])), axis=1)
    if isinstance(rule, Product):
        logs = [write("Log", part) for part in each]
        rest = write.constant(((1 - rule.exponents.sum()) * rule.log_prior)[None])
        total = write("Add", _weighted_sum(logs, rule.exponents, write), rest)
        return write("Softmax", total, axis=1)
    raise BundleError(f"the rule {type(rule).__name__} cannot be exported")


def _weighted_sum(parts: list[str], weights: Any, write: Writer) -> str:
    weighted = [
        write("Mul", part, write.constant([weight]))
        for part, weight in zip(parts, weights, strict=True)
    ]
    return write("Sum", *weighted)


def _blocks(fusion: EarlyFusion | HybridFusion, write: Writer) -> tuple[list[str], list[str]]:
    """Write the scaled block of each modality, 0 where it is missing, and whether it is there."""
    columns, there = _modalities(fusion, write)
    scaling, weighted = fusion.blocks_, isinstance(fusion, EarlyFusion)
    blocks = []
    for (name, reduced), flag in zip(columns.items(), there, strict=True):
        block = reduced
        for step in scaling.steps_[name]:
            block = write.transformed(step, block)
        apart = write("Sub", block.full_name, write.constant(scaling.mean_[name][None]))
        gain = write.constant([scaling.gain(name, weighted=weighted)])
        blocks.append(write("Mul", write("Mul", apart, gain), flag))
    return blocks, there


def _early(fusion: EarlyFusion, write: Writer) -> None:
    blocks, there = _blocks(fusion, write)
    row = write.variable(sum(len(mean) for mean in fusion.blocks_.mean_.values()))
    write("Concat", *blocks, to=row.full_name, axis=1)
    given = _placed(write.inner(fusion.estimator_, row), fusion.estimator_, fusion, write)
    _chosen(fusion, there, dict.fromkeys(range(1, 2 ** len(there)), given), write)


def _hybrid(fusion: HybridFusion, write: Writer) -> None:
    blocks, there = _blocks(fusion, write)
    row = write.variable(len(fusion.networks_[0].module_.mean))
    write("Concat", *blocks, *there, to=row.full_name, axis=1)
    members = [write.inner(network, row) for network in fusion.networks_]
    logs = write("Log", write("Max", write("Mean", *members), write.constant([TINY])))
    cooled = write("Mul", logs, write.constant([1 / fusion.temperature_]))
    given = write("Softmax", cooled, axis=1)
    _chosen(fusion, there, dict.fromkeys(range(1, 2 ** len(there)), given), write)


def _nystroem(kernel: Nystroem, write: Writer) -> None:
    """Write Nyström features of a Gaussian kernel: kernel values by the normalisation."""
    if kernel.kernel != "rbf":
        raise BundleError(f"Nyström features of kernel {kernel.kernel!r}; only rbf is exported")
    known, axis = kernel.components_, write.constant(np.array([1]))
    product = write("MatMul", write.source, write.constant(-2 * known.T))
    squares = write("ReduceSumSquare", write.source, axis, keepdims=1)
    squares = write("Add", squares, write.constant((known**2).sum(axis=1)[None]))
    distance = write("Mul", write("Add", product, squares), write.constant([-kernel.gamma]))
    write(
        "MatMul", write("Exp", distance), write.constant(kernel.normalization_.T), to=write.target
    )


register_classifier(LateFusion, _late)
register_classifier(EarlyFusion, _early)
register_classifier(HybridFusion, _hybrid)
register_transformer(Nystroem, _nystroem, lambda kernel, columns: len(kernel.components_))
