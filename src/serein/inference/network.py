"""The recogniser as one torch module, as it is exported. Needs the extra [train]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn


@dataclass(frozen=True)
class Linear:
    """Scaling and linear map: ``(x - mean) / scale @ coef.T + intercept``.

    Attributes
    ----------
    mean, scale : numpy.ndarray
        Shape (features,).
    coef : numpy.ndarray
        Shape (outputs, features).
    intercept : numpy.ndarray
        Shape (outputs,).
    """

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    coef: npt.NDArray[np.float64]
    intercept: npt.NDArray[np.float64]


class RecognizerNetwork(nn.Module):
    """Encoder, emotion classifier with temperature, and speech detector in one.

    Parameters
    ----------
    encoder : torch.nn.Module
        Network input in, (batch, features) out.
    emotions, speech : Linear
        The two heads on the encoder's features.
    temperature : float
        Emotion logits are divided by it.
    """

    def __init__(
        self, encoder: nn.Module, emotions: Linear, speech: Linear, temperature: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head_emotions = AffineHead(emotions, temperature)
        self.head_speech = AffineHead(speech, 1.0)

    def forward(self, network_input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map the front end's output to (batch, emotions) and (batch,)."""
        features = self.encoder(network_input)
        probability = self.head_emotions(features).softmax(dim=-1)
        return probability, self.head_speech(features).sigmoid()[:, 0]


class AffineHead(nn.Module):
    """Scaling, linear map and temperature folded into one product and one sum."""

    def __init__(self, head: Linear, temperature: float) -> None:
        super().__init__()
        weight = (head.coef / head.scale / temperature).T
        bias = head.intercept / temperature - head.mean @ weight
        self.weight = nn.Parameter(torch.from_numpy(weight.astype(np.float32)), requires_grad=False)
        self.bias = nn.Parameter(torch.from_numpy(bias.astype(np.float32)), requires_grad=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, features) to (batch, outputs)."""
        return features @ self.weight + self.bias
