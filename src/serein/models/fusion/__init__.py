"""Fusion of voice, face and words: early, late and hybrid; a missing modality is a normal case.

Every estimator takes a mapping of modality name to an array; see `FusionClassifier`.
"""

from __future__ import annotations

from serein.models.fusion.classifier import FusionClassifier
from serein.models.fusion.columns import ColumnFusion, Unlabelled
from serein.models.fusion.early import BlockRidge, EarlyFusion
from serein.models.fusion.hybrid import HybridFusion
from serein.models.fusion.late import LateFusion
from serein.models.fusion.modalities import Modalities
from serein.models.fusion.network import ATTENTIONS
from serein.models.fusion.rules import RULES

__all__ = [
    "ATTENTIONS",
    "FUSIONS",
    "RULES",
    "BlockRidge",
    "ColumnFusion",
    "EarlyFusion",
    "FusionClassifier",
    "HybridFusion",
    "LateFusion",
    "Modalities",
    "Unlabelled",
]

FUSIONS: dict[str, type[FusionClassifier]] = {
    "early": EarlyFusion,
    "late": LateFusion,
    "hybrid": HybridFusion,
}
"""Name -> estimator."""
