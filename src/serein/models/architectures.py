"""Network architectures for series of frames, each a small table of settings.

A network's `forward(series, lengths=None)` takes series of shape (batch, time, inputs), float32,
and their lengths, shape (batch,), int64, or None where all frames count; it gives logits of shape
(batch, classes). A padded batch gives what each series gives alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from serein.errors import SettingError
from serein.models.blueprint import Architecture, Network
from serein.models.layers import (
    Convolution,
    Flatten,
    GraphConvolutions,
    Image,
    LSTMLayer,
    Recurrent,
    RNNLayer,
    SelfAttention,
)
from serein.models.time_pooling import POOLINGS, LastBothWays


@dataclass(eq=False, repr=False)
class TextbookCNN(Architecture):
    """The textbook's network: convolutions over a log-spectrogram, 3×3, ReLU, 2×2 max-pooling.

    Where the textbook flattens clips of one length, time is pooled by mean and maximum.

    `channels`: number of channels of each convolution; `dense`: size of the layer before the
    logits; `dropout`: rate before the logits.
    """

    channels: tuple[int, ...] = (32, 64)
    dense: int = 128
    dropout: float = 0.0

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        self.check()
        stages, left = _convolutions_2d(self.channels, 3, "relu", inputs, norm=False)
        poolings = [POOLINGS[name](left) for name in ("mean", "max")]
        return self.network(stages, poolings, classes)


@dataclass(eq=False, repr=False)
class CNN(Architecture):
    """Convolutions over log-mel or MFCC as images, each with batch norm and 2×2 max-pooling.

    `channels`: number of channels of each convolution; `kernel`: frames and bands a convolution
    sees, odd; `dense`: size of the layer before the logits; `dropout`: rate before the logits;
    `activation`: one of `ACTIVATIONS`; `pooling`: one of `POOLINGS`.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    kernel: int = 3
    dense: int = 128
    dropout: float = 0.3
    activation: str = "relu"
    pooling: str = "statistics"

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        self.check()
        stages, left = _convolutions_2d(
            self.channels, self.kernel, self.activation, inputs, norm=True
        )
        return self.network(stages, [POOLINGS[self.pooling](left)], classes)


@dataclass(eq=False, repr=False)
class LightCNN(Architecture):
    """Depthwise-separable convolutions along time, for small devices.

    `channels`: number of channels of each convolution, the first of which is a plain one; `kernel`:
    frames a convolution sees, odd; `dropout`: rate before the logits; `activation`: one of
    `ACTIVATIONS`.
    Source: A. Howard et al., "MobileNets", arXiv:1704.04861, section 3.1.
    """

    channels: tuple[int, ...] = (64, 96, 128, 128)
    kernel: int = 5
    dropout: float = 0.2
    activation: str = "relu"

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        self.check()
        first, *others = self.channels
        plain = _along_time(inputs, first, self.kernel)
        stages = [Convolution(plain, first, self.activation, pool=2)]
        before = first
        for after in others:
            depthwise = _along_time(before, before, self.kernel, groups=before)
            separable = nn.Sequential(depthwise, nn.Conv1d(before, after, 1))
            stages.append(Convolution(separable, after, self.activation))
            before = after
        return self.network(stages, [POOLINGS["statistics"](before)], classes)


@dataclass(eq=False, repr=False)
class RNN(Architecture):
    """Layers of plain recurrent cells.

    `hidden`: size of the state, in each direction; `layers`: number of layers; `dropout`: rate
    between layers and before the logits; `pooling`: one of `POOLINGS`; ``last`` is the state after
    the last frame.
    """

    hidden: int = 128
    layers: int = 2
    dropout: float = 0.2
    pooling: str = "mean"

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        return self._recurrent(RNNLayer, inputs, classes)

    def _recurrent(
        self, cell: Callable[..., nn.Module], inputs: int, classes: int, *, both: bool = False
    ) -> Network:
        self.check()
        stage = Recurrent(cell, inputs, self.hidden, self.layers, dropout=self.dropout, both=both)
        pooling = LastBothWays if both and self.pooling == "last" else POOLINGS[self.pooling]
        return self.network([stage], [pooling(self.hidden * (1 + both))], classes)


