"""Initialisation of a network's weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import init

from serein.errors import check_name
from serein.training.plan import INITIALISATIONS

_DRAW: dict[str, Callable[[Tensor], Any]] = {
    "normal": lambda weight: init.normal_(weight, std=0.01),
    "xavier": init.xavier_uniform_,
    "he": lambda weight: init.kaiming_normal_(weight, nonlinearity="relu"),
    "orthogonal": init.orthogonal_,
}
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def initialise(module: nn.Module, name: str) -> None:
    """Draw a network's weights anew, from torch's global generator; biases become 0.

    Matrices and kernels are drawn; gates of a recurrent layer and the query, key and value of an
    attention layer, which torch stacks into one matrix, each on its own. Normalising layers and
    other vectors stay as they are.

    X. Glorot, Y. Bengio, AISTATS 2010, eq. 16; K. He et al., ICCV 2015, eq. 10; A. Saxe et al.,
    ICLR 2014.
    """
    check_name("initialisation", name, INITIALISATIONS)
    if name == "default":
        return
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, _NORMS):
                continue
            for key, parameter in layer.named_parameters(recurse=False):
                if "bias" in key:
                    parameter.zero_()
                elif "weight" in key and parameter.dim() > 1:
                    for part in _parts(layer, key, parameter):
                        _DRAW[name](part)


def _parts(layer: nn.Module, key: str, weight: Tensor) -> Iterator[Tensor]:
    """Cut a stack of matrices apart; views, so that writing to them writes to the weight."""
    count = 1
    if isinstance(layer, nn.RNNBase):
        count = max(1, weight.shape[0] // layer.hidden_size)
    elif isinstance(layer, nn.MultiheadAttention) and key == "in_proj_weight":
        count = 3
    yield from weight.chunk(count)
