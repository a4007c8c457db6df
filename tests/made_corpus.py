"""A made-up corpus of buzzes, and recipes of it, for tests of whole commands."""

from __future__ import annotations

import numpy as np

RATE_HZ = 16_000
PITCH_HZ = {"anger": 300.0, "sadness": 110.0}
SPEAKERS, TAKES, EPOCHS = 5, 2, 20
DATA = '[data]\ncorpora = ["mine.csv"]\nfolder = "."\n[features]\nsets = ["mfcc"]\n'
FOREST = """\
functionals = ["mean", "std"]
[model]
name = "random_forest"
trees = 40
[search]
folds = 3
space = { "model.leaf" = [1, 9], "model.features" = { low = 0.02, high = 0.9 } }
"""
NETWORK = f"""\
[model]
name = "cnn"
channels = [16, 16]
[training]
epochs = {EPOCHS}
batch_size = 4
[protocol]
calibration_folds = 0
"""


def make_voice(emotion: str, speaker: int, take: int) -> np.ndarray:
    """A buzz with an emotion's pitch."""
    generator = np.random.default_rng([speaker, take])
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    hz = PITCH_HZ[emotion] * generator.uniform(0.8, 1.2)
    buzz = sum(np.sin(2 * np.pi * hz * part * time) / part for part in range(1, 8))
    return (0.1 * buzz + 0.02 * generator.standard_normal(time.size)).astype(np.float32)