@dataclass(eq=False, repr=False)
class LSTM(RNN):
    """Layers of long short-term memory, with the settings of `RNN`."""

    hidden: int = 96
    layers: int = 1

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        return self._recurrent(LSTMLayer, inputs, classes)


@dataclass(eq=False, repr=False)
class BiLSTM(RNN):
    """Layers of long short-term memory in both directions, with the settings of `RNN`."""

    hidden: int = 64
    layers: int = 1

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        return self._recurrent(LSTMLayer, inputs, classes, both=True)


@dataclass(eq=False, repr=False)
class Transformer(Architecture):
    """A strided convolution, then a Transformer encoder and the mean over time.

    `heads, layers, d_model, feed_forward`: sizes of the encoder; d_model is even and a multiple of
    heads; `dropout`: rate inside the encoder and before the logits; `stride`: frames from one
    output of the convolution to the next; `pooling`: one of `POOLINGS`.
    """

    heads: int = 4
    layers: int = 2
    d_model: int = 96
    feed_forward: int = 192
    dropout: float = 0.1
    stride: int = 4
    pooling: str = "mean"

    def check(self) -> None:  # noqa: D102
        super().check()
        if self.d_model % self.heads or self.d_model % 2:
            raise SettingError(
                f"d_model is {self.d_model} with {self.heads} heads; need an even multiple of heads"
            )

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        self.check()
        kernel = 2 * self.stride + 1
        front = _along_time(inputs, self.d_model, kernel, stride=self.stride)
        stages = [
            Convolution(front, self.d_model, "gelu", stride=self.stride),
            SelfAttention(self.d_model, self.heads, self.layers, self.feed_forward, self.dropout),
        ]
        pooling = POOLINGS[self.pooling](self.d_model)
        return self.network(stages, [pooling], classes)


@dataclass(eq=False, repr=False)
class CNNLSTMAttention(Architecture):
    """Convolutions along time with 2-fold pooling, a BiLSTM, and attention over time.

    `channels`: number of channels of each convolution; `kernel`: frames a convolution sees, odd;
    `hidden`: size of the state, in each direction; `dropout`: rate before the logits; `activation`:
    one of `ACTIVATIONS`.
    """

    channels: tuple[int, ...] = (64, 64)
    kernel: int = 5
    hidden: int = 64
    dropout: float = 0.3
    activation: str = "relu"

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        self.check()
        stages: list[nn.Module] = []
        for channels in self.channels:
            layer = _along_time(inputs, channels, self.kernel)
            stages.append(Convolution(layer, channels, self.activation, pool=2))
            inputs = channels
        stages.append(Recurrent(LSTMLayer, inputs, self.hidden, 1, both=True))
        pooling = POOLINGS["attention"](2 * self.hidden)
        return self.network(stages, [pooling], classes)


@dataclass(eq=False, repr=False)
class AttentiveStatisticsTDNN(Architecture):
    """Dilated convolutions along time and attentive statistics pooling, as in speaker verification.

    `channels`: number of channels of each convolution; the first sees 5 frames, the second 3 that
    lie 2 apart, the third 3 that lie 3 apart, and so on, the last a single one; `dense`: size of
    the layer before the logits; `dropout`: rate before the logits; `activation`: one of
    `ACTIVATIONS`.
    Source: K. Okabe, T. Koshinaka, K. Shinoda, "Attentive statistics pooling for deep speaker
    embedding", Interspeech 2018.
    """

    channels: tuple[int, ...] = (96, 96, 96, 192)
    dense: int = 128
    dropout: float = 0.3
    activation: str = "relu"

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        self.check()
        stages: list[nn.Module] = []
        for index, channels in enumerate(self.channels):
            last = index == len(self.channels) - 1 and index > 0
            kernel = 5 if index == 0 else 1 if last else 3
            layer = _along_time(inputs, channels, kernel, dilation=1 if last else index + 1)
            stages.append(Convolution(layer, channels, self.activation))
            inputs = channels
        return self.network(stages, [POOLINGS["attentive_statistics"](inputs)], classes)


