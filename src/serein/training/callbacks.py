"""skorch callbacks: learning rate, scores, best weights, checkpoints, early stopping, loggers.

skorch's own EarlyStopping, Checkpoint and LRScheduler do not do: they keep no state of patience, of
random generators or of a schedule by batch, so a killed training would end otherwise; and
EarlyStopping raises KeyboardInterrupt, which Ctrl-C must keep for itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import recall_score
from skorch.callbacks import Callback, EpochScoring, MlflowLogger, TensorBoard

from serein.errors import MissingExtraError, SettingError
from serein.training.checkpoint import write_state
from serein.training.plan import Training

Rows = Sequence[dict[str, Any]]


def best_epoch(rows: Rows) -> int:
    """Return the epoch, counted from 1, of the lowest held-out loss: the first, if several tie."""
    losses = [row["valid_loss"] for row in rows]
    return losses.index(min(losses)) + 1


def ended(rows: Rows, training: Training) -> bool:
    """Tell whether training is over: all epochs are done, or patience ran out."""
    if len(rows) >= training.epochs:
        return True
    return bool(training.patience and rows and len(rows) - best_epoch(rows) >= training.patience)


class Stop(Exception):  # noqa: N818
    """Raised by `EarlyStopping` to end the epochs; no error."""


class LearningRate(Callback):  # type: ignore[misc]
    """Steps the trainer's schedule, and records the rate of each epoch's last batch."""

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Go to the next batch's rate."""
        if training:
            net.history.record("learning_rate", net.optimizer_.param_groups[0]["lr"])
            net.schedule_.after_batch()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Step ``plateau`` by the held-out loss; end a training that diverges."""
        row = net.history[-1]
        for name in ("train_loss", "valid_loss"):
            if not math.isfinite(row.get(name, 0.0)):
                raise SettingError(
                    f"training diverged: {name} is {row[name]} in epoch {row['epoch']}; take a "
                    "lower learning_rate, or clip"
                )
        if "valid_loss" in row:
            net.schedule_.after_epoch(row["valid_loss"])


def _held_out_recall(net: Any, X: Any, y: npt.NDArray[np.int64]) -> float:
    """Return the mean recall over the classes that occur in y."""
    return float(recall_score(y, net.predict(X), labels=np.unique(y), average="macro"))


def held_out_recall() -> EpochScoring:
    """Write down each epoch's mean recall over the classes of the held-out samples."""
    return EpochScoring(_held_out_recall, lower_is_better=None, name="valid_uar")


class BestWeights(Callback):  # type: ignore[misc]
    """Keeps the weights of the epoch with the lowest held-out loss."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Copy the weights if this epoch is the best so far."""
        if best_epoch(net.history) == len(net.history):
            state = net.module_.state_dict()
            net.best_ = {name: weight.detach().clone() for name, weight in state.items()}


class Checkpoint(Callback):  # type: ignore[misc]
    """Writes the trainer's whole state after every epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the file."""
        write_state(self.path, net.state())


class EarlyStopping(Callback):  # type: ignore[misc]
    """Ends training when patience does; it raises, and so must be the last callback."""

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
