"""Heads of a bundle of version 2, made up."""

from __future__ import annotations

import numpy as np

from serein.models.baseline import AdaptiveHeads


def made_heads(
    weight: np.ndarray, bias: np.ndarray, mean: np.ndarray, deviation: np.ndarray, spread: float
) -> AdaptiveHeads:
    """Give heads whose labels differ by the spread; (labels, columns), (labels,), (columns,)."""
    labels, columns = weight.shape
    within = np.eye(labels)
    parts = {
        **{"weight": weight, "bias": bias, "mean": mean, "deviation": deviation},
        **{"near_weight": np.zeros((0, columns)), "near_bias": np.zeros(0)},
        **{"near_gate": np.zeros(2), "axes": np.diag(1 / deviation)},
        **{"centres": (mean / deviation)[None], "confidence": np.zeros((3, 2))},
        "prior": np.stack([spread * (within - 1 / labels), 0.1 * within, within]),
        **{"varied": np.array([[0.5, 1.0]] * 2), "offsets": np.zeros((labels, columns))},
    }
    return AdaptiveHeads(**{name: part.astype(np.float32) for name, part in parts.items()})
