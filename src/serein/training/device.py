"""The device that a network is trained on, and its random generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from serein.errors import SettingError
from serein.training.accelerated import make_accelerator


def find_device(name: str) -> torch.device:
    """Return the device of a name of `serein.training.plan.DEVICES`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "accelerate":
        return make_accelerator().device
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingError("device is cuda, but torch sees no GPU here; take auto or cpu")
    return torch.device(name)


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's generators of the CPU and of a GPU that is used; restore them afterwards."""
    gpu = device.type == "cuda"
    number = torch.cuda.current_device() if gpu and device.index is None else device.index
    with torch.random.fork_rng(devices=[number] if gpu else []):
        torch.default_generator.manual_seed(seed)
        if gpu:
            torch.cuda.manual_seed(seed)
        yield
