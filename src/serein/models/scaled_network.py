"""A network with its feature scaling inside, so that what is exported is complete."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

MASKED_SHARE = 0.2  # of frames and of features, at most


class ScaledNetwork(nn.Module):
    """Feature scaling, then the network; in training SpecAugment between them, if asked for.

    D. S. Park et al., "SpecAugment", Interspeech 2019: time and frequency masking.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: npt.NDArray[Any],
        scale: npt.NDArray[Any],
        *,
        spec_augment: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.spec_augment = spec_augment
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    @classmethod
    def fitted(
        cls,
        network: nn.Module,
        series: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        *,
        spec_augment: bool = False,
    ) -> Self:
        """Take mean and deviation of each feature from the valid frames of a batch."""
        counts = (np.arange(series.shape[1]) < lengths[:, None])[:, :, None]
        total = lengths.sum()
        mean = series.sum(axis=(0, 1), dtype=np.float64) / total
        squares = np.zeros_like(mean)
        for one, inside in zip(series, counts, strict=True):  # keeps float64 copies small
            squares += np.square(np.where(inside, one - mean, 0.0)).sum(axis=0)
        scale = np.sqrt(squares / total)
        varies = scale > np.maximum(1e-6 * np.abs(mean), 1e-30)  # beyond float32's rounding
        return cls(network, mean, np.where(varies, scale, 1.0), spec_augment=spec_augment)

    def forward(self, series: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits."""
        scaled = (series - self.mean) / self.scale
        if lengths is not None:
            frames = torch.arange(series.shape[1], device=series.device)
            scaled = scaled.masked_fill((frames >= lengths[:, None])[:, :, None], 0.0)
        if self.training and self.spec_augment:
            scaled = _spec_augmented(scaled, lengths)
        return self.network(scaled, lengths)


def _spec_augmented(series: Tensor, lengths: Tensor | None) -> Tensor:
    """Mask a stretch of frames and one of features by 0, drawn for each series."""
    samples, time, features = series.shape
    if lengths is None:
        lengths = torch.full((samples,), time)
    frames = _stretch(lengths.cpu(), time)[:, :, None]
    bands = _stretch(torch.full((samples,), features), features)[:, None, :]
    return series.masked_fill((frames | bands).to(series.device), 0.0)


def _stretch(sizes: Tensor, longest: int) -> Tensor:
    """Draw a stretch of up to a fifth inside each size; true within, shape (samples, longest)."""
    # Drawn on the CPU, whose random state a checkpoint keeps, also for a network on a GPU.
    draw = torch.rand(2, len(sizes))
    width = (draw[0] * ((sizes * MASKED_SHARE).floor() + 1)).floor()
    start = (draw[1] * (sizes - width + 1)).floor()
    places = torch.arange(longest)
    return (places >= start[:, None]) & (places < (start + width)[:, None])
