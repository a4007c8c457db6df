"""Pre-trained encoders as torch modules: cut after the last layer used, pooled over time.

All export to an ONNX graph with dynamic batch and time axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, WhisperConfig, WhisperModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from serein.errors import EncoderError

WAVEFORM_FAMILIES = ("wav2vec2", "hubert", "wavlm")


def whisper(
    source: str,
    layers: tuple[int, ...],
    pool_after: int = 0,
    *,
    frames: bool = False,
    download: bool = False,
) -> nn.Module:
    """Load the encoder half of a Whisper model."""
    unused = ("decoder.", "embed_positions.", "layer_norm.")
    config = WhisperConfig.from_pretrained(source, local_files_only=not download)
    if config.architectures == ["WhisperEncoder"]:
        encoder = _load(WhisperEncoder, source, unused, download=download)
    else:
        encoder = _load(WhisperModel, source, unused, download=download).get_encoder()
    network = PooledWhisper(encoder, layers, pool_after, frames=frames)
    return network.eval().requires_grad_(requires_grad=False)


def waveform(
    source: str, layers: tuple[int, ...], *, frames: bool = False, download: bool = False
) -> nn.Module:
    """Load an encoder of the wav2vec 2.0 family: wav2vec 2.0, HuBERT, WavLM."""
    encoder = _load(AutoModel, source, ("masked_spec_embed",), download=download)
    network = PooledWaveform(encoder, layers, frames=frames)
    return network.eval().requires_grad_(requires_grad=False)


def _load(kind: Any, source: str, unused: tuple[str, ...], *, download: bool) -> Any:
    """Load weights from safetensors, and refuse a network that lacks some.

    Weights whose names start as in `unused` may be missing: no pooled state depends on them.
    """
    model, report = kind.from_pretrained(
        source,
        attn_implementation="eager",
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
        local_files_only=not download,
    )
    missing = sorted(
        name
        for name in report["missing_keys"]
        if not name.removeprefix("encoder.").startswith(unused)
    )
    if missing:
        raise EncoderError(f"{source} lacks weights of its encoder: {', '.join(missing[:3])} …")
    return model


class PooledWhisper(nn.Module):
    """The first layers of a Whisper encoder, without its padding to 30 s.

    The two convolutions are written as matrix products over neighbouring frames, so that one kind
    of int8 kernel serves the whole network. `pool_after` pools the hidden states over time with
    stride 2, so that the layers after it take half the time.
    """

    def __init__(
        self, encoder: Any, layers: tuple[int, ...], pool_after: int = 0, *, frames: bool = False
    ) -> None:
        super().__init__()
        self.rates: torch.Tensor
        self.used = layers
        self.frames = frames
        self.pool_after = pool_after
        self.conv1 = _as_linear(encoder.conv1)
        self.conv2 = _as_linear(encoder.conv2)
        self.blocks = nn.ModuleList(encoder.layers[: max(layers)])
        half = encoder.config.d_model // 2
        self.register_buffer("rates", torch.exp(torch.arange(half) * -(math.log(1e4) / (half - 1))))

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Map (batch, time, band) to what `pool` or `mix` gives."""
        hidden = nn.functional.gelu(self.conv1(_neighbours(mel, step=1)))
        hidden = nn.functional.gelu(self.conv2(_neighbours(hidden, step=2)))
        hidden = hidden + self._positions(hidden.shape[1])
        states = []
        for number, block in enumerate(self.blocks, start=1):
            hidden = block(hidden, None)
            if number in self.used:
                whole = self.frames and not 0 < self.pool_after < number
                states.append(_pooled_in_twos(hidden) if whole else hidden)
            if number == self.pool_after:
                hidden = _pooled_in_twos(hidden)
        return mix(states) if self.frames else pool(states)

    def _positions(self, length: int) -> torch.Tensor:
        # Whisper's table of positions is this formula, which takes no megabytes.
        angle = torch.arange(length, dtype=torch.float32)[:, None] * self.rates
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class PooledWaveform(nn.Module):
    """The first layers of a wav2vec 2.0, HuBERT or WavLM encoder."""

    def __init__(self, model: Any, layers: tuple[int, ...], *, frames: bool = False) -> None:
        super().__init__()
        self.used = layers
        self.frames = frames
        self.model = model
        # One layer more than used: the last state of these models may have a final norm.
        self.model.encoder.layers = model.encoder.layers[: max(layers) + 1]

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """Map (batch, samples) to what `pool` or `mix` gives."""
        every = self.model(signal, output_hidden_states=True).hidden_states
        states = [every[layer] for layer in self.used]
        return mix(map(_pooled_in_twos, states)) if self.frames else pool(states)


def mix(states: Iterable[torch.Tensor]) -> torch.Tensor:
    """Compute the mean of the states; each series becomes a row: (batch, time x width)."""
    return torch.stack(tuple(states)).mean(dim=0).flatten(1)


def pool(states: Iterable[torch.Tensor]) -> torch.Tensor:
    """Compute mean and deviation over time of each state: (batch, 2 x width x layers)."""
    parts = []
    for state in states:
        mean = _mean(state)
        parts += [mean, _mean((state - mean[:, None]).square()).sqrt()]
    return torch.cat(parts, dim=1)


def _mean(series: torch.Tensor) -> torch.Tensor:
    """Average over time, as a product, which onnxruntime computes faster than ReduceMean."""
    frames = series.shape[1]
    return (series.new_ones(1, 1, frames) @ series)[:, 0] / frames


def _as_linear(conv: nn.Conv1d) -> nn.Linear:
    linear = nn.Linear(conv.in_channels * 3, conv.out_channels)
    linear.weight.data = conv.weight.data.permute(0, 2, 1).reshape(conv.out_channels, -1).clone()
    if conv.bias is not None:
        linear.bias.data = conv.bias.data.clone()
    return linear


def _pooled_in_twos(series: torch.Tensor) -> torch.Tensor:
    """Average frames two by two; the last of an odd number stays."""
    padded = torch.cat([series, series[:, -1:]], dim=1)
    return (padded[:, :-1:2] + padded[:, 1::2]) / 2


def _neighbours(series: torch.Tensor, *, step: int) -> torch.Tensor:
    padded = nn.functional.pad(series, (0, 0, 1, 1))
    shifted = [padded[:, :-2:step], padded[:, 1:-1:step], padded[:, 2::step]]
    return torch.cat(shifted, dim=-1)
