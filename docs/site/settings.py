"""Reference pages of recipe keys and of HTTP, made of docstrings and of the service's OpenAPI."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from importlib import import_module
from typing import Any

from tables import table

from serein.emotions import OwnEmotion
from serein.experiment import recipe
from serein.models.catalogue import MODELS
from serein.serve.app import create_app
from serein.serve.settings import Settings
from serein.training.plan import Training

SECTIONS = {
    "data": recipe.Data,
    "encoder": recipe.Encoder,
    "features": recipe.Features,
    "model": recipe.Model,
    "training": Training,
    "balance": recipe.Balance,
    "augmentation": recipe.Augmentation,
    "adaptation": recipe.Adaptation,
    "face": recipe.Face,
    "text": recipe.Text,
    "fusion": recipe.Fusion,
    "bursts": recipe.Bursts,
    "search": recipe.Search,
    "protocol": recipe.Protocol,
    "bundle": recipe.Packing,
    "emotions": OwnEmotion,
}
"""Section of a recipe -> its dataclass, in the order of the page."""
ENTRY = re.compile(r"^([a-z]\w*(?:, \w+)*) : ([^\n]+)\n((?: {4}[^\n]*\n|\n)*)", re.M)
NAMED = re.compile(r"`((?:serein[\w.]+\.)?[A-Z]{4,})`")


def recipe_page() -> str:
    """Return the page of all keys of a recipe."""
    lines = ["# Recipe keys", ""]
    lines += ["What `[section]` of a recipe may hold; `name` stands above all sections.", ""]
    for name, section in SECTIONS.items():
        lines += [f"## {name}", "", first_line(section), ""]
        lines += [table("key | default | what", list(keys(section))), ""]
        if name == "model":
            lines += [table("model | settings and their defaults", list(models())), ""]
    return "\n".join(lines)


def models() -> Iterator[tuple[str, ...]]:
    """Give a row a model with its settings."""
    for name, family in MODELS.items():
        found = inspect.signature(family.build).parameters.values()
        told = [one for one in found if one.name not in ("random_state", "width")]
        yield f"`{name}`", ", ".join(f"`{one.name}`{default_of(one)}" for one in told) or "none"


def default_of(parameter: inspect.Parameter) -> str:
    """Write the default of a setting, if it has one."""
    return "" if parameter.default is parameter.empty else f" = `{parameter.default!r}`"


def keys(section: type) -> Iterator[tuple[str, ...]]:
    """Give a row a key: its name, default and description, with the type in front."""
    described = entries(section)
    for field in fields(section):
        if field.name == "settings":
            yield "others", "", described["settings"]
        else:
            yield f"`{field.name}`", default(field), described[field.name]


def entries(section: type) -> dict[str, str]:
    """Read type and description of each attribute out of a numpydoc docstring."""
    found = {}
    for names, kind, text in ENTRY.findall(f"{inspect.getdoc(section)}\n\n"):
        words = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
        words = NAMED.sub(lambda name: choices(section, name[1]), words)
        found |= dict.fromkeys(names.split(", "), f"{kind}. {words}")
    return found


def choices(section: type, name: str) -> str:
    """Write the choices that a constant holds: of the section's module, or with its own path."""
    module, _, constant = name.rpartition(".")
    return ", ".join(
        f"`{one}`" for one in getattr(import_module(module or section.__module__), constant)
    )


def default(field: Field[Any]) -> str:
    """Write the default of a field."""
    if field.default_factory is not MISSING:
        return f"`{field.default_factory()!r}`"
    return "needed" if field.default is MISSING else f"`{field.default!r}`"


def first_line(thing: type) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n")[0]


def http_page() -> str:
    """Return the page of the service's routes with their parameters and responses."""
    api = create_app(Settings(models=("emodb",)))._app.openapi()
    lines = ["# HTTP", ""]
    lines += [
        "What the service says of itself at `/openapi.json`. [The service](../SERVICE.md) has"
    ]
    lines += ["examples, the stream at `/v1/stream`, all errors and limits.", ""]
    for path, methods in api["paths"].items():
        for method, route in methods.items():
            lines += [f"## {method.upper()} {path}", "", route.get("description", ""), ""]
            lines += parameters(route.get("parameters", []))
    for name, schema in api["components"]["schemas"].items():
        lines += [f"## {name}", "", schema.get("description", ""), ""]
        lines += [table("key | type | what", list(properties(schema))), ""]
    return "\n".join(lines)


def parameters(found: list[dict[str, Any]]) -> list[str]:
    """Write the table of a route's parameters, if it has any."""
    rows = [
        (f"`{one['name']}`", kind(one["schema"]), bounds(one["schema"]), one.get("description", ""))
        for one in found
    ]
    return [table("query | type | default, range | what", rows), ""] if rows else []


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Give a row a key of a body."""
    for name, one in schema.get("properties", {}).items():
        yield f"`{name}`", kind(one), one.get("description", "")


def kind(schema: dict[str, Any]) -> str:
    """Write a type of JSON schema: names of choices, of other bodies, or a plain type."""
    if "anyOf" in schema:
        return " or ".join(kind(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return schema["$ref"].split("/")[-1]
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    inside = f" of {kind(schema['items'])}" if "items" in schema else ""
    return f"{schema.get('type', 'any')}{inside}"


def bounds(schema: dict[str, Any]) -> str:
    """Write the default of a parameter and its range."""
    parts = [f"`{schema['default']}`"] if schema.get("default") is not None else []
    for one in (schema, *schema.get("anyOf", [])):
        if "minimum" in one:
            parts.append(f"{one['minimum']:g} to {one['maximum']:g}")
    return "; ".join(parts)
