"""What the benches share: common options, files of results, tables of Markdown."""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from serein.evaluation.result import Result

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
OPTIONS: dict[str, Path | str] = {  # folders by their default, flags by their help
    "data": ROOT / "../shared/corpora",
    "weights": ROOT / "../shared/weights",
    "again": "run what is there already",
    "table": "run nothing; write the tables from the results",
}

COLUMNS = ("file", "speaker", "fold", "truth", "answer")  # of what a system said, clip by clip

Row = dict[str, Any]


# --- options ---


def parser(description: str | None, *common: str, **own: Path | str) -> argparse.ArgumentParser:
    """Make a parser with some of the common options, and own ones: defaults of paths, or help."""
    made = argparse.ArgumentParser(description=description)
    for name, value in ({key: OPTIONS[key] for key in common} | own).items():
        if isinstance(value, Path):
            made.add_argument(f"--{name}", type=Path, default=value)
        else:
            made.add_argument(f"--{name}", action="store_true", help=value)
    return made


# --- results ---


def read_json(file: Path) -> Any:
    """Read results; an empty list if there are none yet."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def write_json(file: Path, content: Any) -> None:
    """Write results as JSON, the whole file at once."""
    write_whole(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_lines(file: Path, rows: Iterable[Row]) -> None:
    """Write rows as JSON, one line per row, the whole file at once."""
    lines = ",\n".join(f" {json.dumps(row)}" for row in rows)
    write_whole(file, f"[\n{lines}\n]\n")


def write_whole(file: Path, text: str) -> None:
    """Write a file under another name first, so that it never holds only a part."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.part")  # two processes may write the same file
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def write_answers(result: Any, file: Path) -> None:
    """Write what a system said, a row a clip, without probabilities."""
    labels = np.array(result.labels)
    columns = result.about["file"], result.speakers, result.fold
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(zip(*columns, labels[result.truth], labels[result.prediction], strict=True))


def read_answers(file: Path) -> Any:
    """Read what a system said, with probabilities or without: (clips, columns)."""
    with file.open(newline="", encoding="utf-8") as text:
        rows = csv.DictReader(text)
        missing = set(COLUMNS) - set(rows.fieldnames or ())
        if missing:
            raise SystemExit(f"{file} lacks {', '.join(sorted(missing))}: run it --again")
        return np.array([[row[column] for column in COLUMNS] for row in rows])


def result_of(protocol: str, answers: Any) -> Result:
    """Make a result of predictions without probabilities, which UAR does not ask for."""
    files, speakers, fold, emotions, predicted = answers.T
    labels = np.unique([emotions, predicted])
    truth, number = np.searchsorted(labels, emotions), np.searchsorted(labels, predicted)
    certain, about = np.eye(len(labels))[number], {"file": files}
    names = tuple(labels.tolist())
    return Result(protocol, names, truth, certain, speakers, fold.astype(int), about)


def uar_of(scores: Row) -> Row:
    """Take UAR and the ends of its interval out of a result's scores."""
    low, high = scores["uar_interval_95"]
    return {"uar": scores["uar"], "low": low, "high": high}


def rounded(row: Row) -> Row:
    """Round every float of a row to four decimals."""
    return {key: round(x, 4) if isinstance(x, float) else x for key, x in row.items()}


# --- Markdown ---


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table."""
    return "\n".join([*table_head(heads), *map(line, rows)])


def table_head(heads: Iterable[str]) -> list[str]:
    """Write the first two lines of a table."""
    heads = list(heads)
    return [line(heads), "|---" * len(heads) + "|"]


def line(cells: Iterable[str]) -> str:
    """Write a line of a table."""
    return f"| {' | '.join(cells)} |"


def interval(value: float, low: float, high: float, form: str = ".3f") -> str:
    """Write a value with its interval."""
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def uar(row: Row) -> str:
    """Write the UAR of a row with its interval."""
    return interval(row["uar"], row["low"], row["high"])


def write_between(document: Path, mark: str, text: str) -> None:
    """Put text between the two marks of a document."""
    old = document.read_text(encoding="utf-8")
    document.write_text(between(old, mark, text, document.name), encoding="utf-8")


def between(document: str, mark: str, text: str, name: str) -> str:
    """Return a document with other text between its two marks."""
    if document.count(mark) != 2:
        raise SystemExit(f"{name} has {document.count(mark)} times {mark}: it needs two")
    before, _, after = document.split(mark)
    return f"{before}{mark}\n{text}\n{mark}{after}"
