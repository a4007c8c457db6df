"""What commands print: tables, errors and JSON lines."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from serein.errors import SereinError, counted
from serein.language import Language, error_text, translated
from serein.untrusted import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from serein.evaluation.search.search import SearchResult
    from serein.experiment.evaluate import Evaluation
    from serein.recordings import Listing

TRIALS_SHOWN = 10
PICTURES = (".png", ".svg", ".pdf")
TO_TRY: dict[str, Language] = {}  # of the errors printed so far


def echo(text: object, *, err: bool = False) -> None:
    """Print one line, whatever is in the names and errors that it tells."""
    typer.echo(printable(text), err=err)


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object on a line of its own."""
    echo(json.dumps(values, ensure_ascii=False))


def print_error(
    file: str, error: SereinError, *, as_json: bool, lang: Language = Language.en
) -> None:
    """Print why an input failed: among the predictions as JSON, or on standard error."""
    if as_json:
        print_json({"file": file, "error": str(error)})
    else:
        echo(f"serein: {error_text(error, lang)}", err=True)
        TO_TRY[error.to_try] = lang


def print_what_to_try() -> None:
    """Print what to type after the errors that were printed, each command once."""
    named = "".join(word for word in sys.argv[1:2] if re.fullmatch(r"[a-z]+(-[a-z]+)*", word))
    for command, lang in TO_TRY.items():
        failed = re.fullmatch(f"serein {named}( [A-Z]+)*", command)  # just now
        typed = SereinError.to_try if failed else command
        line = " ".join(typed.replace("COMMAND", named).split())
        echo(translated("try: {}", lang).format(line), err=True)
    TO_TRY.clear()


def print_not_read(
    entry: str, listing: Listing, *, as_json: bool, lang: Language = Language.en
) -> bool:
    """Print what of a folder is not read: each as JSON, or counted; tell whether there is any."""
    for other in listing.not_read if as_json else ():
        print_json({"file": str(other.path), "error": f"{other.path}: {other.reason}"})
    if listing.not_read and not as_json:
        echo(f"serein: {error_text(f'{entry}: {listing.summary()}', lang)}", err=True)
    return bool(listing.not_read)


def make_table(title: str, *words: str, numbers: Sequence[str], **options: Any) -> Table:
    """Make a table: columns of words, then columns of numbers."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(printable(title), "table.title"), **options)
    for word in words:
        table.add_column(Text(printable(word)), overflow="fold")
    for number in numbers:
        table.add_column(Text(printable(number)), justify="right", overflow="fold")
    return table


def add_row(table: Table, *cells: str, style: str = "") -> None:
    """Add a row to a table; nothing in its texts is taken for markup."""
    from rich.text import Text

    table.add_row(*(Text(printable(cell), style) for cell in cells))


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal."""
    from rich.console import Console

    Console().print(table)


def check_target(target: Path, *sources: Path) -> None:
    """Raise if a file cannot be written there, or is a recording that is read."""
    from serein.tables import check_writable

    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise SereinError(f"{target} is the recording itself; name another file to write")
    if not target.parent.is_dir():
        raise SereinError(f"{target}: there is no folder {target.parent}; make it first")
    check_writable(target.parent)


def check_picture(target: Path, file: Path) -> None:
    """Raise if a picture of a recording cannot be written there."""
    if target.suffix.lower() not in PICTURES:
        raise SereinError(
            f"{target}: name the picture {', '.join(PICTURES[:-1])} or {PICTURES[-1]}"
        )
    check_target(target, file)


def picture_beside(file: Path, ending: str) -> Path:
    """Name the picture of a recording after it, what no name may hold escaped."""
    if str(file) == "-":
        raise SereinError(
            "the recording on standard input has no name: name the picture with --out"
        )
    return file.with_name(printable(file.stem) + ending)


def save_figure(target: Path, figure: Figure) -> None:
    """Write a figure in the format that the name says."""
    from serein.evaluation.report.fonts import figure_bytes
    from serein.tables import write_whole  # with numpy, which few commands need at their start

    write_whole(target, figure_bytes(figure, target.suffix.lower()))


def show_search(result: SearchResult) -> None:
    """Print the best trials of a search, and what it started from."""
    scored = [row for row in result.table if row["state"] == "complete"]
    best = sorted(scored, key=lambda row: -row["score"])[:TRIALS_SHOWN]
    names = sorted({name for row in result.table for name in row["values"]})
    title = f"{result.method} search: {result.tried} trials, the best {len(best)}"
    table = make_table(title, numbers=("trial", "UAR", *names, "s"))
    first = [row for row in scored if row["number"] == 0 and row not in best]
    for row in [*best, *first]:
        values = [_short(row["values"].get(name, "as it was")) for name in names]
        add_row(table, str(row["number"]), f"{row['score']:.4f}", *values, f"{row['seconds']:.1f}")
    print_table(table)
    failed = [row for row in result.table if row["state"] == "failed"]
    if failed:
        echo(f"{len(failed)} trials failed; the first: {failed[0]['error']}")
    echo(
        f"best UAR {result.best_score:.4f}: optimistic, for it was chosen on these speakers; "
        "evaluate the recipe on others"
    )


def show_scores(evaluation: Evaluation) -> None:
    """Print the scores of each corpus, with their protocol."""
    result = evaluation.result
    echo(f"{evaluation.prepared.recipe.name}: {result.title}")
    for sentence in result.leaks:
        echo(f"  allowed: {sentence}")
    for corpus_name, scores in evaluation.by_corpus().items():
        echo(_scores(corpus_name, scores))
    for corpus_name, scores in evaluation.by_corpus(int8=True).items():
        echo(_scores(f"{corpus_name} int8", scores))
    for case in evaluation.adapted:
        echo(_adapted(case.to_dict()))


def show_leaks(name: str, rows: list[dict[str, Any]]) -> None:
    """Print the speaker-independent score beside those of leaking splits."""
    columns = ("UAR", "interval by speaker", "inflated by")
    table = make_table(f"{name}: what a leak would do", "split", numbers=columns)
    for row in rows:
        add_row(
            table,
            row["split"],
            f"{row['uar']:.3f}",
            interval_words(row["uar_interval_95"]),
            f"{row['inflation']:+.3f}" if row["leaks"] else "",
        )
    print_table(table)
    for row in (rows[0], rows[-1]):
        echo(f"{row['split']}: {row['protocol']}")


def interval_words(interval: list[float] | None) -> str:
    """Write an interval; a single speaker has none."""
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
        f"{counted(scores['clips'], 'clip')}, {counted(scores['speakers'], 'speaker')}"
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
