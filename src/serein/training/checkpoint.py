"""The whole state of a training on disk, without pickle: tensors as safetensors, the rest JSON."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from sklearn.base import BaseEstimator
from torch import Tensor

from serein.errors import reason_of
from serein.private_files import is_own, kept_or_not, private_file, private_folder

DAMAGE = (AttributeError, LookupError, OSError, RecursionError, RuntimeError, TypeError, ValueError)
PLAIN = (str, int, float, bool, type(None))


def write_state(path: Path, state: Any) -> None:
    """Write a state atomically: a reader finds all of it, or the one before."""
    tensors: dict[str, Tensor] = {}
    layout = json.dumps(_encode(state, tensors))
    with kept_or_not(path.parent):
        if not path.parent.exists():
            private_folder(path.parent)
        with private_file(path) as file:
            file.write(save(tensors, {"state": layout}))
            file.flush()
            os.fsync(file.fileno())


def read_state(path: Path) -> Any:
    """Read what `write_state` wrote, with tensors on the CPU; None if it cannot be believed."""
    if not is_own(path):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            layout = json.loads((file.metadata() or {})["state"])
        return _decode(layout, tensors)
    except (SafetensorError, *DAMAGE) as error:
        warn_of_damage(path, error)
        return None


def warn_of_damage(path: Path, error: Exception) -> None:
    """Say that a checkpoint cannot be used."""
    warnings.warn(
        f"the checkpoint {path} is damaged ({reason_of(error)}): training starts anew",
        stacklevel=3,
    )


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Turn a state into JSON, with tensors replaced by their names."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _encode(one, tensors)] for key, one in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encode(one, tensors) for one in value]}
    if isinstance(value, list):
        return [_encode(one, tensors) for one in value]
    if isinstance(value, PLAIN):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}: {value!r}")


def _decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_decode(one, tensors) for one in content)
    return {key: _decode(one, tensors) for key, one in content}


def fingerprint(settings: Iterable[Any], arrays: Iterable[Any]) -> str:
    """Return a hash of everything that decides a training's result."""
    described = [torch.__version__, *map(_description, settings)]
    digest = hashlib.sha256(json.dumps(described).encode())
    for array in arrays:
        values = np.asarray(array)
        if values.dtype == object:  # its bytes would be addresses
            values = np.asarray([f"{type(one).__name__} {one!r}" for one in values.ravel()])
        digest.update(json.dumps([str(values.dtype), *values.shape]).encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _description(setting: Any) -> str:
    if not isinstance(setting, BaseEstimator):
        return repr(setting)
    parameters = sorted(setting.get_params(deep=False).items())
    values = [(name, _description(value)) for name, value in parameters]
    return f"{type(setting).__qualname__} {values}"
