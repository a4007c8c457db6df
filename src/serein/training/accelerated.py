"""Training on the devices that `accelerate launch` hands out, several GPUs too."""

from __future__ import annotations

from typing import Any

from skorch.hf import AccelerateMixin
from torch import Tensor, nn

from serein.errors import MissingExtraError, SettingError
from serein.training.plan import Training
from serein.training.trainer import Trainer


class NoCriterion:
    """In place of skorch's: `Trainer` has its own losses, and accelerate wraps only weights."""


class AcceleratedTrainer(AccelerateMixin, Trainer):  # type: ignore[misc]
    """A training that Hugging Face's accelerate spreads over processes, one per device.

    A batch is divided between them, so `batch_size` and the schedule keep their meaning.
    """

    def __init__(self, module: nn.Module, *, plan: Training, **options: Any) -> None:
        options |= {"accelerator": make_accelerator(), "device": None, "criterion": NoCriterion}
        super().__init__(module, plan=plan, **options)
        processes = self.accelerator.num_processes
        if processes > 1 and plan.patience > 0:
            raise SettingError(
                f"patience is {plan.patience} with {processes} processes, and each would stop in "
                "another epoch: give patience = 0, or one process"
            )

    @property
    def network(self) -> nn.Module:
        """The module, without accelerate's wrapper."""
        return self.accelerator.unwrap_model(self.module_)

    def infer(self, x: dict[str, Tensor], **fit_params: Any) -> Tensor:
        """Return the logits of a batch; held-out batches come from the CPU."""
        device = self.accelerator.device
        return super().infer({name: values.to(device) for name, values in x.items()}, **fit_params)


def make_accelerator() -> Any:
    """Make accelerate's object for the devices of this process."""
    try:
        from accelerate import Accelerator
        from accelerate.utils import DataLoaderConfiguration
    except ImportError as error:
        raise MissingExtraError("device accelerate", "gpu") from error
    batches = DataLoaderConfiguration(split_batches=True)
    return Accelerator(mixed_precision="no", dataloader_config=batches)
