"""What commands share: a progress bar, errors and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from serein.errors import SereinError


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on the terminal, away from what the command prints."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object on a line of its own."""
    typer.echo(json.dumps(values, ensure_ascii=False))


def print_error(file: str, error: SereinError, *, as_json: bool) -> None:
    """Print why an input failed: among the answers as JSON, or on standard error."""
    if as_json:
        print_json({"file": file, "error": str(error)})
    else:
        typer.echo(f"serein: {error}", err=True)
