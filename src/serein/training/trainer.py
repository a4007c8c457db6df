"""skorch's training loop with serein's losses, schedules and checkpoints."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochTimer, PassthroughScoring
from skorch.history import History
from torch import Tensor, nn

from serein.training.callbacks import Stop, ended
from serein.training.holdout import Samples
from serein.training.losses import class_losses, l1_norm
from serein.training.plan import Training

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


class Trainer(NeuralNetClassifier):  # type: ignore[misc]
    """One training of one network."""

    def __init__(self, module: nn.Module, *, plan: Training, **options: Any) -> None:
        super().__init__(module, **options)
        self.plan = plan

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
            with suppress(Stop):
                self.fit_loop(samples, y, epochs=self.plan.epochs - len(self.history))
        self.notify("on_train_end", X=samples, y=y)
        if self.best_ is not None:
            self.network.load_state_dict(self.best_)
        self.network.eval()

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


def steps_of(plan: Training, samples: int) -> int:
    """Count the batches of an epoch."""
    return math.ceil(samples / plan.batch_size)
