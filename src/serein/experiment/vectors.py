"""Vectors that are there already: a CSV table with a row a recording."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serein.corpora import Corpus
from serein.errors import CorpusError

Array = npt.NDArray[np.float32]


def read_vectors(table: str | Path, corpus: Corpus) -> Array:
    """Read the vectors of a corpus's clips, found by file name.

    Parameters
    ----------
    table : str or path
        A CSV file with the column ``file``; all other columns are numbers.
    corpus : Corpus
        The clips.

    Returns
    -------
    numpy.ndarray
        Shape (clips, features), float32.

    Raises
    ------
    CorpusError
        If it cannot be read, a clip is missing or there twice, or a value is not a finite number.
    """
    table = Path(table)
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{table}: cannot be read as a table of features: {error}") from error
    columns = [name for name in (rows[0] if rows else {}) if name and name != "file"]
    if not columns or "file" not in rows[0]:
        raise CorpusError(f"{table} needs the column file, columns of numbers, and rows")
    by_name: dict[str, dict[str, str]] = {}
    for row in rows:
        name = Path(row["file"] or "").name
        if name in by_name:
            raise CorpusError(f"{table} has {name} twice: is it a table of frames? pool them")
        by_name[name] = row
    names = Counter(path.name for path in corpus.paths)
    same = [name for name, count in names.items() if count > 1]
    if same:
        raise CorpusError(
            f"{corpus.name} has several clips called {same[0]}, which a table cannot tell apart"
        )
    missing = [path.name for path in corpus.paths if path.name not in by_name]
    if missing:
        raise CorpusError(f"{table} has no row for {len(missing)} clips, {missing[0]} for one")
    return np.stack([_numbers(by_name[path.name], columns, table) for path in corpus.paths])


def _numbers(row: dict[str, str], columns: list[str], table: Path) -> Array:
    try:
        values = np.array([float(row[name]) for name in columns])
    except (TypeError, ValueError) as error:
        raise CorpusError(f"{table}: {row['file']}: not all columns are numbers: {error}") from None
    wrong = np.flatnonzero(~(np.abs(values) <= np.finfo(np.float32).max))  # NaN is not, either
    if wrong.size:
        raise CorpusError(
            f"{table}: {row['file']}: {columns[wrong[0]]} is {values[wrong[0]]}; every feature "
            "must be a finite number"
        )
    return values.astype(np.float32)
