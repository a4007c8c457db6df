"""Layers for padded batches of series of different length: padding never counts.

Inside a network a batch has shape (batch, channels, time) or (batch, channels, time, frequency), so
that time is always axis 2. A layer takes the batch and the series' lengths, shape (batch,), or None
where all frames count; that way has no control flow that depends on data and can be exported. A
layer that leaves series gives batch and lengths, with zeros behind each series' end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
"""Name -> elementwise function after a layer."""


def valid_frames(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the mask of frames that belong to a series, true inside."""
    inside = torch.arange(x.shape[2], device=x.device) < lengths[:, None].to(x.device)
    return inside.view(len(x), 1, x.shape[2], *[1] * (x.dim() - 3))


def mask_padding(x: Tensor, lengths: Tensor | None, value: float = 0.0) -> Tensor:
    """Overwrite the padding behind each series' end with a value."""
    return x if lengths is None else x.masked_fill(~valid_frames(x, lengths), value)


def strided_lengths(lengths: Tensor | None, step: int) -> Tensor | None:
    """Return the lengths after a stride; an incomplete last step counts."""
    return None if lengths is None else (lengths + step - 1) // step


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics count the frames inside the series alone.

    A batch of a single value has no variance: it is normalised as in prediction.
    """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Normalise each channel; padding is left undefined."""
        if not self.training:
            return super().forward(x.flatten(2)).view(x.shape)
        x = x.float()
        across = (0, *range(2, x.dim()))
        shape = (1, -1, *[1] * (x.dim() - 2))
        inside = mask_padding(torch.ones_like(x[:, :1]), lengths)
        count = inside.sum()
        mean, spread = self._running()
        if count > 1:
            mean = (x * inside).sum(across) / count
            spread = ((x - mean.view(shape)) * inside).square().sum(across) / count
            self._update(mean.detach(), spread.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(spread + self.eps)
        shift = self.bias - mean * scale
        return x * scale.view(shape) + shift.view(shape)

    def _running(self) -> tuple[Tensor, Tensor]:
        return cast(Tensor, self.running_mean), cast(Tensor, self.running_var)

    def _update(self, mean: Tensor, variance: Tensor) -> None:
        rate = cast(float, self.momentum)
        for known, new in zip(self._running(), (mean, variance), strict=True):
            known.lerp_(new, rate)
        cast(Tensor, self.num_batches_tracked).add_(1)


class Convolution(nn.Module):
    """Convolution, batch normalisation, max-pooling and activation."""

    def __init__(
        self,
        convolution: nn.Module,
        channels: int,
        activation: str,
        *,
        pool: int = 1,
        stride: int = 1,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = MaskedBatchNorm(channels) if norm else None
        self.activation = ACTIVATIONS[activation]()
        self.pool, self.stride = pool, stride

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Apply."""
        x = self.convolution(x)
        lengths = strided_lengths(lengths, self.stride)
        if self.norm is not None:
            x = self.norm(x, lengths)
        if self.pool > 1:
            # the maximum must not come from the padding, into which convolutions reach; adding
            # takes one pass where filling takes four
            if lengths is not None:
                x = x + torch.where(valid_frames(x, lengths), 0.0, -torch.inf).to(x.dtype)
            if x.dim() == 4:
                x = functional.max_pool2d(x, self.pool, ceil_mode=True)
            else:  # torch's exporter would fix time in max_pool1d
                x = functional.max_pool2d(x.unsqueeze(2), (1, self.pool), ceil_mode=True).squeeze(2)
            lengths = strided_lengths(lengths, self.pool)
            x = mask_padding(x, lengths)  # infinity has no slope under the activation
        return mask_padding(self.activation(x), lengths), lengths


class Image(nn.Module):
    """Make a series an image of one channel: time by frequency."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, features, time) to (batch, 1, time, features)."""
        return x.transpose(1, 2).unsqueeze(1), lengths


class Flatten(nn.Module):
    """Take the frequencies of all channels as features of a frame."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, channels, time, frequency) to (batch, channels * frequency, time)."""
        return x.transpose(2, 3).flatten(1, 2), lengths


class RNNLayer(nn.RNN):
    """A layer of plain recurrent cells, from (batch, time, inputs) to (batch, time, hidden)."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Apply."""
        if torch.onnx.is_in_onnx_export():
            return as_onnx(self, "RNN", (0,), x)
        return super().forward(x)[0]


class LSTMLayer(nn.LSTM):
    """A layer of long short-term memory, from (batch, time, inputs) to (batch, time, hidden)."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Apply."""
        if torch.onnx.is_in_onnx_export():
            # torch's gates are in, forget, cell, out; ONNX's in, out, forget, cell
            return as_onnx(self, "LSTM", (0, 3, 1, 2), x)
        return super().forward(x)[0]


def as_onnx(layer: nn.RNNBase, operator: str, gates: tuple[int, ...], x: Tensor) -> Tensor:
    """Write ONNX's own operator; torch's exporter would fix time to the example's frames."""
    ordered = [
        torch.cat([cast(Tensor, each).chunk(len(gates))[gate] for gate in gates])
        for each in layer.parameters()
    ]
    weights = [*ordered[:2], torch.cat(ordered[2:])]
    states = torch.onnx.ops.symbolic(
        operator,
        [x.transpose(0, 1), *(each.unsqueeze(0) for each in weights)],
        {"hidden_size": layer.hidden_size},
        dtype=x.dtype,
        shape=(x.shape[1], 1, x.shape[0], layer.hidden_size),
        version=14,
    )
    return states.squeeze(1).transpose(0, 1)


class Recurrent(nn.Module):
    """Layers of recurrent cells, in one direction or both.

    Padding cannot reach back into a series, and the backward direction starts at each series' own
    end. So nothing need be packed, and one formulation serves training and export.
    """

    def __init__(
        self,
        cell: Callable[..., nn.Module],
        inputs: int,
        hidden: int,
        layers: int,
        *,
        dropout: float = 0.0,
        both: bool = False,
    ) -> None:
        super().__init__()
        width = hidden * (1 + both)
        sizes = [inputs] + [width] * (layers - 1)
        self.ahead = nn.ModuleList(cell(size, hidden, batch_first=True) for size in sizes)
        self.back = nn.ModuleList(cell(size, hidden, batch_first=True) for size in sizes if both)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, inputs, time) to (batch, outputs, time)."""
        frames = x.transpose(1, 2)
        for index, ahead in enumerate(self.ahead):
            if index:
                frames = self.dropout(frames)
            states = ahead(frames)
            if self.back:
                reverse = self.back[index](flip_series(frames, lengths))
                states = torch.cat([states, flip_series(reverse, lengths)], dim=2)
            frames = states
        return mask_padding(frames.transpose(1, 2), lengths), lengths


def flip_series(frames: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse each series of frames (batch, time, channels) in time; padding stays behind it."""
    if lengths is None:
        return frames.flip(1)
    time = torch.arange(frames.shape[1], device=frames.device)
    mirrored = lengths[:, None].to(frames.device) - 1 - time
    index = torch.where(mirrored >= 0, mirrored, time)
    return frames.gather(1, index[:, :, None].expand_as(frames))


class SelfAttention(nn.Module):
    """Transformer encoder over frames with sinusoidal positions, for series of any length.

    A. Vaswani et al., "Attention is all you need", NeurIPS 2017, sections 3.2 and 3.5.
    """

    def __init__(
        self, channels: int, heads: int, layers: int, feed_forward: int, dropout: float
    ) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            channels, heads, feed_forward, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, layers, nn.LayerNorm(channels), enable_nested_tensor=False
        )

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, channels, time) to the same shape."""
        padding = None if lengths is None else ~valid_frames(x, lengths).squeeze(1)
        frames = x.transpose(1, 2)
        frames = frames + positions(frames.shape[1], frames.shape[2], frames.device)
        frames = self.encoder(frames, src_key_padding_mask=padding)
        return mask_padding(frames.transpose(1, 2), lengths), lengths


def positions(time: int, channels: int, device: torch.device | None = None) -> Tensor:
    """Return sinusoidal position encodings, shape (time, channels)."""
    octaves = torch.arange(0, channels, 2, device=device, dtype=torch.float32) / channels
    angle = torch.arange(time, device=device).float()[:, None] * 10_000.0**-octaves
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class GraphConvolutions(nn.Module):
    """Graph convolutions, one after the other, over the frames of each series.

    They share the basis of the graph's eigenvectors. Time and memory grow with the square of the
    frames.
    """

    def __init__(
        self, graph: str, inputs: int, channels: Sequence[int], hidden: int, order: int
    ) -> None:
        super().__init__()
        self.spectrum = GRAPHS[graph]
        sizes = zip([inputs, *channels], channels, strict=False)
        self.layers = nn.ModuleList(GraphConvolution(*size, hidden, order) for size in sizes)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, inputs, time) to (batch, last of the channels, time)."""
        vectors, frequency = self.spectrum(x, lengths)
        for layer in self.layers:
            x = layer(x, lengths, vectors, frequency)
        return x, lengths


