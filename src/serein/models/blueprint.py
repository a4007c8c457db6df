"""What architectures share: checked settings, and the stack of layers that they build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from numbers import Integral
from typing import cast

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from serein.errors import SettingError, check_name
from serein.models.layers import ACTIVATIONS, GRAPHS, mask_padding
from serein.models.time_pooling import POOLINGS, Mean

BOUNDS: dict[str, tuple[float, float]] = {
    "channels": (1, 4096),
    "kernel": (1, 63),
    "dense": (1, 65536),
    "dropout": (0.0, 0.95),
    "hidden": (1, 4096),
    "layers": (1, 32),
    "heads": (1, 64),
    "d_model": (2, 4096),
    "feed_forward": (1, 65536),
    "stride": (1, 32),
    "order": (1, 64),
}
"""Setting -> minimum and maximum; all but dropout are whole numbers."""
NAMED: dict[str, Mapping[str, object]] = {
    "activation": ACTIVATIONS,
    "graph": GRAPHS,
    "pooling": POOLINGS,
}


class Architecture(BaseEstimator):  # type: ignore[misc]
    """Settings of a network; its fields can be searched as a classifier's parameters."""

    def check(self) -> None:
        """Raise if a setting is not allowed."""
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in NAMED:
                check_name(name, value, NAMED[name])
                continue
            many = value if name == "channels" else [value]
            if not isinstance(many, list | tuple) or not many:
                raise SettingError(f"channels is {value!r}; need one per layer, such as (32, 64)")
            for one in many:
                _check_number(name, one)

    def build(self, inputs: int, classes: int) -> nn.Module:
        """Make the network with fresh weights."""
        raise NotImplementedError

    def network(
        self, stages: Sequence[nn.Module], poolings: Sequence[Mean], classes: int
    ) -> Network:
        """Put a network together, with the settings' dense layer, activation and dropout."""
        return Network(
            stages,
            poolings,
            classes,
            dense=getattr(self, "dense", None),
            activation=getattr(self, "activation", "relu"),
            dropout=self.dropout,
        )


def _check_number(name: str, value: object) -> None:
    low, high = BOUNDS[name]
    whole = name != "dropout"
    if not isinstance(value, Integral if whole else (int, float)) or not low <= value <= high:  # type: ignore[operator]
        kind = "a whole number" if whole else "a number"
        raise SettingError(f"{name} is {value!r}; allowed: {kind} from {low:g} to {high:g}")
    if name == "kernel" and value % 2 == 0:
        raise SettingError(f"kernel is {value}; need an odd number, so that it has a middle")


class Network(nn.Module):
    """Stages from series to series, pooling over time, and layers that give the logits."""

    def __init__(
        self,
        stages: Sequence[nn.Module],
        poolings: Sequence[Mean],
        classes: int,
        *,
        dense: int | None,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.poolings = nn.ModuleList(poolings)
        size = sum(pooling.outputs for pooling in poolings)
        layers: list[nn.Module] = []
        if dense is not None:
            layers = [nn.Linear(size, dense), ACTIVATIONS[activation]()]
            size = dense
        self.decision = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(size, classes))

    def forward(self, series: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, time, inputs) to logits (batch, classes)."""
        x = mask_padding(series.transpose(1, 2), lengths)
        for stage in self.stages:
            x, lengths = stage(x, lengths)
        vectors = [pooling(x, lengths) for pooling in self.poolings]
        return cast(Tensor, self.decision(torch.cat(vectors, dim=1)))
