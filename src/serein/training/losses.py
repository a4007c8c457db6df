"""Losses that a network is trained to minimise."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from serein.training.plan import Training


def class_losses(logits: Tensor, y: Tensor, training: Training) -> Tensor:
    """Return the loss of each sample.

    Focal loss: T.-Y. Lin et al., ICCV 2017, eq. 4; with smoothed targets, the mean of its values
    over the classes, weighted by their targets.
    """
    if training.loss == "cross_entropy":
        return functional.cross_entropy(
            logits, y, reduction="none", label_smoothing=training.label_smoothing
        )
    classes = logits.shape[1]
    log_p = functional.log_softmax(logits, dim=1)
    target = functional.one_hot(y, classes).to(logits.dtype)
    target = target * (1 - training.label_smoothing) + training.label_smoothing / classes
    # 1 - p, kept off 0: there the slope of a power below 1 is infinite.
    missing = (-torch.expm1(log_p)).clamp_min(torch.finfo(logits.dtype).tiny)
    return -(target * missing**training.focal_gamma * log_p).sum(dim=1)


def l1_norm(module: nn.Module) -> Tensor:
    """Return the sum of absolute weights of matrices and kernels, without biases and gains."""
    sums = [weight.abs().sum() for weight in module.parameters() if weight.dim() > 1]
    return torch.stack(sums).sum() if sums else torch.zeros(())
