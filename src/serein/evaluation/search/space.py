"""Search spaces as plain data, the same in TOML and in Python.

A parameter has the two ends of a range, or a list of choices::

    {"svc__C": {"low": 0.01, "high": 100.0, "log": True}, "svc__kernel": ["rbf", "linear"]}
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from serein.errors import SettingError, unknown_name

MAX_GRID_POINTS = 100_000


@dataclass(frozen=True)
class Span:
    """Numbers between two ends, both included; whole numbers if both ends are."""

    low: float
    high: float
    log: bool = False
    steps: int = 5

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def ask(self, name: str, trial: Any) -> float:
        """Let an Optuna trial choose."""
        suggest = trial.suggest_int if self.whole else trial.suggest_float
        value: float = suggest(name, self.low, self.high, log=self.log)
        return value

    def points(self) -> list[float]:
        """Return the points of a grid search, evenly spaced (in the logarithm, if `log`)."""
        between = np.geomspace if self.log else np.linspace
        inner = between(self.low, self.high, self.steps)[1:-1].tolist()
        if self.whole:
            return sorted({self.low, *map(round, inner), self.high})
        return [float(self.low), *inner, float(self.high)]

    def label(self, value: Any) -> float:
        """Return a value as a storage has it; raises SettingError if it is not in the span."""
        if _is_number(value) and self.low <= value <= self.high:
            if not self.whole:
                return float(value)
            if float(value).is_integer():
                return int(value)
        kind = "whole numbers " if self.whole else ""
        raise SettingError(f"{value!r}; allowed: {kind}{self.low} to {self.high}")

    def value(self, label: float) -> float:
        """Return the value of a stored label."""
        return label

    def plain(self) -> list[Any]:
        """Return it as plain data: a storage's fingerprint holds them, so they never change."""
        return ["Span", asdict(self)]


@dataclass(frozen=True)
class Choice:
    """A few values to choose from."""

    options: tuple[Any, ...]

    @property
    def labels(self) -> list[Any]:
        """The options as a storage has them: a tuple as text, for storages know no tuples."""
        return [_label(option) for option in self.options]

    def ask(self, name: str, trial: Any) -> Any:
        """Let an Optuna trial choose."""
        return self.value(trial.suggest_categorical(name, self.labels))

    def points(self) -> list[Any]:
        """Return all options as a storage has them."""
        return self.labels

    def label(self, value: Any) -> Any:
        """Return a value as a storage has it; raises SettingError if it is no option."""
        label = _label(_frozen(value))
        if label not in self.labels:
            raise SettingError(f"{value!r}; allowed: {', '.join(map(repr, self.options))}")
        return self.labels[self.labels.index(label)]

    def value(self, label: Any) -> Any:
        """Return the option of a stored label."""
        return self.options[self.labels.index(label)]

    def plain(self) -> list[Any]:
        """Return it as plain data: a storage's fingerprint holds them, so they never change."""
        return ["Choice", self.labels]


Space = dict[str, Span | Choice]


def read_space(mapping: Mapping[str, Any]) -> Space:
    """Read a search space from plain data."""
    if not isinstance(mapping, Mapping) or not mapping:
        raise SettingError(
            f"the search space is {mapping!r}; give at least one name with "
            '{"low": …, "high": …} or a list of choices'
        )
    return {name: _read_one(name, given) for name, given in mapping.items()}


def read_values(space: Space, values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return values as a storage has them."""
    for name in values:
        if name not in space:
            raise SettingError(f"{what}: {unknown_name('parameter', name, space)}")
    labels = {}
    for name in space:
        if name in values:
            try:
                labels[name] = space[name].label(values[name])
            except ValueError as error:
                raise SettingError(f"{what}: {name} is {error}") from error
    return labels


def grid(space: Space, *, random_state: int) -> list[dict[str, Any]]:
    """List all points of a space's grid, shuffled, so that the first few cover it evenly."""
    axes = [space[name].points() for name in space]
    count = math.prod(map(len, axes))
    if count > MAX_GRID_POINTS:
        raise SettingError(
            f"the grid has {count} points; at most {MAX_GRID_POINTS}: give fewer steps or names, "
            'or search by "random" or "bayesian"'
        )
    points = [dict(zip(space, point, strict=True)) for point in itertools.product(*axes)]
    return [points[place] for place in np.random.default_rng(random_state).permutation(count)]


def _read_one(name: str, given: Any) -> Span | Choice:
    if isinstance(given, Span | Choice):
        return given
    if isinstance(given, Mapping):
        return _read_span(name, given)
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return _read_choice(name, given)
    raise SettingError(
        f'{name} is {given!r}; allowed: {{"low": …, "high": …}} or a list of choices'
    )


def _read_span(name: str, given: Mapping[str, Any]) -> Span:
    for key in given:
        if key not in Span.__dataclass_fields__:
            raise SettingError(f"{name}: {unknown_name('key', key, Span.__dataclass_fields__)}")
    for end in ("low", "high"):
        if end not in given:
            raise SettingError(f"{name} has no {end}; a span needs both low and high")
        if not _is_number(given[end]):
            raise SettingError(f"{name}: {end} is {given[end]!r}; need a finite number")
    whole = all(isinstance(given[end], Integral) for end in ("low", "high"))
    low, high = (int(given[end]) if whole else float(given[end]) for end in ("low", "high"))
    log, steps = given.get("log", False), given.get("steps", 5)
    if low >= high:
        raise SettingError(f"{name}: low is {low} and high is {high}; low must be the smaller one")
    if not isinstance(log, bool):
        raise SettingError(f"{name}: log is {log!r}; allowed: true or false")
    if log and low <= 0:
        raise SettingError(f"{name}: low is {low}; with log it must be above 0")
    if not isinstance(steps, Integral) or isinstance(steps, bool) or steps < 2:
        raise SettingError(f"{name}: steps is {steps!r}; need a whole number from 2")
    return Span(low, high, log, int(steps))


def _read_choice(name: str, given: Sequence[Any]) -> Choice:
    options = tuple(_frozen(option) for option in given)
    if not options:
        raise SettingError(f"{name} has no choices; give at least one")
    for option in options:
        if not all(_is_plain(part) for part in (option if isinstance(option, tuple) else [option])):
            raise SettingError(
                f"{name}: {option!r} is not plain data; choices are strings, numbers, true or "
                "false, or lists of these"
            )
    choice = Choice(options)
    for place, label in enumerate(choice.labels):
        if label in choice.labels[:place]:
            raise SettingError(f"{name} has {options[place]!r} twice; each choice once")
    return choice


def _frozen(option: Any) -> Any:
    return tuple(map(_frozen, option)) if isinstance(option, list | tuple) else option


def _label(option: Any) -> Any:
    return json.dumps(option) if isinstance(option, tuple) else option


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return not math.isnan(value)
    return value is None or isinstance(value, str | bool | int)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
