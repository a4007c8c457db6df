"""A trainer for a plan: plain, differentially private, or on several devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from skorch.callbacks import GradientNormClipping
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from serein.training.accelerated import AcceleratedTrainer
from serein.training.callbacks import held_out_recall
from serein.training.holdout import Labelled
from serein.training.plan import Training
from serein.training.privacy import PrivateTrainer
from serein.training.schedule import Schedule
from serein.training.trainer import OPTIMISERS, EndOfEpoch, Trainer, steps_of


def make_trainer(
    module: nn.Module,
    plan: Training,
    samples: int,
    *,
    device: torch.device,
    valid: Labelled | None = None,
    save_to: Path | None = None,
    callbacks: list[Any] | None = None,
) -> Trainer:
    """Make a trainer, ready to `learn` or to `restore`."""
    stages: list[Any] = []
    if plan.clip > 0 and not plan.privacy_epsilon:
        stages.append(("clip", GradientNormClipping(plan.clip)))
    if valid is not None:
        stages.append(("recall", held_out_recall()))
    options: dict[str, Any] = {"optimizer__weight_decay": plan.l2}
    if plan.optimiser in ("sgd", "rmsprop"):
        options["optimizer__momentum"] = plan.momentum
    kind, more = _kind(plan, samples)
    trainer = kind(
        module,
        plan=plan,
        save_to=save_to,
        optimizer=OPTIMISERS[plan.optimiser],
        lr=plan.learning_rate,
        batch_size=plan.batch_size,
        iterator_train__shuffle=True,
        train_split=None if valid is None else predefined_split(Dataset(*valid)),
        callbacks=[*stages, *(callbacks or []), ("end_of_epoch", EndOfEpoch())],
        device=str(device),
        **options,
        **more,
    ).initialize()
    trainer.schedule_ = Schedule(trainer.optimizer_, plan, steps_of(plan, samples))
    trainer.best_ = None
    return trainer


def _kind(plan: Training, samples: int) -> tuple[type[Trainer], dict[str, Any]]:
    """Choose the trainer's class, and its further parameters."""
    if plan.privacy_epsilon > 0:
        return PrivateTrainer, {"samples": samples}
    if plan.device == "accelerate":
        return AcceleratedTrainer, {}
    return Trainer, {}
