"""How fused modalities become ONNX nodes: a row of columns in, NaN where one is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
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
from serein.models.fusion.early import Blocks
from serein.models.fusion.rules import LOG_FLOOR, Product, Rule, Stacked, WeightedMean


def _modalities(fusion: FusionClassifier, write: Writer) -> Iterator[tuple[str, Any, str]]:
    """Give each modality's columns, 0 where it is missing, and whether it is there: 1 or 0."""
    first = 0
    for name, width in fusion.widths_.items():
        columns = write.columns(np.arange(first, first + width))
        gaps = write("IsNaN", columns.full_name)
        missing = write("Gather", gaps, write.constant(np.array([0])), axis=1)
        there = write("Where", missing, write.constant([0.0]), write.constant([1.0]))
        filled = write.variable(width)
        write("Where", gaps, write.constant([0.0]), columns.full_name, to=filled.full_name)
        yield name, filled, there
        first += width


def _absent(flag: str, write: Writer) -> str:
    return write("Sub", write.constant([1.0]), flag)


def _all_of(flags: Sequence[str], write: Writer) -> str:
    """Multiply flags."""
    result = flags[0]
    for flag in flags[1:]:
        result = write("Mul", result, flag)
    return result


def _prior(fusion: FusionClassifier, flags: Sequence[str], write: Writer) -> str:
    """Give the prior where no modality is there, else 0."""
    none = _all_of([_absent(flag, write) for flag in flags], write)
    return write("Mul", none, write.constant(fusion.prior_[None]))


def _placed(name: str, estimator: Any, fusion: FusionClassifier, write: Writer) -> str:
    """Put the probabilities of an estimator that may lack classes in the order of all."""
    places = np.searchsorted(fusion.classes_, estimator.classes_)
    if len(places) == len(fusion.classes_):
        return name
    return write("MatMul", name, write.constant(np.eye(len(fusion.classes_))[places]))


def _late(fusion: LateFusion, write: Writer) -> None:
    flags, each = [], []
    for name, columns, there in _modalities(fusion, write):
        estimator = fusion.estimators_[name]
        given = _placed(write.inner(estimator, columns), estimator, fusion, write)
        flags.append(there)
        each.append(write("Max", given, write.constant([TINY])))
    parts = [_prior(fusion, flags, write)]
    for pattern in product((True, False), repeat=len(flags)):
        subset = [number for number, there in enumerate(pattern) if there]
        if not subset:
            continue
        signs = [
            flag if there else _absent(flag, write)
            for flag, there in zip(flags, pattern, strict=True)
        ]
        fused = each[subset[0]]
        if len(subset) > 1:
            rule = fusion.rules_[tuple(fusion.modalities_[number] for number in subset)]
            fused = _rule(rule, [each[number] for number in subset], write)
        parts.append(write("Mul", _all_of(signs, write), fused))
    write("Sum", *parts, to=write.target)


def _rule(rule: Rule, each: list[str], write: Writer) -> str:
    """Write the fused probabilities of all modalities of a set."""
    if isinstance(rule, WeightedMean):
        parts = [
            write("Mul", part, write.constant([weight]))
            for part, weight in zip(each, rule.weights, strict=True)
        ]
        total = write("Log", write("Sum", *parts))
        return write("Softmax", write("Mul", total, write.constant([rule.power])), axis=1)
    logs = [write("Log", part) for part in each]
    if isinstance(rule, Product):
        rest = (1 - rule.exponents.sum()) * rule.log_prior
        parts = [
            write("Mul", log, write.constant([exponent]))
            for log, exponent in zip(logs, rule.exponents, strict=True)
        ]
        return write("Softmax", write("Sum", *parts, write.constant(rest[None])), axis=1)
    if isinstance(rule, Stacked):
        inputs = write.variable(rule.regression.n_features_in_)
        floor = write.constant([LOG_FLOOR])
        raised = [write("Max", log, floor) for log in logs]
        write("Concat", *raised, to=inputs.full_name, axis=1)
        return write.inner(rule.regression, inputs)
    raise BundleError(f"the rule {type(rule).__name__} cannot be exported")


def _blocks(
    fusion: EarlyFusion | HybridFusion, write: Writer, *, weighted: bool
) -> tuple[list[str], list[str]]:
    """Write the scaled blocks of all modalities, and whether each is there."""
    scaling: Blocks = fusion.blocks_
    flags, blocks = [], []
    for name, columns, there in _modalities(fusion, write):
        reduced = columns
        for step in scaling.steps_[name]:
            reduced = write.transformed(step, reduced)
        apart = write("Sub", reduced.full_name, write.constant(scaling.mean_[name][None]))
        gain = write.constant([scaling.gain(name, weighted=weighted)])
        blocks.append(write("Mul", write("Mul", apart, gain), there))
        flags.append(there)
    return blocks, flags


def _or_prior(fusion: FusionClassifier, fused: str, flags: list[str], write: Writer) -> None:
    some = _absent(_all_of([_absent(flag, write) for flag in flags], write), write)
    write("Add", write("Mul", some, fused), _prior(fusion, flags, write), to=write.target)


def _early(fusion: EarlyFusion, write: Writer) -> None:
    blocks, flags = _blocks(fusion, write, weighted=True)
    row = write.variable(sum(len(mean) for mean in fusion.blocks_.mean_.values()))
    write("Concat", *blocks, to=row.full_name, axis=1)
    given = write.inner(fusion.estimator_, row)
    _or_prior(fusion, _placed(given, fusion.estimator_, fusion, write), flags, write)


def _hybrid(fusion: HybridFusion, write: Writer) -> None:
    blocks, flags = _blocks(fusion, write, weighted=False)
    row = write.variable(len(fusion.networks_[0].module_.mean))
    write("Concat", *blocks, *flags, to=row.full_name, axis=1)
    members = [write.inner(network, row) for network in fusion.networks_]
    logs = write("Log", write("Max", write("Mean", *members), write.constant([TINY])))
    cooled = write("Mul", logs, write.constant([1 / fusion.temperature_]))
    _or_prior(fusion, write("Softmax", cooled, axis=1), flags, write)


def _nystroem(kernel: Nystroem, write: Writer) -> None:
    """Write Nyström features of a Gaussian kernel: kernel values by the normalisation."""
    if kernel.kernel != "rbf":
        raise BundleError(f"Nyström features of kernel {kernel.kernel!r}; only rbf is exported")
    known, axis = kernel.components_, write.constant(np.array([1]))
    product = write("MatMul", write.source, write.constant(-2 * known.T))
    squares = write("ReduceSumSquare", write.source, axis, keepdims=1)
    distance = write("Add", product, write("Add", squares, write.constant((known**2).sum(1)[None])))
    values = write("Exp", write("Mul", distance, write.constant([-kernel.gamma])))
    write("MatMul", values, write.constant(kernel.normalization_.T), to=write.target)


register_classifier(LateFusion, _late)
register_classifier(EarlyFusion, _early)
register_classifier(HybridFusion, _hybrid)
register_transformer(Nystroem, _nystroem, lambda kernel, columns: len(kernel.components_))
