"""Losses: torch's cross-entropy and the focal loss's formula as oracles."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from serein.training.losses import class_losses, l1_norm
from serein.training.plan import Training

LOGITS = torch.randn(40, 5, generator=torch.Generator().manual_seed(0)) * 3
Y = torch.arange(40) % 5


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_torchs(smoothing: float):
    ours = class_losses(LOGITS, Y, Training(label_smoothing=smoothing))
    theirs = functional.cross_entropy(LOGITS, Y, label_smoothing=smoothing)
    assert ours.shape == (40,)
    torch.testing.assert_close(ours.mean(), theirs)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_focal_without_gamma_is_cross_entropy(smoothing: float):
    focal = Training(loss="focal", focal_gamma=0.0, label_smoothing=smoothing)
    torch.testing.assert_close(
        class_losses(LOGITS, Y, focal),
        class_losses(LOGITS, Y, Training(label_smoothing=smoothing)),
    )


def test_focal_follows_its_formula():
    p = LOGITS.softmax(dim=1)[torch.arange(40), Y]
    expected = -((1 - p) ** 2) * p.log()
    ours = class_losses(LOGITS, Y, Training(loss="focal", focal_gamma=2.0))
    torch.testing.assert_close(ours, expected)


def test_focal_has_a_slope_where_the_answer_is_certain():
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    class_losses(
        logits, torch.tensor([0]), Training(loss="focal", focal_gamma=0.5)
    ).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_l1_counts_matrices_alone():
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2.0], [0.5, 0.0]]))
        layer.bias.fill_(100.0)
    assert l1_norm(nn.Sequential(layer, nn.LayerNorm(2))).item() == 3.5
    assert l1_norm(nn.LayerNorm(2)).item() == 0.0
