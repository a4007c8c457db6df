"""Networks for series: what is filled up never counts, and ONNX gives the same answer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.base import clone
from torch import nn

from serein.experiment.export.torch_graph import to_onnx
from serein.models.architectures import (
    ARCHITECTURES,
    CNN,
    BiLSTM,
    GraphNetwork,
    LightCNN,
    Transformer,
)
from serein.models.layers import ACTIVATIONS, GRAPHS, GraphConvolutions, MaskedBatchNorm
from serein.models.time_pooling import POOLINGS
from serein.training.initialise import initialise

NAMES = list(ARCHITECTURES)
LENGTHS = [23, 1, 2, 7, 16, 13]


@pytest.fixture(autouse=True)
def _one_thread_one_seed() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def trained(network: nn.Module, inputs: int) -> nn.Module:
    """Move batch norm's statistics and all weights away from where they start."""
    lengths = torch.tensor(LENGTHS)
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(3):
        series = 2 + torch.randn(len(LENGTHS), max(LENGTHS), inputs)
        loss = nn.functional.cross_entropy(network(series, lengths), lengths % 4)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all(parameter.isfinite().all() for parameter in network.parameters())
    return network.eval()


def assert_padding_does_not_count(network: nn.Module, inputs: int) -> None:
    series = 2 + torch.randn(len(LENGTHS), max(LENGTHS) + 3, inputs)
    for row, length in enumerate(LENGTHS):
        series[row, length:] = 1e3 * (row + 1)  # neither must what happens to stand there
    with torch.no_grad():
        together = network(series, torch.tensor(LENGTHS))
        alone = [network(series[[row], :length]) for row, length in enumerate(LENGTHS)]
    np.testing.assert_allclose(together, torch.cat(alone), rtol=1e-5, atol=1e-5)
    assert together.std(0).min() > 1e-3  # and the answers do differ


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_batch_gives_what_each_series_gives_alone(name: str) -> None:
    assert_padding_does_not_count(trained(ARCHITECTURES[name]().build(6, 4), 6), 6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["cnn", "light_cnn", "cnn_lstm_attention"])
