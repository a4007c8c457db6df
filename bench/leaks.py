"""What leaks do to two recipes on RAVDESS: `make leaks`, into results/leaks.json and the docs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROBE = "recipes/ravdess-probe.toml"
RECIPES = {  # name in the results -> title, arguments
    "ravdess/svm": ("SVM on acoustic features", ["--corpus", "ravdess", "--model", "svm"]),
    "ravdess/probe": ("Whisper-base + logistic regression", [PROBE]),
}
MARK = "<!-- make leaks -->"
Row = dict[str, Any]


def main() -> None:
    """Run both recipes, then write rows and document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/corpora")
    parser.add_argument("--weights", type=Path, default=ROOT / "../shared/weights")
    options = parser.parse_args()
    rows = [row for recipe in RECIPES for row in check(recipe, options)]
    out = ROOT / "results/leaks.json"
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
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
        low, high = row["uar_interval_95"]
        numbers = {"uar": row["uar"], "low": low, "high": high}
        kept = {"recipe": recipe, "split": row["split"], "protocol": row["protocol"]}
        rows.append(kept | {name: round(value, 4) for name, value in numbers.items()})
    return rows


def write_document(document: Path, rows: list[Row]) -> None:
    """Put the table between the marks of the document."""
    before, _, after = document.read_text(encoding="utf-8").split(MARK)
    text = f"{before}{MARK}\n{markdown(rows)}\n{MARK}{after}"
    document.write_text(text, encoding="utf-8")


def markdown(rows: list[Row]) -> str:
    """Write a row a recipe, a column a split."""
    splits = list(dict.fromkeys(row["split"] for row in rows))
    lines = [
        f"| RAVDESS, UAR (95 % interval by speaker) | {' | '.join(splits)} |",
        "|---" * (1 + len(splits)) + "|",
    ]
    for recipe, (title, arguments) in RECIPES.items():
        cells = [
            f"{row['uar']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
            for row in rows
            if row["recipe"] == recipe
        ]
        lines.append(f"| {title} (`{' '.join(arguments)}`) | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
