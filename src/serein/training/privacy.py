"""Differentially private training (DP-SGD): clipped gradients of single recordings, and noise.

A recording is the unit of privacy. Opacus does the accounting. The operating system seeds batches
and noise, not `random_state`, which a recipe publishes: whoever knows the noise can subtract it.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skorch.dataset import unpack_data
from torch import nn
from torch.utils.data import DataLoader, Dataset, default_convert

from serein.errors import MissingExtraError, SettingError
from serein.training.holdout import Samples
from serein.training.plan import Training
from serein.training.trainer import Trainer, steps_of

PRIVATE_MODELS = ("mlp", "textbook_cnn")
"""Networks that can be trained with privacy."""
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
"""Layers with weights that keep recordings apart, and so have a gradient per recording."""
ACCOUNTANT = "rdp"  # "prv" is tighter, but slow, and overflows where epsilon is large
ORDERS = [1.1, 1.2, 1.35, *(order / 4 for order in range(6, 48)), *range(12, 65)]
ORDERS += [2**power for power in range(7, 11)]
"""Orders of the Rényi divergences, of which the one with the least ε counts."""
TOLERANCE = 0.01  # share of epsilon that may stay unspent


@dataclass(frozen=True)
class PrivacyLoss:
    """The (ε, δ) that a training spent at most, and how."""

    epsilon: float
    delta: float
    noise: float
    clip: float
    rate: float
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with the unit of privacy and the accountant."""
        return asdict(self) | {"unit": "recording", "accountant": f"opacus {ACCOUNTANT}"}


class BatchDataset(Dataset[Any]):
    """Samples, a batch at a time; an empty batch is a sample of weight 0, so a step of noise."""

    def __init__(self, samples: Any) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, rows: list[int]) -> Any:
        values, labels = unpack_data(self.samples[np.array(rows or [0])])
        return values | {"weight": values["weight"] * bool(rows)}, labels


class PrivateTrainer(Trainer):
    """A differentially private training."""

    module_: Any
    optimizer_: Any

    def __init__(self, module: nn.Module, *, plan: Training, samples: int, **options: Any) -> None:
        super().__init__(module, plan=plan, **options)
        self.samples = samples

    def initialize(self) -> PrivateTrainer:
        """Clip the gradient of each recording, and add noise to each step."""
        opacus, plan, steps = load_opacus(), self.plan, steps_of(self.plan, self.samples)
        refuse_layers(self.module)
        super().initialize()
        self.sampler_ = opacus.utils.uniform_sampler.UniformWithReplacementSampler(
            num_samples=self.samples,
            sample_rate=1 / steps,
            steps=steps,
            generator=secret_generator(torch.device("cpu")),
        )
        self.noise_ = noise_needed(plan, self.samples, steps)
        self.module_ = opacus.grad_sample.GradSampleModule(self.module_)
        self.module_.forbid_grad_accumulation()
        self.optimizer_ = opacus.optimizers.DPOptimizer(
            self.optimizer_,
            noise_multiplier=self.noise_,
            max_grad_norm=plan.privacy_clip,
            expected_batch_size=self.samples / steps,
            generator=secret_generator(torch.device(self.device)),
        )
        self.accountant_ = opacus.accountants.create_accountant(ACCOUNTANT)
        hook = self.accountant_.get_optimizer_hook_fn(sample_rate=self.sampler_.sample_rate)
        self.optimizer_.attach_step_hook(hook)
        return self

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the batches; those to train on are sampled independently."""
        if not training:
            return super().get_iterator(dataset, training=False)
        return DataLoader(
            BatchDataset(dataset), batch_sampler=self.sampler_, collate_fn=default_convert
        )

    def learn(self, samples: Samples, y: npt.NDArray[np.int64]) -> None:
        """Run the epochs, and account for the privacy loss."""
        with _quiet():
            super().learn(samples, y)
            epsilon = float(self.accountant_.get_epsilon(self.plan.privacy_delta, ORDERS))
        self.module_ = self.module_.to_standard_module()
        self.privacy_loss_ = PrivacyLoss(
            epsilon=epsilon,
            delta=self.plan.privacy_delta,
            noise=self.noise_,
            clip=self.plan.privacy_clip,
            rate=self.sampler_.sample_rate,
            steps=sum(steps for *_, steps in self.accountant_.history),
        )


def noise_needed(plan: Training, samples: int, steps: int) -> float:
    """Find the noise multiplier with which all epochs together spend at most `privacy_epsilon`."""
    if plan.privacy_delta >= 1 / samples:
        raise SettingError(
            f"privacy_delta is {plan.privacy_delta:g}; with {samples} recordings it must be below "
            f"1 / {samples} = {1 / samples:.2g}, or publishing one of them would be allowed"
        )
    try:
        return _noise(plan.privacy_epsilon, plan.privacy_delta, 1 / steps, plan.epochs * steps)
    except ValueError as error:
        raise SettingError(
            f"privacy_epsilon is {plan.privacy_epsilon:g}; no noise is enough for that "
            f"({error}): take a larger one"
        ) from error


@lru_cache
def _noise(epsilon: float, delta: float, rate: float, steps: int) -> float:
    with _quiet():
        found = load_opacus().accountants.utils.get_noise_multiplier(
            target_epsilon=epsilon,
            target_delta=delta,
            sample_rate=rate,
            steps=steps,
            accountant=ACCOUNTANT,
            epsilon_tolerance=TOLERANCE * epsilon,
            alphas=ORDERS,
        )
    return float(found)


def refuse_layers(network: nn.Module) -> None:
    """Raise if a network has layers with weights that mix recordings."""
    weighted = {type(part) for part in network.modules() if [*part.parameters(recurse=False)]}
    others = sorted(kind.__name__ for kind in weighted - set(LAYERS))
    if others:
        raise SettingError(
            f"privacy_epsilon needs the gradient of each recording alone, and this network has "
            f"{', '.join(others)}: take {' or '.join(PRIVATE_MODELS)}, or privacy_epsilon = 0"
        )


def secret_generator(device: torch.device) -> torch.Generator:
    """Make a generator whose seed is not kept."""
    generator = torch.Generator(device)
    generator.manual_seed(secrets.randbits(63))
    return generator


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings that the bound could be tighter, and that data need no gradient."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Optimal order is the", UserWarning)
        warnings.filterwarnings("ignore", "Full backward hook is firing", UserWarning)
        yield


def load_opacus() -> Any:
    """Import Opacus."""
    try:
        import opacus.accountants.utils
        import opacus.grad_sample
        import opacus.optimizers
        import opacus.utils.uniform_sampler
    except ImportError as error:
        raise MissingExtraError("privacy_epsilon", "privacy") from error
    return opacus
