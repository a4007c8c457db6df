"""How the recipes of EmoDB and RAVDESS bear harder recordings, on unseen speakers: `make stress`.

Each fold's model is asked about its own test speakers. Reads what `serein evaluate RECIPE --stress`
wrote into runs/stress, runs it where nothing is there (a run that was killed goes on where it was),
and writes results/stress.json and the table in results/stress.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from library import RESULTS, ROOT, Row, interval, line, parser, rounded, write_between, write_json

CORPORA = ("emodb", "ravdess")
CLIPS = 240
MARK = "<!-- stress -->"


def main() -> None:
    """Measure what is missing, then write rows and document."""
    options = parser(__doc__, "data", "weights", runs=ROOT / "runs/stress").parse_args()
    found = {}
    for corpus in CORPORA:
        file = options.runs / corpus / "stress.json"
        if not file.exists():
            evaluate(corpus, options)
        found[corpus] = json.loads(file.read_text(encoding="utf-8"))
    measured = [row for corpus, report in found.items() for row in rows(corpus, report)]
    write_json(RESULTS / "stress.json", measured)
    write_document(RESULTS / "stress.md", measured)


def evaluate(corpus: str, options: argparse.Namespace) -> None:
    """Judge a recipe, and put its folds' models to the test."""
    recipe = ROOT / f"recipes/{corpus}.toml"
    command = [sys.executable, "-m", "serein", "evaluate", str(recipe)]
    command += ["--data", str(options.data), "--weights", str(options.weights), "--int8"]
    command += ["--out", str(options.runs / corpus), "--stress", "--stress-clips", str(CLIPS)]
    subprocess.run(command, check=True)


def rows(corpus: str, report: dict[str, Any]) -> list[Row]:
    """Take the rows of one corpus out of its report: conditions, then groups of speakers."""
    head = {"corpus": corpus, "protocol": report["title"], "clips": report["clips"]}
    clean = {"condition": "clean", "test": "", "uar": report["clean"]["uar"], "unchanged": 1.0}
    listed = [head | clean | {"change": 0.0, "low": 0.0, "high": 0.0}]
    for name, entry in report["conditions"].items():
        low, high = entry["interval_95"]
        numbers = {key: entry[key] for key in ("uar", "unchanged")}
        change = {"change": entry["difference"], "low": low, "high": high}
        listed.append(
            head | {"condition": name, "test": entry["settings"]["test"]} | numbers | change
        )
    return [rounded(row) for row in listed]


def write_document(document: Path, measured: list[Row]) -> None:
    """Put the table between the marks of the document."""
    write_between(document, MARK, markdown(measured))


def markdown(measured: list[Row]) -> str:
    """Write a row a condition, with the corpora side by side."""
    first = {row["corpus"]: row for row in reversed(measured)}
    about = [row["protocol"] for row in first.values()]
    lines = [
        "`make stress`; " + "; ".join(sorted(about)) + ". 95 % intervals of the change by speaker.",
        "",
        "| condition | " + " | ".join(f"{c} UAR | change | unchanged" for c in CORPORA) + " |",
        "|---" * (1 + 3 * len(CORPORA)) + "|",
    ]
    for condition in dict.fromkeys(row["condition"] for row in measured):
        cells = [
            cell(row)
            for corpus in CORPORA
            for row in measured
            if row["condition"] == condition and row["corpus"] == corpus
        ]
        lines.append(line([condition, *cells]))
    return "\n".join(lines)


def cell(row: Row) -> str:
    """Write the three cells of a corpus."""
    if row["condition"] == "clean":
        return f"{row['uar']:.3f} | | "
    change = interval(row["change"], row["low"], row["high"], "+.3f")
    return f"{row['uar']:.3f} | {change} | {row['unchanged']:.0%}"


if __name__ == "__main__":
    main()
