"""A default or a range is the same in Python, on the command line, in the service and in bulk."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest
import typer.main

import serein
from serein import cli, defaults
from serein.bulk.predict_all import BulkSettings
from serein.defaults import DEFAULT_LIMITS, HOP_RANGE_S, UNSURE_RANGE, WINDOW_RANGE_S, Range

COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
RANGES = {"window": WINDOW_RANGE_S, "hop": HOP_RANGE_S, "unsure_below": UNSURE_RANGE}


def option(command: str, name: str) -> Any:
    return next(found for found in COMMANDS[command].params if found.name == name)


@pytest.mark.parametrize("command", ["predict", "listen"])
@pytest.mark.parametrize("name", RANGES)
def test_the_command_line_has_the_ranges(command: str, name: str) -> None:
    assert Range(option(command, name).type.min, option(command, name).type.max) == RANGES[name]


def test_the_service_has_the_ranges_and_the_defaults() -> None:
    pytest.importorskip("fastapi", reason="pip install 'serein[serve]'")
    from serein.serve.schemas import HOP, UNSURE, WINDOW
    from serein.serve.settings import Settings

    for query, allowed in zip((WINDOW, HOP, UNSURE), RANGES.values(), strict=True):
        assert Range(query.metadata[0].ge, query.metadata[1].le) == allowed
    for field in fields(Settings):
        if field.name in {found.name for found in COMMANDS["serve"].params} - {
            "store",
            "adapt_from",
            "api_key_file",
        }:
            assert option("serve", field.name).default == field.default, field.name


def test_python_bulk_and_the_command_line_have_the_same_defaults() -> None:
    load, stream = inspect.signature(serein.load), inspect.signature(serein.Stream)
    bulk = BulkSettings(defaults.DEFAULT_MODEL)
    for command in ("predict", "listen"):
        assert option(command, "model").default == load.parameters["model"].default
        for name in ("provider", "unsure_below"):
            default = load.parameters[name].default
            assert option(command, name).default == getattr(bulk, name) == default
    for name in ("window", "hop"):
        assert option("listen", name).default == stream.parameters[f"{name}_s"].default
    assert option("predict", "max_seconds").default == bulk.max_s == DEFAULT_LIMITS.max_s
