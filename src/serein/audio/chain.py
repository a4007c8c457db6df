"""Augmentations by the names that recipes call them, drawn and applied one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serein.audio.augment import (
    Augmentation,
    Gain,
    Generator,
    Noise,
    Overlay,
    Pitch,
    Reverb,
    Shuffle,
    Speed,
    Stretch,
)
from serein.audio.channel import Equaliser, Telephone
from serein.audio.read import Signal, check_signal
from serein.errors import unknown_name

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "noise": Noise,
    "overlay": Overlay,
    "stretch": Stretch,
    "pitch": Pitch,
    "speed": Speed,
    "gain": Gain,
    "shuffle": Shuffle,
    "reverb": Reverb,
    "equaliser": Equaliser,
    "telephone": Telephone,
}


def draw(generator: Generator, name: str, **options: Any) -> Augmentation:
    """Draw an augmentation.

    Parameters
    ----------
    generator : numpy.random.Generator
        Source of randomness.
    name : str
        One of `AUGMENTATIONS`.
    **options
        Its fields: for a number that is drawn a range (lowest, highest) in place of the default
        one, or a fixed number; for any other field its value, or a tuple to draw one of.

    Returns
    -------
    Augmentation
        With concrete numbers.

    Raises
    ------
    ValueError
        If the name or an option is unknown, or a range is not within the limits.

    Examples
    --------
    >>> import numpy as np
    >>> draw(np.random.default_rng(0), "gain", gain_db=(-6, -6))
    Gain(gain_db=-6.0)
    """
    if name not in AUGMENTATIONS:
        raise ValueError(unknown_name("augmentation", name, AUGMENTATIONS))
    return AUGMENTATIONS[name].draw(generator, **options)


@dataclass(frozen=True)
class Chain:
    """Augmentations one after the other."""

    steps: tuple[Augmentation, ...]

    def apply(self, signal: Signal) -> Signal:
        """Apply each to what the one before it gave; none of them give a copy."""
        result = check_signal(signal).copy()
        for step in self.steps:
            result = step.apply(result)
        return result
