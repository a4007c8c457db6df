"""What leaks do to two recipes on RAVDESS: `make leaks`, into results/leaks.json and the docs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from library import (
    RESULTS,
    ROOT,
    Row,
    parser,
    rounded,
    table,
    uar,
    uar_of,
    write_between,
    write_json,
)

RECIPE = "recipes/ravdess.toml"
RECIPES = {  # name in the results -> title, arguments
    "ravdess/svm": ("SVM on acoustic features", ["--corpus", "ravdess", "--model", "svm"]),
    "ravdess/recipe": ("Whisper-base + ridge regression, augmented", [RECIPE]),
}
MARK = "<!-- make leaks -->"


def main() -> None:
    """Run both recipes, then write rows and document."""
    options = parser(__doc__, "data", "weights").parse_args()
    rows = [row for recipe in RECIPES for row in check(recipe, options)]
    write_json(RESULTS / "leaks.json", rows)
    write_document(ROOT / "docs/EVALUATION.md", rows)


def check(recipe: str, options: argparse.Namespace) -> list[Row]:
    """Evaluate a recipe with and without leaks."""
    command = [sys.executable, "-m", "serein", "check-leaks", *RECIPES[recipe][1]]
    folders = ("--data", options.data.resolve()), ("--weights", options.weights.resolve())
    command += [*(str(word) for pair in folders for word in pair), "--json"]
    said = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    rows = []
    for line in said.splitlines():
        row = json.loads(line)
        kept = {"recipe": recipe, "split": row["split"], "protocol": row["protocol"]}
        rows.append(rounded(kept | uar_of(row)))
    return rows


def write_document(document: Path, rows: list[Row]) -> None:
    """Put the table between the marks of the document."""
    write_between(document, MARK, markdown(rows))


def markdown(rows: list[Row]) -> str:
    """Write a row a recipe, a column a split."""
    splits = list(dict.fromkeys(row["split"] for row in rows))
    lines = []
    for recipe, (title, arguments) in RECIPES.items():
        cells = [uar(row) for row in rows if row["recipe"] == recipe]
        lines.append([f"{title} (`{' '.join(arguments)}`)", *cells])
    return table(["RAVDESS, UAR (95 % interval by speaker)", *splits], lines)


if __name__ == "__main__":
    main()
