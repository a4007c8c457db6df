"""A bundle that adapts soon: the default model, with a made-up prior of how emotions differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from serein.inference.bundle import ADAPTATION, MODEL, read_bundle, write_bundle
from serein.inference.load import find_model
from serein.models.baseline import AdaptiveHeads

AT_ONCE = np.array([[0.0, 0.1], [0.0, 0.1]], np.float32)  # how varied recordings have to be


def adaptive_bundle(folder: Path) -> Path:
    """Write the bundle."""
    bundle = read_bundle(find_model("multi"))
    heads = AdaptiveHeads.from_bytes(bundle.files[ADAPTATION])
    labels = len(bundle.labels)
    apart = 4 * np.eye(labels) - 4 / labels
    prior = np.stack([apart, 0.1 * np.eye(labels), 0.1 * np.eye(labels)]).astype(np.float32)
    manifest = {key: value for key, value in bundle.manifest.items() if key != "adaptation"}
    return write_bundle(
        folder,
        manifest,
        model=bundle.files[MODEL],
        card="made for a test",
        notice="",
        adaptation=replace(heads, prior=prior, varied=AT_ONCE).to_bytes(),
    )
