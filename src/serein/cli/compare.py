"""The command compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serein.cli.show import add_row, echo, make_table, print_json, print_table
from serein.errors import counted

if TYPE_CHECKING:
    from serein.evaluation.report.side_by_side import SideBySide
    from serein.evaluation.result_file import Record


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(help="Folders that `serein evaluate … --out` wrote.", metavar="A B …"),
    ],
    score: Annotated[
        str, typer.Option(help="Score of the tests: uar, accuracy, f1_macro …")
    ] = "uar",
    out: Annotated[Path | None, typer.Option("--out", help="HTML page to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Put results side by side; test each against the first on the same clips."""
    from serein.evaluation.report.side_by_side import side_by_side, write_comparison
    from serein.evaluation.result_file import read_record

    records = [read_record(place) for place in results]
    table = side_by_side(records, score=score, names=_names(results, records))
    if as_json:
        print_json(table.to_dict())
    else:
        _show(table)
    if out:
        echo(f"written: {write_comparison(table, out)}", err=as_json)


def _names(places: Sequence[Path], records: Sequence[Record]) -> list[str] | None:
    """Add the folder to a name that several results have."""
    names = [record.name for record in records]
    if len(set(names)) == len(names):
        return None
    return [
        f"{name} ({place})" if names.count(name) > 1 else name
        for place, name in zip(places, names, strict=True)
    ]


def _show(table: SideBySide) -> None:
    from serein.evaluation.report.page import p_value, score, signed, span

    name = table.shown[table.score]
    grid = make_table(
        f"{name}, each tested against the first over the speakers of the same clips",
        "system",
        numbers=(f"{name} (95 %)", "difference (95 %)", "p (Holm)"),
    )
    for column in grid.columns[1:]:
        column.no_wrap = True
    for row in table.rows:
        value, interval = row.scores[table.score]
        tested = ["first" if row is table.rows[0] else "–", ""]
        if row.test:
            over = f"{signed(row.test.difference)} ({span(row.test.interval_95, sign=True)})"
            tested = [over, f"{p_value(row.test.p_value)} ({p_value(row.p_holm)})"]
        add_row(grid, row.name, f"{score(value)} ({span(interval)})", *tested)
    print_table(grid)
    least = [(row.test.least_p, row.test.speakers) for row in table.rows if row.test]
    for p, speakers in sorted(set(least)):
        echo(f"with {counted(speakers, 'speaker')} no p is below {p:.2g}")
    for row in table.rows:
        size = f"{counted(row.clips, 'clip')}, {counted(row.speakers, 'speaker')}"
        echo(f"{row.name}: {row.protocol}; {size}")
        for word, sentence in row.warnings.items():
            echo(f"  {word}: {sentence}")
