"""A model of the user's own: `[model] name = "module:Name"`, of a file beside the recipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from torch import nn

from serein.errors import SettingError
from serein.models.blueprint import Architecture
from serein.models.catalogue import MODELS, Family


class OwnNetwork(Architecture):
    """A network of the user's own, made as ``module(inputs, classes, **settings)``."""

    def __init__(self, module: type[nn.Module], settings: Mapping[str, Any]) -> None:
        self.module = module
        self.settings = settings

    def check(self) -> None:
        """Leave the settings to the module."""

    def build(self, inputs: int, classes: int) -> nn.Module:
        """Make the network with fresh weights."""
        return self.module(inputs, classes, **self.settings)


def add_own(name: str, folder: Path) -> None:
    """Put a model of the user's own among `MODELS`: its file is imported.

    `name`: ``module:Name``, of a class or function in ``module.py`` in the folder: a torch module
    made as ``Name(inputs, classes, …)``, or what makes a scikit-learn classifier.
    Raises: SettingError if there is no such file or name.
    """
    thing = _imported(name, folder.resolve())
    if isinstance(thing, type) and issubclass(thing, nn.Module):
        MODELS[name] = Family(_network(thing), "network")
    elif callable(thing):
        MODELS[name] = Family(thing, "classical")
    else:
        raise SettingError(f"{name} is {thing!r}; need a class or a function")


def _imported(name: str, folder: Path) -> Any:
    module, _, attribute = name.partition(":")
    file = folder / f"{module}.py"
    if not module.isidentifier() or not file.is_file():
        raise SettingError(f"model {name}: there is no file {file}; a model of your own lies there")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # at the end: it hides nothing, and workers find it
    found = import_module(module)
    if Path(found.__file__ or "").resolve() != file:
        raise SettingError(f"model {name}: {module} is another module already; rename {file}")
    if not hasattr(found, attribute):
        raise SettingError(f"model {name}: {file} has no {attribute or 'name after the colon'}")
    return getattr(found, attribute)


def _network(module: type[nn.Module]) -> Callable[..., OwnNetwork]:
    """Make what builds the settings of a network, with its parameters but inputs and classes."""

    def build(**settings: Any) -> OwnNetwork:
        return OwnNetwork(module, settings)

    told = list(signature(module).parameters.values())[2:]
    named = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in told]
    build.__signature__ = signature(build).replace(parameters=named)  # type: ignore[attr-defined]
    return build
