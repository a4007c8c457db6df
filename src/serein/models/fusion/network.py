"""The network of hybrid fusion: a token a modality, attention between tokens, a linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from serein.models.blueprint import Architecture

HEADS = 4


class Gated(nn.Module):
    """Gated multimodal units: each token has a gate, computed from all modalities.

    J. Arevalo, T. Solorio, M. Montes-y-Gómez, F. González, "Gated multimodal units for information
    fusion", arXiv:1702.01992, 2017, eq. for more than two modalities.
    """

    def __init__(self, modalities: int, size: int, dropout: float) -> None:
        super().__init__()
        del dropout
        self.gates = nn.Linear(modalities * size, modalities * size)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Fuse tokens (samples, modalities, size), 0 where missing, to (samples, size)."""
        gates = torch.sigmoid(self.gates(tokens.flatten(1))).view_as(tokens)
        fused: Tensor = (gates * torch.tanh(tokens) * present[:, :, None]).sum(dim=1)
        return fused


class CrossModal(nn.Module):
    """Cross-modal attention: each token attends to the tokens of the other modalities.

    A learned key and value are always there, for where all others are missing.

    Y.-H. Tsai, S. Bai, P. Liang, J. Kolter, L.-P. Morency, R. Salakhutdinov, "Multimodal
    Transformer for unaligned multimodal language sequences", ACL 2019, section 3.1; here over one
    token a modality.
    """

    apart: Tensor

    def __init__(self, modalities: int, size: int, dropout: float) -> None:
        super().__init__()
        self.place = nn.Parameter(0.02 * torch.randn(modalities, size))
        self.before = nn.LayerNorm(size)
        self.attend = nn.MultiheadAttention(
            size, HEADS, dropout=dropout, add_bias_kv=True, batch_first=True
        )
        self.after = nn.Sequential(
            nn.LayerNorm(size),
            nn.Linear(size, 2 * size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * size, size),
        )
        self.register_buffer("apart", torch.eye(modalities, dtype=torch.bool))

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Fuse tokens (samples, modalities, size), 0 where missing, to (samples, size)."""
        tokens = tokens + self.place
        known = self.before(tokens)
        attended, _ = self.attend(
            known,
            known,
            known,
            key_padding_mask=~present,
            attn_mask=self.apart,
            need_weights=False,
        )
        tokens = tokens + attended
        tokens = (tokens + self.after(tokens)) * present[:, :, None]
        fused: Tensor = tokens.sum(dim=1) / present.sum(dim=1, keepdim=True).clamp_min(1)
        return fused


ATTENTIONS: dict[str, type[Gated] | type[CrossModal]] = {"gated": Gated, "cross_modal": CrossModal}
"""Name -> how tokens are fused."""


class FusionNetwork(nn.Module):
    """Tokens, attention between them, and a linear layer.

    The input is a row a sample, as `serein.training.trainer` hands it: the blocks of all modalities
    side by side, then for each modality 1 where it is present and 0 where it is not.
    """

    def __init__(
        self,
        widths: Sequence[int],
        classes: int,
        *,
        attention: str,
        size: int,
        dropout: float,
        modality_dropout: float,
    ) -> None:
        super().__init__()
        self.widths = list(widths)
        self.modality_dropout = modality_dropout
        self.project = nn.ModuleList(
            nn.Sequential(nn.Dropout(dropout), nn.Linear(width, size), nn.LayerNorm(size))
            for width in widths
        )
        self.fuse = ATTENTIONS[attention](len(self.widths), size, dropout)
        self.classify = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, classes))

    def forward(self, series: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits."""
        del lengths
        *blocks, flags = torch.split(series[:, 0], [*self.widths, len(self.widths)], dim=1)
        present = flags > 0.5
        if self.training and self.modality_dropout > 0:
            present = self._drop(present)
        tokens = torch.stack(
            [project(block) for project, block in zip(self.project, blocks, strict=True)], dim=1
        )
        logits: Tensor = self.classify(self.fuse(tokens * present[:, :, None], present))
        return logits

    def _drop(self, present: Tensor) -> Tensor:
        """Take modalities from samples; the one of the highest draw stays."""
        drawn = torch.rand(present.shape).to(present.device).masked_fill(~present, -1.0)
        stays = drawn == drawn.max(dim=1, keepdim=True).values
        return present & (stays | (drawn >= self.modality_dropout))


@dataclass
class FusionArchitecture(Architecture):
    """Settings of a `FusionNetwork` over blocks of these widths."""

    widths: tuple[int, ...]
    attention: str = "gated"
    size: int = 64
    dropout: float = 0.3
    modality_dropout: float = 0.2

    def build(self, inputs: int, classes: int) -> FusionNetwork:
        """Make the network with fresh weights."""
        del inputs
        return FusionNetwork(classes=classes, **self.get_params())
