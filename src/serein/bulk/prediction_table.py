"""A journal of answers as a table: Parquet, CSV or JSON lines."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from serein.errors import MissingExtraError, ResultsError, unknown_name

Row = dict[str, Any]

ROWS = 10_000  # in memory at once
TEXT, TRUTH = ("file", "error", "emotion"), ("speech",)


def check_results(place: Path) -> None:
    """Check, before any work, that a table can be written there."""
    if place.suffix not in FORMATS:
        raise ResultsError(f"{place}: {unknown_name('format', place.suffix, FORMATS)}")
    if not place.absolute().parent.is_dir():
        raise ResultsError(f"{place}: there is no folder {place.parent}")
    if place.exists():
        raise ResultsError(f"{place}: is there already: give another name, or remove it")
    if place.suffix == ".parquet":
        _pyarrow()


def write_results(rows: Iterable[Row], labels: Sequence[str], place: Path) -> tuple[int, int]:
    """Write a table; it is there whole, or not at all."""
    kinds: Counter[bool] = Counter()

    def counted() -> Iterator[Row]:
        for row in rows:
            kinds[row["error"] is None] += 1
            yield row

    unfinished = place.with_name(f".{place.name}.unfinished")
    FORMATS[place.suffix](counted(), labels, unfinished)
    unfinished.replace(place)
    return kinds[True], kinds[False]


def _flat(row: Row, labels: Sequence[str]) -> Row:
    """Give a row all columns."""
    named = ("file", "error", "duration", "speech", "emotion", "confidence", "valence", "arousal")
    probabilities = row.get("probabilities", {})
    values = {name: row.get(name) for name in named}
    return values | {f"p_{label}": probabilities.get(label) for label in labels}


def _write_lines(rows: Iterable[Row], labels: Sequence[str], place: Path) -> None:
    with place.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(_flat(row, labels), ensure_ascii=False) + "\n")


def _write_csv(rows: Iterable[Row], labels: Sequence[str], place: Path) -> None:
    with place.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(_flat({}, labels)))
        writer.writeheader()
        writer.writerows(_flat(row, labels) for row in rows)


def _write_parquet(rows: Iterable[Row], labels: Sequence[str], place: Path) -> None:
    pa, parquet = _pyarrow()
    kinds = dict.fromkeys(TEXT, pa.string()) | dict.fromkeys(TRUTH, pa.bool_())
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in _flat({}, labels)])
    with parquet.ParquetWriter(place, schema) as writer:
        for part in _parts(rows):
            flat = [_flat(row, labels) for row in part]
            writer.write_table(pa.Table.from_pylist(flat, schema))


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while part := list(islice(left, ROWS)):
        yield part


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as cause:
        raise MissingExtraError("writing Parquet", "scale") from cause
    return pyarrow, parquet


FORMATS: dict[str, Callable[[Iterable[Row], Sequence[str], Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_lines,
}
