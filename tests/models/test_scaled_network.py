"""Scaling inside a network: filling stays zero, masks stay small and belong to training."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from serein.models.scaled_network import ScaledNetwork, _stretch


@pytest.fixture(autouse=True)
def _same_draws():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_a_feature_that_never_varies_changes_nothing():
    module = ScaledNetwork.fitted(
        nn.Identity(), np.full((3, 2, 1), 1e6 + 0.1, dtype=np.float32), np.array([2, 2, 2])
    )
    assert module.scale.item() == 1.0


class Echo(nn.Module):
    """Gives back what it was given."""

    def forward(self, series: Tensor, lengths: Tensor | None) -> Tensor:
        return series


def test_filling_is_zero_after_scaling():
    module = ScaledNetwork(Echo(), np.array([5.0]), np.array([2.0]))
    scaled = module(torch.full((2, 3, 1), 9.0), torch.tensor([3, 1]))
    assert scaled[:, :, 0].tolist() == [[2, 2, 2], [2, 0, 0]]
    assert module(torch.full((2, 3, 1), 9.0)).unique().item() == 2.0


def test_masks_are_drawn_in_training_alone_and_stay_small():
    module = ScaledNetwork(Echo(), np.full(10, -1.0), np.ones(10), spec_augment=True)
    batch, lengths = torch.zeros(50, 40, 10), torch.full((50,), 40)
    masked = module.train()(batch, lengths) == 0
    frames, bands = masked.all(dim=2).sum(dim=1), masked.all(dim=1).sum(dim=1)
    assert (frames.max(), bands.max()) == (8, 2)
    assert (frames.min(), bands.min()) == (0, 0)
    assert len(frames.unique()) > 4
    assert not (module.eval()(batch, lengths) == 0).any()


def test_a_stretch_lies_within_its_series():
    sizes = torch.tensor([1, 4, 5, 20, 100] * 400)
    stretch = _stretch(sizes, 100)
    assert not (stretch & (torch.arange(100) >= sizes[:, None])).any()
    assert (stretch.sum(dim=1) <= sizes // 5).all()
    assert stretch[:, 99].any()
