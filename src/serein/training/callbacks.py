"""skorch callbacks: the held-out recall, and loggers of learning curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import recall_score
from skorch.callbacks import Callback, EpochScoring, MlflowLogger, TensorBoard

from serein.errors import MissingExtraError


def _held_out_recall(net: Any, X: Any, y: npt.NDArray[np.int64]) -> float:
    """Return the mean recall over the classes that occur in y."""
    return float(recall_score(y, net.predict(X), labels=np.unique(y), average="macro"))


def held_out_recall() -> EpochScoring:
    """Record each epoch's mean recall over the classes of the held-out samples."""
    return EpochScoring(_held_out_recall, lower_is_better=None, name="valid_uar")


def loggers(log: str, folder: Path) -> list[Callback]:
    """Make the loggers that write learning curves for TensorBoard or MLflow."""
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