def test_so_it_is_with_every_activation(name: str, activation: str) -> None:
    network = ARCHITECTURES[name](activation=activation).build(5, 4)
    assert_padding_does_not_count(trained(network, 5), 5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("name", ["bilstm", "rnn", "transformer", "mlp"])
def test_so_it_is_with_every_pooling(name: str, pooling: str) -> None:
    layers = {} if name == "mlp" else {"layers": 2}
    network = ARCHITECTURES[name](pooling=pooling, **layers).build(5, 4)
    assert_padding_does_not_count(trained(network, 5), 5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_so_it_is_with_every_graph(graph: str, pooling: str) -> None:
    network = GraphNetwork(graph=graph, pooling=pooling).build(5, 4)
    assert_padding_does_not_count(trained(network, 5), 5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_a_single_short_series_can_be_learnt_and_recognised(name: str, inputs: int) -> None:
    network = ARCHITECTURES[name]().build(inputs, 2)
    for time in (1, 2):
        for lengths in (None, torch.tensor([1])):
            logits = network.train()(torch.randn(1, time, inputs), lengths)
            logits.sum().backward()
            assert logits.shape == (1, 2)
            assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
            assert network.eval()(torch.randn(1, time, inputs), lengths).isfinite().all()


def test_onnx_gives_the_same_answer_for_any_batch_and_time() -> None:
    """Each export tries that on short series, and test_every_model exports all architectures."""
    network = trained(GraphNetwork(graph="cycle").build(6, 4), 6)
    graph = to_onnx(network, np.zeros((2, 9, 6), dtype=np.float32), ["logits"])
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for batch, time in ((1, 1), (1, 7), (3, 200)):
        series = 2 + torch.randn(batch, time, 6)
        (found,) = session.run(["logits"], {"input": series.numpy()})
        np.testing.assert_allclose(found, network(series).detach(), atol=1e-4)


def test_lengths_of_all_frames_are_no_lengths() -> None:
    network, series = CNN(dropout=0.0).build(6, 4), torch.randn(3, 9, 6)
    whole = network(series, torch.full((3,), 9))
    np.testing.assert_allclose(whole.detach(), network(series).detach(), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_sizes(name: str) -> None:
    network = ARCHITECTURES[name]().build(40, 8)
    count = sum(parameter.numel() for parameter in network.parameters())
    least = 5_000 if name == "mlp" else 30_000
    assert least < count < (200_000 if name == "light_cnn" else 400_000)


def test_bilstm_ends_where_its_two_directions_end() -> None:
    """Against torch's own bidirectional LSTM with packed series."""
    network = BiLSTM(hidden=5, pooling="last", dropout=0.0).build(3, 2)
    theirs = nn.LSTM(3, 5, batch_first=True, bidirectional=True)
    ours = network.stages[0]
    for own, suffix in ((ours.ahead[0], ""), (ours.back[0], "_reverse")):
        for key, value in own.state_dict().items():
            theirs.state_dict()[key + suffix].copy_(value)
    series, lengths = torch.randn(4, 9, 3), torch.tensor([3, 9, 1, 6])
    packed = nn.utils.rnn.pack_padded_sequence(
        series, lengths, batch_first=True, enforce_sorted=False
    )
    _, (state, _) = theirs(packed)
    expected = network.decision(torch.cat([state[0], state[1]], dim=1))
    np.testing.assert_allclose(network(series, lengths).detach(), expected.detach(), atol=1e-6)


def laplacian(graph: str, nodes: int) -> torch.Tensor:
    """Degrees minus adjacency; in a cycle of two, two edges join the nodes; one has a loop."""
    edges = torch.zeros(nodes, nodes)
    for node in range(nodes if graph == "cycle" else nodes - 1):
        edges[node, (node + 1) % nodes] += 1
        edges[(node + 1) % nodes, node] += 1
    return edges.sum(0).diag() - edges


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_basis_is_that_of_the_graphs_eigenvectors(graph: str) -> None:
    batch = GRAPHS[graph](torch.zeros(len(LENGTHS), 1, max(LENGTHS) + 2), torch.tensor(LENGTHS))
    for nodes, vectors, frequency in zip(LENGTHS, *batch, strict=True):
        assert not vectors[nodes:].any()
        assert not vectors[:, nodes:].any()
        basis, eigenvalues = vectors[:nodes, :nodes], 2 - 2 * frequency[:nodes, 0].cos()
        np.testing.assert_allclose(basis.T @ basis, torch.eye(nodes), atol=1e-5)
        np.testing.assert_allclose(
            laplacian(graph, nodes) @ basis, basis * eigenvalues, atol=1e-5, err_msg=str(nodes)
        )


@pytest.mark.parametrize("graph", GRAPHS)
def test_eigenvectors_of_a_long_graph_are_as_exact(graph: str) -> None:
    (basis,), _ = GRAPHS[graph](torch.zeros(1, 1, 3000), None)
    rows = basis[[0, 1, 1500, 2999]].double()
    np.testing.assert_allclose(rows @ rows.T, np.eye(4), atol=1e-5)


@pytest.mark.parametrize("graph", GRAPHS)
def test_graph_convolution_weighs_neighbours_as_its_polynomial_says(graph: str) -> None:
    """Against (I - L / 2) and its second Chebyshev polynomial, applied to the frames."""
    stage = GraphConvolutions(graph, 3, (3,), 8, order=2).eval()
    (layer,) = stage.layers
    layer.dense = nn.Identity()
    nn.init.normal_(layer.filter.bias)
    x, zeroth, weight = torch.randn(2, 3, 7), 1 + layer.filter.bias, layer.filter.weight
    step = torch.eye(7) - laplacian(graph, 7) / 2
    first, second = x @ step, x @ (2 * step @ step - torch.eye(7))
    filtered = zeroth[:, None] * x + weight[:, [0]] * first + weight[:, [1]] * second
    expected = filtered.relu() / np.sqrt(1 + layer.norm.eps)
    np.testing.assert_allclose(stage(x, None)[0].detach(), expected.detach(), atol=1e-5)


def test_drawing_weights_anew_leaves_the_graph_filter_near_the_identity() -> None:
    stage = GraphConvolutions("line", 3, (3,), 8, order=2).eval()
    initialise(stage, "normal")
    (layer,) = stage.layers
    layer.dense = nn.Identity()
    x = torch.randn(2, 3, 7)
    np.testing.assert_allclose(stage(x, None)[0].detach(), x.relu(), atol=0.2)


@pytest.mark.parametrize("frequencies", [None, 3])
def test_frame_norm_is_batch_norm_over_the_frames_that_count(frequencies: int | None) -> None:
    ours, theirs = MaskedBatchNorm(4), nn.BatchNorm1d(4)
    lengths = torch.tensor([5, 2, 1])
    x = 3 + torch.randn(3, 4, 5, *[frequencies] if frequencies else [])
    inside = torch.arange(5) < lengths[:, None]

    def frames(values: torch.Tensor) -> torch.Tensor:
        return values.transpose(1, 2)[inside].reshape(8, 4, -1)

    np.testing.assert_allclose(
        frames(ours(x, lengths)).detach(), theirs(frames(x)).detach(), atol=1e-5
    )
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], value, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "told", "message"),
    [
        ("cnn", {"activation": "rellu"}, "unknown activation 'rellu'; known: relu, gelu"),
        ("rnn", {"pooling": "avg"}, "unknown pooling 'avg'; known: "),
        ("cnn", {"kernel": 4}, "kernel is 4; need an odd number"),
        ("cnn", {"kernel": 3.0}, "kernel is 3.0; allowed: a whole number from 1 to 63"),
        ("cnn", {"channels": 32}, "channels is 32; need one per layer"),
        ("light_cnn", {"channels": ()}, "need one per layer"),
        ("textbook_cnn", {"channels": (32, 0)}, "channels is 0; allowed"),
        ("lstm", {"hidden": 0}, "hidden is 0; allowed: a whole number from 1 to 4096"),
        ("bilstm", {"dropout": 1.0}, "dropout is 1.0; allowed: a number from 0 to 0.95"),
        ("bilstm", {"dropout": float("nan")}, "dropout is nan; allowed"),
        ("transformer", {"d_model": 90}, "d_model is 90 with 4 heads; need an even multiple"),
        ("transformer", {"d_model": 15, "heads": 5}, "d_model is 15 with 5 heads"),
        ("transformer", {"stride": 0}, "stride is 0; allowed"),
        ("graph", {"graph": "lime"}, "unknown graph 'lime'; known: line, cycle"),
        ("graph", {"order": 0}, "order is 0; allowed: a whole number from 1 to 64"),
    ],
)
def test_settings_that_are_refused(name: str, told: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ARCHITECTURES[name](**told).build(6, 4)


def test_settings_are_parameters_that_can_be_searched() -> None:
    settings = clone(LightCNN(channels=[8, 8])).set_params(kernel=3)
    assert settings.get_params()["channels"] == [8, 8]
    assert settings.build(6, 4).stages[0].convolution.kernel_size == (3,)
    assert "stride=2" in repr(Transformer(stride=2))
