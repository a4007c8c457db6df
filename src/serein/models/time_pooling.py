"""Poolings over time: from a series to one vector, without its padding.

Each takes a batch of shape (batch, channels, time) and the series' lengths, or None where all
frames count, and gives shape (batch, outputs).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from serein.models.layers import mask_padding


class Mean(nn.Module):
    """Mean over time; `outputs` is the size of a pooling's vector."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.outputs = channels

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, channels, time) to (batch, outputs)."""
        return weighted(x, uniform_weights(x, lengths))


class Sum(Mean):
    """Sum over time, which grows with it."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, channels, time) to (batch, outputs)."""
        return mask_padding(x, lengths).sum(2)


class Max(Mean):
    """Maximum over time."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, channels, time) to (batch, outputs)."""
        return mask_padding(x, lengths, -torch.inf).amax(2)


class Last(Mean):
    """The last frame."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, channels, time) to (batch, outputs)."""
        if lengths is None:
            return x[:, :, -1]
        return x[torch.arange(len(x), device=x.device), :, lengths.to(x.device) - 1]


class LastBothWays(Last):
    """The last state of each direction of a recurrent network: of the last and the first frame."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, channels, time) to (batch, outputs)."""
        ahead, back = x.chunk(2, dim=1)
        return torch.cat([super().forward(ahead, lengths), back[:, :, 0]], dim=1)


class Statistics(Mean):
    """Mean and standard deviation over time."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.outputs = 2 * channels

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, channels, time) to (batch, outputs)."""
        return mean_and_deviation(x, uniform_weights(x, lengths))


class Attention(Mean):
    """Mean over time with learnt weights, a number a frame.

    K. Okabe, T. Koshinaka, K. Shinoda, "Attentive statistics pooling for deep speaker embedding",
    Interspeech 2018, eq. 1 to 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.score = nn.Sequential(nn.Linear(channels, 64), nn.Tanh(), nn.Linear(64, 1))

    def weights(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Weigh frames: shape (batch, 1, time), summing to 1."""
        scores = self.score(x.transpose(1, 2)).transpose(1, 2)
        return mask_padding(scores, lengths, -torch.inf).softmax(2)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, channels, time) to (batch, outputs)."""
        return weighted(x, self.weights(x, lengths))


class AttentiveStatistics(Attention):
    """Mean and standard deviation over time with learnt weights: eq. 4 and 5 there."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.outputs = 2 * channels

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, channels, time) to (batch, outputs)."""
        return mean_and_deviation(x, self.weights(x, lengths))


POOLINGS: dict[str, type[Mean]] = {
    "mean": Mean,
    "sum": Sum,
    "max": Max,
    "last": Last,
    "statistics": Statistics,
    "attention": Attention,
    "attentive_statistics": AttentiveStatistics,
}
"""Name -> pooling over time."""


def uniform_weights(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return equal weights for all valid frames, shape (batch, 1, time), summing to 1."""
    weight = mask_padding(torch.ones_like(x[:, :1]), lengths)
    return weight / weight.sum(2, keepdim=True)


def weighted(x: Tensor, weights: Tensor) -> Tensor:
    """Sum weighted frames."""
    return (x * weights).sum(2)


def mean_and_deviation(x: Tensor, weights: Tensor) -> Tensor:
    """Concatenate weighted mean and standard deviation."""
    mean = weighted(x, weights)
    variance = weighted((x - mean[:, :, None]).square(), weights)
    return torch.cat([mean, variance.clamp(min=1e-6).sqrt()], dim=1)  # 0 has no slope
