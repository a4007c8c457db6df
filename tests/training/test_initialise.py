"""Weights drawn anew: what each method promises of the matrices it leaves."""

import pytest
import torch
from torch import Tensor, nn

from serein.training.initialise import initialise


def drawn(module: nn.Module, name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        initialise(module, name)
    return module


def matrix(name: str) -> Tensor:
    return drawn(nn.Linear(400, 100), name).weight.detach()


def test_normal_has_its_deviation():
    weight = matrix("normal")
    assert weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert weight.abs().max() > 0.03


def test_xavier_is_uniform_within_its_bound():
    bound = (6 / 500) ** 0.5
    largest = matrix("xavier").abs().max().item()
    assert 0.99 * bound < largest <= bound


def test_he_keeps_the_size_of_what_goes_in():
    assert matrix("he").std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.05)


def test_orthogonal_rows_are_orthonormal():
    weight = matrix("orthogonal")
    torch.testing.assert_close(weight @ weight.T, torch.eye(100), atol=1e-5, rtol=0)


def test_kernels_are_drawn_as_matrices():
    kernel = drawn(nn.Conv2d(8, 4, 3), "orthogonal").weight.detach().reshape(4, -1)
    torch.testing.assert_close(kernel @ kernel.T, torch.eye(4), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "gates"), [(nn.RNN, 1), (nn.LSTM, 4), (nn.GRU, 3)])
def test_each_gate_is_orthogonal_and_biases_are_0(cell: type[nn.RNNBase], gates: int):
    layer = drawn(cell(6, 6, bidirectional=True), "orthogonal")
    for name in ("weight_hh_l0", "weight_ih_l0", "weight_hh_l0_reverse"):
        parts = getattr(layer, name).detach().chunk(gates)
        assert len(parts) == gates
        for part in parts:
            torch.testing.assert_close(part @ part.T, torch.eye(6), atol=1e-5, rtol=0)
    assert not layer.bias_hh_l0.any()
    assert not layer.bias_ih_l0_reverse.any()


def test_query_key_and_value_are_drawn_apart():
    layer = drawn(nn.MultiheadAttention(8, 2), "orthogonal")
    for part in layer.in_proj_weight.detach().chunk(3):
        torch.testing.assert_close(part @ part.T, torch.eye(8), atol=1e-5, rtol=0)
    assert not layer.in_proj_bias.any()


def norms() -> nn.Module:
    layers = nn.ModuleList([nn.BatchNorm1d(4), nn.LayerNorm((2, 4)), nn.GroupNorm(2, 4)])
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.fill_(0.7)
    return layers


def test_norm_layers_are_left_alone():
    for parameter in drawn(norms(), "he").parameters():
        assert (parameter == 0.7).all()


def test_default_changes_nothing_and_draws_nothing():
    layer = nn.Linear(3, 3)
    before = layer.weight.detach().clone(), layer.bias.detach().clone()
    state = torch.get_rng_state()
    initialise(layer, "default")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(layer.weight, before[0])
    assert torch.equal(layer.bias, before[1])


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"unknown initialisation 'glorot'; known: .*xavier"):
        initialise(nn.Linear(1, 1), "glorot")