class GraphConvolution(nn.Module):
    """Graph convolution in the basis of the graph's eigenvectors.

    The same dense layers act on the channels at every frequency, and a learnt filter weighs the
    frequencies of each channel; batch normalisation and ReLU follow.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, order: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
        self.filter = nn.Linear(order, outputs)
        nn.init.zeros_(self.filter.bias)
        self.norm = MaskedBatchNorm(outputs)

    def forward(
        self, x: Tensor, lengths: Tensor | None, vectors: Tensor, frequency: Tensor
    ) -> Tensor:
        """(batch, inputs, time) to (batch, outputs, time), by eigenvectors and frequencies."""
        gain = 1 + self.filter(self._chebyshev(frequency))  # so zero weights pass everything
        x = (vectors @ (self.dense(vectors.mT @ x.mT) * gain)).mT
        return mask_padding(functional.relu(self.norm(x, lengths)), lengths)

    def _chebyshev(self, frequency: Tensor) -> Tensor:
        """Chebyshev polynomials of 1 - eigenvalue / 2, which is the cosine of the frequency."""
        orders = torch.arange(1, self.filter.in_features + 1, device=frequency.device)
        return torch.cos(frequency * orders)


def line_spectrum(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Eigenvectors of a line of frames, one a column: the cosines of the DCT-II."""
    node, index, count = _nodes(x, lengths)
    angle = (2 * node + 1) * index % (4 * count) * (math.pi / (2 * count))  # small, hence exact
    scale = torch.where(index == 0, 1.0, math.sqrt(2.0)) / count.sqrt()
    vectors = (scale * angle.cos()).masked_fill((node >= count) | (index >= count), 0.0)
    return vectors, (math.pi * index / count).mT


def cycle_spectrum(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Eigenvectors of a line whose ends are joined: cosine plus sine, the Hartley transform."""
    node, index, count = _nodes(x, lengths)
    angle = node * index % count * (2 * math.pi / count)
    vectors = (angle.cos() + angle.sin()) / count.sqrt()
    vectors = vectors.masked_fill((node >= count) | (index >= count), 0.0)
    return vectors, (2 * math.pi * index / count).mT


GRAPHS: dict[str, Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]] = {
    "line": line_spectrum,
    "cycle": cycle_spectrum,
}
"""Name -> eigenvectors of its Laplacian, shape (batch, time, time), and frequencies."""


def _nodes(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return numbers of nodes and of eigenvectors, and how many each series has."""
    number = torch.arange(x.shape[2], device=x.device, dtype=torch.int32)  # half the memory
    count = number.new_full((1,), x.shape[2]) if lengths is None else lengths.to(number)
    return number[None, :, None], number[None, None, :], count[:, None, None]
