"""Changed copies of recordings to learn from: drawn from content and seed, described, cached."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serein.audio.chain import Chain, draw
from serein.experiment.recipe import Augmentation
from serein.features.cache import Extractor

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Copy:
    """An extractor that first changes the signal: what it draws depends on signal, seed and number.

    Attributes
    ----------
    extractor : Extractor
        Describes the changed signal.
    changes : Augmentation
        What is drawn.
    number : int
        Which copy of the recording this is.
    seed : int
        Of the recipe.
    """

    extractor: Extractor
    changes: Augmentation
    number: int
    seed: int

    @property
    def fingerprint(self) -> str:
        """Extractor, changes, number and seed in 20 letters."""
        drawn = [self.changes.chain, self.changes.ranges, self.number, self.seed]
        drawn += [self.changes.probability] if self.changes.probability else []
        text = json.dumps([self.extractor.fingerprint, drawn], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def __call__(self, signal: Array) -> Array:
        """Change a signal and describe it."""
        content = zlib.crc32(np.ascontiguousarray(signal).tobytes())
        generator = np.random.default_rng([self.seed, self.number, content])
        ranges: Mapping[str, dict[str, object]] = self.changes.ranges
        steps = [
            draw(generator, name, **ranges.get(name, {}))
            for name in self.changes.chain
            if name not in self.changes.probability
            or generator.random() < self.changes.probability[name]
        ]
        return self.extractor(Chain(tuple(steps)).apply(signal))
