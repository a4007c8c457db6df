"""Which channels of a recording are taken: their average, one of them, or each for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from serein.errors import AudioError, SettingError

Array = npt.NDArray[np.float32]
Channels = str | int  # what a caller gives: mix, each, left, right, or a number from 1
Taken = Literal["mix", "each"] | int

SIDES = {"left": 1, "right": 2}
MIN_UNRELATED = 0.02  # of the energy: with less that is not common, channels are one sound
MAX_CANCELLED = 0.1  # of the average of unrelated channels: one below this is cancelled


@dataclass(frozen=True)
class Sound:
    """What was taken of a recording.

    `signals`: mono at 16 kHz, all as long; `numbers`: the channel of each, from 1, or 0 for the
    average; `count`: channels that the recording has; `differ`: whether they hold other sounds;
    `cancelled`: whether their average holds nothing, so that the loudest was taken for it.
    """

    signals: tuple[Array, ...]
    numbers: tuple[int, ...]
    count: int = 1
    differ: bool = False
    cancelled: bool = False

    @property
    def notice(self) -> str | None:
        """What a caller who asked for the average has to know of it, in one line."""
        if self.cancelled:
            return (
                f"the {self.count} channels cancel each other out when averaged: channel "
                f"{self.numbers[0]}, the loudest, is taken"
            )
        if self.differ and self.numbers == (0,):
            return (
                f"the {self.count} channels differ, and are averaged: channels=each (--channels "
                "each) predicts each for itself"
            )
        return None


def check_channels(channels: Channels) -> Taken:
    """Return ``mix``, ``each`` or the number of a channel, from 1."""
    if channels in ("mix", "each"):
        return "mix" if channels == "mix" else "each"
    number = SIDES.get(str(channels), channels)
    if isinstance(number, str) and number.isascii() and number.isdigit():
        number = int(number[:9])
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise SettingError(
            f"channels is {channels!r}; allowed: mix, each, left, right, or a number from 1"
        )
    return number


def check_there(taken: Taken, count: int, name: str) -> None:
    """Refuse a channel that a recording does not have."""
    if isinstance(taken, int) and taken > count:
        there = "1 channel" if count == 1 else f"{count} channels"
        raise AudioError(
            f"{name}: has {there}: there is no channel {taken}",
            to_try="serein COMMAND RECORDING --channels each",
        )


class Relation:
    """How the channels of a recording relate, from their covariance, block by block."""

    def __init__(self) -> None:
        self._products: npt.NDArray[np.float64] = np.zeros((1, 1))
        self._sums: npt.NDArray[np.float64] = np.zeros(1)
        self._frames = 0
        self.channels = 0

    def add(self, block: Array) -> None:
        """Take in a block, (frames, channels); joined recordings may change in channels."""
        if block.shape[1] != self.channels:
            self._frames, self._products, self._sums = 0, np.zeros((1, 1)), np.zeros(1)
            self.channels = block.shape[1]
        if block.shape[1] < 2:
            return
        rows = np.ascontiguousarray(block.T)  # sums along columns are far slower
        with np.errstate(all="ignore"):  # an overflow is refused later
            self._products = self._products + rows @ rows.T
            self._sums = self._sums + rows.sum(axis=1, dtype=np.float64)
        self._frames += len(block)

    @property
    def differ(self) -> bool:
        """Whether the channels hold other sounds: not one sound, whatever its level in each."""
        covariance = self._covariance()
        total = float(np.trace(covariance))
        return total > 0 and np.linalg.eigvalsh(covariance)[-1] < (1 - MIN_UNRELATED) * total

    @property
    def cancelled(self) -> int:
        """The loudest channel where the average of all holds nothing, from 1; else 0."""
        covariance = self._covariance()
        unrelated = float(np.trace(covariance))  # times channels², as the sum beside it
        if unrelated <= 0 or covariance.sum() > MAX_CANCELLED * unrelated:
            return 0
        return 1 + int(np.diag(covariance).argmax())

    def _covariance(self) -> npt.NDArray[np.float64]:
        if not self._frames or not np.isfinite(self._products).all():
            return np.zeros((1, 1))
        mean = self._sums / self._frames
        return self._products / self._frames - np.outer(mean, mean)
