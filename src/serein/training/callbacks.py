"""What happens between the batches and epochs of a training: skorch callbacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import recall_score
from skorch.callbacks import Callback, MlflowLogger, TensorBoard

from serein.errors import MissingExtraError
from serein.training.checkpoint import write_state
from serein.training.plan import Training

Rows = Sequence[dict[str, Any]]


def best_epoch(rows: Rows) -> int:
    """Return the epoch, counted from 1, of the lowest held-out loss: the first, if several tie."""
    losses = [row["valid_loss"] for row in rows]
    return losses.index(min(losses)) + 1


def ended(rows: Rows, training: Training) -> bool:
    """Say whether training is over after these epochs: all are done, or patience is."""
    if len(rows) >= training.epochs:
        return True
    return bool(training.patience and rows and len(rows) - best_epoch(rows) >= training.patience)


class Stop(Exception):  # noqa: N818
    """Raised by `Patience` to end the epochs early; no error."""


class Rate(Callback):  # type: ignore[misc]
    """Steps the trainer's schedule and writes down the rate of each epoch's last batch."""

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Go to the next batch's rate."""
        if training:
            net.history.record("learning_rate", net.optimizer_.param_groups[0]["lr"])
            net.schedule_.after_batch()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Let ``plateau`` see the held-out loss; end a training that has run away."""
        row = net.history[-1]
        for name in ("train_loss", "valid_loss"):
            if not math.isfinite(row.get(name, 0.0)):
                raise ValueError(
                    f"training ran away: {name} is {row[name]} in epoch {row['epoch']}; take a "
                    "lower learning_rate, or clip"
                )
        if "valid_loss" in row:
            net.schedule_.after_epoch(row["valid_loss"])


class HeldOutRecall(Callback):  # type: ignore[misc]
    """Writes down each epoch's mean recall over the classes of the held-out samples."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Forget the last epoch's answers."""
        self.truth_: list[int] = []
        self.answers_: list[int] = []

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, y_pred: Any = None, **kwargs: Any
    ) -> None:
        """Note the answers for held-out samples."""
        if not training:
            self.truth_ += batch[1].tolist()
            self.answers_ += y_pred.argmax(dim=1).tolist()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write down the recall."""
        if self.truth_:
            present = sorted(set(self.truth_))
            recall = recall_score(self.truth_, self.answers_, labels=present, average="macro")
            net.history.record("valid_uar", float(recall))


class Best(Callback):  # type: ignore[misc]
    """Keeps the weights of the epoch with the lowest held-out loss."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Copy the weights if none before were better."""
        if best_epoch(net.history) == len(net.history):
            state = net.module_.state_dict()
            net.best_ = {name: weight.detach().clone() for name, weight in state.items()}


class Save(Callback):  # type: ignore[misc]
    """Writes the trainer's whole state after every epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the file."""
        write_state(self.path, net.state())


class Patience(Callback):  # type: ignore[misc]
    """Ends training when patience does; the last of the callbacks, as it raises."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Raise `Stop` if training is over."""
        if ended(net.history, net.plan):
            raise Stop


def loggers(log: str, folder: Path) -> list[Callback]:
    """Make what writes learning curves for other tools."""
    if log == "tensorboard":
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("log tensorboard", "track") from error
        return [TensorBoard(SummaryWriter(str(folder)))]
    if log == "mlflow":
        try:
            import mlflow  # type: ignore[import-not-found, unused-ignore]
        except ImportError as error:
            raise MissingExtraError("log mlflow", "track") from error
        client, run = mlflow.MlflowClient(), mlflow.active_run()
        own = run is None
        if own:
            run = client.create_run(mlflow.get_experiment_by_name("Default").experiment_id)
        # Its artifacts would be pickles.
        return [MlflowLogger(run, client, create_artifact=False, terminate_after_train=own)]
    return []


def generators(device: torch.device) -> list[int]:
    """Name the GPUs whose random state a training on this device changes."""
    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]
