"""From a TOML table to a section of a recipe: keys and types are checked."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from serein.errors import RecipeError, SettingError, unknown_name


def section(kind: type, table: Mapping[str, Any], place: str) -> Any:
    """Make a dataclass from a table."""
    hints = typing.get_type_hints(kind)
    known = {entry.name: hints[entry.name] for entry in fields(kind)}
    _refuse_unknown(table, known, place)
    for entry in fields(kind):
        needed = entry.default is MISSING and entry.default_factory is MISSING
        if needed and entry.name not in table:
            raise RecipeError(f"{place}: {entry.name} is missing")
    values = {key: value_of(known[key], value, f"{place}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except SettingError as error:
        raise RecipeError(f"{place}: {error}") from error


def open_section(kind: type, table: Any, place: str) -> Any:
    """Make a dataclass from a table, keys that it does not know as its `settings`."""
    if not isinstance(table, dict):
        raise RecipeError(
            f"{place} is {table!r}; allowed: a table [{place.rsplit(maxsplit=1)[-1]}]"
        )
    own = {entry.name for entry in fields(kind)} - {"settings"}
    made = section(kind, {key: value for key, value in table.items() if key in own}, place)
    return replace(made, settings={k: value for k, value in table.items() if k not in own})


def arguments(
    function: Callable[..., Any], table: Mapping[str, Any], place: str, *, without: tuple[str, ...]
) -> dict[str, Any]:
    """Check a table against a function's parameters: names, and types by their defaults."""
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in without and parameter.kind is not parameter.VAR_KEYWORD
    }
    _refuse_unknown(table, known, place)
    return {key: _like(known[key], value, f"{place}: {key}") for key, value in table.items()}


def value_of(hint: Any, value: Any, place: str) -> Any:
    """Check a TOML value against a type; lists become tuples, tables sections."""
    if isinstance(hint, types.UnionType):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        if not isinstance(value, dict):
            raise RecipeError(
                f"{place} is {value!r}; allowed: a table [{place.rsplit(maxsplit=1)[-1]}]"
            )
        return section(hint, value, place)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return plain(value)
    if origin is tuple and isinstance(value, list):
        return tuple(value_of(inner[0], entry, place) for entry in value)
    if origin is dict and isinstance(value, dict):
        return {key: value_of(inner[1], entry, place) for key, entry in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if origin is None and type(value) is hint:
        return value
    raise RecipeError(f"{place} is {value!r}; allowed: {_allowed(origin or hint, value)}")


def _allowed(kind: Any, value: Any) -> str:
    """Name what TOML calls a type, a list with an example."""
    if kind is tuple:
        example = json.dumps(value) if isinstance(value, (str, int, float)) else ""
        return f"a list, as in [{example}]"
    if kind is dict:
        return "a table, as in { name = value }"
    return getattr(kind, "__name__", str(kind))


def plain(value: Any) -> Any:
    """Turn lists into tuples, at any depth."""
    if isinstance(value, list):
        return tuple(map(plain, value))
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return value


def _like(default: Any, value: Any, place: str) -> Any:
    if default is inspect.Parameter.empty or default is None or isinstance(default, tuple):
        if isinstance(default, tuple) and not isinstance(value, list):
            raise RecipeError(f"{place} is {value!r}; allowed: a list")
        return plain(value)
    if isinstance(default, str) and isinstance(value, (int, float)) and type(value) is not bool:
        return value  # "scale" or a number
    return value_of(type(default), value, place)


def _refuse_unknown(table: Mapping[str, Any], known: Mapping[str, Any], place: str) -> None:
    for key in table:
        if key not in known:
            raise RecipeError(f"{place}: {unknown_name('key', key, known)}")
