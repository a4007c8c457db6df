"""Learning-rate schedules: a factor as a function of the epoch, and what applies it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from serein.training.plan import Training

CYCLE_RISE = 0.3
CYCLE_START = 1 / 25
CYCLE_END = CYCLE_START / 1e4


def factor(training: Training, epoch: float) -> float:
    """Return the factor of the learning rate at an epoch, which may be fractional."""
    warm_up = training.warm_up
    rise = epoch / warm_up if epoch < warm_up else 1.0
    return rise * _SHAPES[training.schedule](training, max(epoch - warm_up, 0.0))


def _one_cycle(training: Training, epoch: float) -> float:
    done = _share(training, epoch)
    if done < CYCLE_RISE:
        return _ease(CYCLE_START, 1.0, done / CYCLE_RISE)
    return _ease(1.0, CYCLE_END, (done - CYCLE_RISE) / (1 - CYCLE_RISE))


def _share(training: Training, epoch: float) -> float:
    """Return the share of the schedule that has passed; a warm-up may leave it no time."""
    span = training.epochs - training.warm_up
    return min(epoch / span, 1.0) if span > 0 else 0.0


def _ease(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


_SHAPES: dict[str, Callable[[Training, float], float]] = {
    "fixed": lambda training, epoch: 1.0,
    "step": lambda training, epoch: training.decay ** (epoch // training.every),
    "exponential": lambda training, epoch: training.decay**epoch,
    "inverse_time": lambda training, epoch: 1 / (1 + training.decay * epoch),
    "cosine": lambda training, epoch: _ease(1.0, 0.0, _share(training, epoch)),
    "cosine_restarts": lambda training, epoch: _ease(
        1.0, 0.0, epoch % training.every / training.every
    ),
    "plateau": lambda training, epoch: 1.0,
    "one_cycle": _one_cycle,
}


class Schedule:
    """Sets an optimiser's learning rate after every batch; for ``plateau``, every epoch."""

    def __init__(self, optimiser: Optimizer, training: Training, steps: int) -> None:
        self.training = training
        self.by_batch = LambdaLR(optimiser, lambda step: factor(training, step / steps))
        self.by_loss = None
        if training.schedule == "plateau":
            self.by_loss = ReduceLROnPlateau(
                optimiser, factor=training.decay, patience=training.every - 1
            )
        self._warm_steps = math.ceil(training.warm_up * steps)

    def after_batch(self) -> None:
        """Set the rate of the next batch."""
        # After the warm-up only the loss changes the rate of `plateau`.
        if self.by_loss is None or self.by_batch.last_epoch < self._warm_steps:
            self.by_batch.step()

    def after_epoch(self, held_out_loss: float) -> None:
        """Lower the rate of ``plateau`` if the held-out loss no longer falls."""
        if self.by_loss is not None and self.by_batch.last_epoch >= self._warm_steps:
            self.by_loss.step(held_out_loss)

    def state_dict(self) -> dict[str, Any]:
        """Return the state, for `load_state_dict`."""
        by_loss = None if self.by_loss is None else self.by_loss.state_dict()
        return {"by_batch": self.by_batch.state_dict(), "by_loss": by_loss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from what `state_dict` returned."""
        self.by_batch.load_state_dict(state["by_batch"])
        if self.by_loss is not None:
            self.by_loss.load_state_dict(state["by_loss"])
