"""Augmentations by name, as recipes use them, and chains of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serein.audio.augment import (
    Augmentation,
    Cut,
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
from serein.errors import check_name

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "noise": Noise,
    "overlay": Overlay,
    "stretch": Stretch,
    "pitch": Pitch,
    "speed": Speed,
    "cut": Cut,
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
        Fields of the augmentation. For a number that is drawn: a range (lowest, highest) or a fixed
        number. For any other field: its value, or a tuple of values to draw from.

    Returns
    -------
    Augmentation
        The augmentation with its numbers drawn.

    Raises
    ------
    SettingError
        If the name or an option is unknown, or a range is not within the limits.

    Examples
    --------
    >>> import numpy as np
    >>> draw(np.random.default_rng(0), "gain", gain_db=(-6, -6))
    Gain(gain_db=-6.0)
    """
    check_name("augmentation", name, AUGMENTATIONS)
    return AUGMENTATIONS[name].draw(generator, **options)


@dataclass(frozen=True)
class Chain:
    """Augmentations that are applied one after the other.

    Parameters
    ----------
    steps : tuple of Augmentation
        In the order of application; without any, the result is a copy of the signal.

    Examples
    --------
    >>> import numpy as np
    >>> from serein.audio.augment import Gain
    >>> chain = Chain((Gain(-6.0), Gain(6.0)))
    >>> float(chain.apply(np.full(1600, 0.5, np.float32)).max().round(3))
    0.5
    """

    steps: tuple[Augmentation, ...]

    def apply(self, signal: Signal) -> Signal:
        """Apply the augmentations to a signal, shape (samples,), float32, mono at 16 kHz."""
        result = check_signal(signal).copy()
        for step in self.steps:
            result = step.apply(result)
        return result
