"""What commands share: a progress bar, errors and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from serein.errors import SereinError

if TYPE_CHECKING:
    from serein.evaluation.search.search import SearchResult
    from serein.experiment.evaluate import Evaluation

TRIALS_SHOWN = 10


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


def show_search(result: SearchResult) -> None:
    """Print the best trials of a search, and what it started from."""
    from rich.console import Console
    from rich.table import Table

    scored = [row for row in result.table if row["state"] == "complete"]
    best = sorted(scored, key=lambda row: -row["score"])[:TRIALS_SHOWN]
    names = sorted({name for row in result.table for name in row["values"]})
    table = Table(title=f"{result.method} search: {result.tried} trials, the best {len(best)}")
    for column in ("trial", "UAR", *names, "s"):
        table.add_column(column, justify="right", overflow="fold")
    first = [row for row in scored if row["number"] == 0 and row not in best]
    for row in [*best, *first]:
        values = [_short(row["values"].get(name, "as it was")) for name in names]
        cells = [str(row["number"]), f"{row['score']:.4f}", *values, f"{row['seconds']:.1f}"]
        table.add_row(*cells)
    Console().print(table)
    failed = [row for row in result.table if row["state"] == "failed"]
    if failed:
        typer.echo(f"{len(failed)} trials failed; the first: {failed[0]['error']}")
    typer.echo(
        f"best UAR {result.best_score:.4f}: chosen on these speakers, which flatters it; judge the "
        "recipe on others"
    )


def show_scores(evaluation: Evaluation) -> None:
    """Print the scores of each corpus, with what they were measured by."""
    result = evaluation.result
    typer.echo(f"{evaluation.prepared.recipe.name}: {result.title}")
    for sentence in result.leaks:
        typer.echo(f"  allowed: {sentence}")
    for corpus_name, scores in evaluation.by_corpus().items():
        typer.echo(_scores(corpus_name, scores))
    for corpus_name, scores in evaluation.by_corpus(int8=True).items():
        typer.echo(_scores(f"{corpus_name} int8", scores))
    for case in evaluation.adapted:
        typer.echo(_adapted(case.to_dict()))


def show_leaks(name: str, rows: list[dict[str, Any]]) -> None:
    """Print the honest score beside those of leaking splits."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{name}: what a leak would do")
    table.add_column("split")
    for column in ("UAR", "interval by speaker", "inflated by"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row["split"],
            f"{row['uar']:.3f}",
            interval_words(row["uar_interval_95"]),
            f"{row['inflation']:+.3f}" if row["leaks"] else "",
        )
    Console().print(table)
    typer.echo(f"honest: {rows[0]['protocol']}; copies: {rows[2]['protocol']}")


def interval_words(interval: list[float] | None) -> str:
    """Say an interval; that of a single speaker is not known."""
    if interval is None:
        return "one speaker: no interval"
    return f"95 % {interval[0]:.3f} to {interval[1]:.3f}"


def _adapted(row: dict[str, Any]) -> str:
    words = row["protocol"].rpartition("; ")[2]
    return f"UAR {row['uar']:.4f} ({interval_words(row['uar_interval_95'])})   {words}"


def _scores(name: str, scores: dict[str, Any]) -> str:
    return (
        f"{name:16} UAR {scores['uar']:.4f} ({interval_words(scores['uar_interval_95'])})   "
        f"accuracy {scores['accuracy']:.4f}   "
        f"ECE {scores['expected_calibration_error']:.3f}   "
        f"{scores['clips']} clips, {scores['speakers']} speakers"
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