@dataclass(eq=False, repr=False)
class GraphNetwork(Architecture):
    """Graph convolutions over an utterance as a graph of frames, each joined to its neighbours.

    The graph's eigenvectors are known (cosines), so the convolution is exact for any number of
    frames: graph Fourier transform, dense layers shared by all frequencies, a learnt filter, and
    back. The paper has fixed graphs of 120 frames and neither filter nor batch normalisation. Time
    and memory grow with the square of the frames. Filter, normalisation and these defaults were
    chosen on nine of EmoDB's ten speakers, in inner folds: scores on EmoDB are optimistic.

    `graph`: ``line``, or ``cycle``, where the last frame is joined to the first; `channels`: number
    of channels of each graph convolution; `hidden`: size of the dense layer inside each; `order`:
    degree of the filter, a polynomial of the graph's eigenvalues for each channel; `dense`: size of
    the layer before the logits; `dropout`: rate before the logits; `pooling`: one of `POOLINGS`;
    the paper's is ``sum``.
    Source: A. Shirian, T. Guha, "Compact graph architecture for speech emotion recognition", ICASSP
    2021, section 2. Polynomial filters: M. Defferrard et al., "Convolutional neural networks on
    graphs with fast localized spectral filtering", NIPS 2016, eq. 4.
    """

    graph: str = "line"
    channels: tuple[int, ...] = (64, 64)
    hidden: int = 128
    order: int = 4
    dense: int = 128
    dropout: float = 0.3
    pooling: str = "statistics"

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        self.check()
        stage = GraphConvolutions(self.graph, inputs, self.channels, self.hidden, self.order)
        return self.network([stage], [POOLINGS[self.pooling](self.channels[-1])], classes)


@dataclass(eq=False, repr=False)
class MLP(Architecture):
    """A multi-layer perceptron with one hidden layer, for vectors; series are pooled first.

    `dense`: size of the hidden layer; `dropout`: rate before the logits; `activation`: one of
    `ACTIVATIONS`; `pooling`: one of `POOLINGS`; ``attentive_statistics`` suits an encoder's frames.
    """

    dense: int = 128
    dropout: float = 0.3
    activation: str = "relu"
    pooling: str = "mean"

    def build(self, inputs: int, classes: int) -> nn.Module:  # noqa: D102
        self.check()
        return self.network([], [POOLINGS[self.pooling](inputs)], classes)


ARCHITECTURES: dict[str, type[Architecture]] = {
    "textbook_cnn": TextbookCNN,
    "cnn": CNN,
    "light_cnn": LightCNN,
    "rnn": RNN,
    "lstm": LSTM,
    "bilstm": BiLSTM,
    "transformer": Transformer,
    "cnn_lstm_attention": CNNLSTMAttention,
    "attentive_statistics": AttentiveStatisticsTDNN,
    "graph": GraphNetwork,
    "mlp": MLP,
}
"""Name -> settings."""


def _convolutions_2d(
    channels: Sequence[int], kernel: int, activation: str, inputs: int, *, norm: bool
) -> tuple[list[nn.Module], int]:
    """Make convolutions with 2×2 pooling over time and frequency; count the features left."""
    stages: list[nn.Module] = [Image()]
    before = 1
    for after in channels:
        layer = nn.Conv2d(before, after, kernel, padding=kernel // 2)
        stages.append(Convolution(layer, after, activation, pool=2, norm=norm))
        before, inputs = after, (inputs + 1) // 2
    return [*stages, Flatten()], before * inputs


def _along_time(inputs: int, outputs: int, kernel: int, **options: int) -> nn.Conv1d:
    padding = options.get("dilation", 1) * (kernel // 2)
    return nn.Conv1d(inputs, outputs, kernel, padding=padding, **options)  # type: ignore[arg-type]
