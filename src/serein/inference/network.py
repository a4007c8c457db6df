"""The recogniser as one torch module, as it is exported. Needs the extra [train]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from serein.inference.export import Linear


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
        self.head_emotions = _layer(emotions, temperature)
        self.head_speech = _layer(speech, 1.0)

    def forward(self, network_input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map the front end's output to (batch, emotions) and (batch,)."""
        features = self.encoder(network_input)
        probability = self.head_emotions(features).softmax(dim=-1)
        return probability, self.head_speech(features).sigmoid()[:, 0]


def _layer(head: Linear, temperature: float) -> nn.Module:
    """Turn scaling, linear map and temperature into one affine layer."""
    weight = head.coef / head.scale / temperature
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    bias = head.intercept / temperature - weight @ head.mean
    layer.weight.data = torch.from_numpy(weight.astype(np.float32))
    layer.bias.data = torch.from_numpy(bias.astype(np.float32))
    return layer.requires_grad_(requires_grad=False)
