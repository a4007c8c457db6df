"""skorch's training loop with serein's losses, schedules, checkpoints and early stopping.

skorch's own EarlyStopping, Checkpoint and LRScheduler do not do: they keep no state of patience, of
random generators or of a schedule by batch, so a killed training would end otherwise; and
EarlyStopping raises KeyboardInterrupt, which must stay Ctrl-C's.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring
from skorch.history import History
from torch import Tensor, nn

from serein.engine import torch_threads
from serein.errors import SettingError
from serein.training.checkpoint import write_state
from serein.training.holdout import Samples
from serein.training.losses import class_losses, l1_norm
from serein.training.plan import Training
from serein.training.schedule import Schedule

OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
"""Name -> torch's class; the names of `serein.training.plan.OPTIMISERS`."""

HISTORY = {
    "epoch": "epoch",
    "train_loss": "train_loss",
    "valid_loss": "valid_loss",
    "valid_uar": "valid_uar",
    "learning_rate": "learning_rate",
    "dur": "seconds",
}

THREAD_PRODUCTS = 1e9  # of a batch, for a thread to gain more time than it costs

logger = logging.getLogger(__name__)


class Stop(Exception):  # noqa: N818
    """Raised to end the epochs; no error."""


class EndOfEpoch(Callback):  # type: ignore[misc]
    """Ends an epoch; raises `Stop` when training is over. Must be the last callback."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:  # noqa: D102
        net.end_epoch()
        if ended(net.history, net.plan):
            raise Stop


class Trainer(NeuralNetClassifier):  # type: ignore[misc]
    """One training of one network; its state is written to `save_to` after every epoch."""

    schedule_: Schedule
    best_: dict[str, Tensor] | None

    def __init__(
        self, module: nn.Module, *, plan: Training, save_to: Path | None = None, **options: Any
    ) -> None:
        super().__init__(module, **options)
        self.plan = plan
        self.save_to = save_to

    @property
    def _default_callbacks(self) -> list[Any]:
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring("train_loss", lower_is_better=None, on_train=True)),
            ("valid_loss", PassthroughScoring("valid_loss", lower_is_better=None)),
        ]

    @property
    def network(self) -> nn.Module:
        """The module, without what a subclass wraps around it."""
        return self.module_

    @property
    def device_type(self) -> str:
        """Where the network is: ``cpu`` or ``cuda``."""
        return next(self.network.parameters()).device.type

    def infer(self, x: dict[str, Tensor], **fit_params: Any) -> Tensor:
        """Return the logits of a batch, cut to its longest series."""
        lengths = x["lengths"]
        inputs = {"series": x["series"][:, : int(lengths.max())], "lengths": lengths}
        half = self.plan.precision == "bfloat16"
        with torch.autocast(self.device_type, torch.bfloat16, enabled=half):
            logits: Tensor = super().infer(inputs, **fit_params)
        return logits.float()

    def get_loss(
        self, y_pred: Tensor, y_true: Tensor, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the loss of a batch: weighted mean over its samples, and L1 regularisation."""
        losses = class_losses(y_pred, y_true.to(y_pred.device), self.plan)
        loss = (losses * X["weight"].to(losses.device)).mean()
        if training and self.plan.l1 > 0:
            loss = loss + self.plan.l1 * l1_norm(self.module_)
        return loss

    def state(self) -> dict[str, Any]:
        """Return the complete state of the training, for `restore`."""
        cuda = self.device_type == "cuda"
        return {
            "module": self.network.state_dict(),
            "optimiser": self.optimizer_.state_dict(),
            "schedule": self.schedule_.state_dict(),
            "history": self.rows(),
            "best": self.best_,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if cuda else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from what `state` returned."""
        self.network.load_state_dict(state["module"])
        self.optimizer_.load_state_dict(state["optimiser"])
        self.schedule_.load_state_dict(state["schedule"])
        self.history = History(row | {"batches": []} for row in state["history"])
        self.best_ = state["best"]
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"])

    def rows(self) -> list[dict[str, Any]]:
        """Return the epochs of the history without their batches."""
        return [
            {name: value for name, value in row.items() if name != "batches"}
            for row in self.history
        ]

    def learn(self, samples: Samples, y: npt.NDArray[np.int64]) -> None:
        """Run the remaining epochs, and load the best weights if samples are held out."""
        self.notify("on_train_begin", X=samples, y=y)
        if not ended(self.history, self.plan):
            if self.history:
                logger.info("goes on from epoch %d", len(self.history) + 1)
            frames = self.plan.batch_size * float(np.mean(samples["lengths"]))
            with suppress(Stop), torch_threads(threads_for(self.network, frames)):
                self.fit_loop(samples, y, epochs=self.plan.epochs - len(self.history))
        self.notify("on_train_end", X=samples, y=y)
        if self.best_ is not None:
            self.network.load_state_dict(self.best_)
        self.network.eval()

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Record the learning rate, and set that of the next batch."""
        if training:
            self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])
            self.schedule_.after_batch()

    def end_epoch(self) -> None:
        """Step ``plateau``, keep the best weights, and write the state."""
        row = self.history[-1]
        for name in ("train_loss", "valid_loss"):
            if not math.isfinite(row.get(name, 0.0)):
                raise SettingError(
                    f"training diverged: {name} is {row[name]} in epoch {row['epoch']}; take a "
                    "lower learning_rate, or clip"
                )
        if "valid_loss" in row:
            self.schedule_.after_epoch(row["valid_loss"])
            if best_epoch(self.history) == len(self.history):
                state = self.network.state_dict()
                self.best_ = {name: weight.detach().clone() for name, weight in state.items()}
        if self.save_to is not None:
            write_state(self.save_to, self.state())
        logger.debug("epoch %d of %d", len(self.history), self.plan.epochs)

    def curves(self) -> list[dict[str, Any]]:
        """Return the history by serein's names, a plain dict per epoch."""
        return [
            {
                name: row[key] if key == "epoch" else float(row[key])
                for key, name in HISTORY.items()
                if key in row
            }
            for row in self.history
        ]


def best_epoch(rows: Sequence[dict[str, Any]]) -> int:
    """Return the epoch, counted from 1, of the lowest held-out loss: the first, if several tie."""
    losses = [row["valid_loss"] for row in rows]
    return losses.index(min(losses)) + 1


def ended(rows: Sequence[dict[str, Any]], plan: Training) -> bool:
    """Tell whether training is over: all epochs are done, or patience ran out."""
    if len(rows) >= plan.epochs:
        return True
    return bool(plan.patience and rows and len(rows) - best_epoch(rows) >= plan.patience)


def steps_of(plan: Training, samples: int) -> int:
    """Count the batches of an epoch."""
    return math.ceil(samples / plan.batch_size)


def threads_for(network: nn.Module, frames: float) -> int:
    """Count the threads that a batch of so many frames is work for: more cost time."""
    weights = sum(weight.numel() for weight in network.parameters())
    return max(1, min(torch.get_num_threads(), int(weights * frames / THREAD_PRODUCTS)))
