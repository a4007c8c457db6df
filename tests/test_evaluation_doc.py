"""docs/EVALUATION.md and results/*.md say what the results say, and the code knows."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from serein.experiment.splits import SPLITS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "EVALUATION.md").read_text(encoding="utf-8")
RESULTS = ROOT / "results"


@pytest.mark.parametrize("name", ["peers", "stress", "leaks"])
def test_the_tables_are_the_results(
    name: str, tmp_path: Path, load_bench: Callable[[str], ModuleType]
) -> None:
    rows = json.loads((RESULTS / f"{name}.json").read_text())
    text = TEXT if name == "leaks" else (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    document = tmp_path / "document.md"
    document.write_text(text, encoding="utf-8")
    load_bench(name).write_document(document, rows)
    assert document.read_text(encoding="utf-8") == text


def test_the_peers_can_be_computed_again_from_their_answers(
    load_bench: Callable[[str], ModuleType],
) -> None:
    rows = json.loads((RESULTS / "peers.json").read_text())
    assert load_bench("peers").measured(RESULTS / "peers") == rows
    assert {row["corpus"] for row in rows} == {"emodb", "ravdess"}
    assert len(rows) == 10
    found = set()
    for file in (RESULTS / "peers").glob("*.csv"):
        with file.open(encoding="utf-8") as opened:
            answers = list(csv.DictReader(opened))
        truth, said = ([row[name] for row in answers] for name in ("truth", "answer"))
        uar, accuracy = balanced_accuracy_score(truth, said), accuracy_score(truth, said)
        found.add((file.name.split("-")[0], round(uar, 4), round(accuracy, 4)))
        speakers = {(row["speaker"], row["fold"]) for row in answers}
        assert len(speakers) == len({speaker for speaker, _ in speakers})
    assert found == {(row["corpus"], row["uar"], row["accuracy"]) for row in rows}


def test_every_split_is_described() -> None:
    assert all(f"| `{name}` |" in TEXT for name in SPLITS)


def test_commands_exist() -> None:
    used = set(re.findall(r"^serein ([a-z-]+)", TEXT, re.M))
    assert used == {"evaluate", "compare", "stress", "explain"}
    command = [sys.executable, "-m", "serein", "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(name in help_text for name in used)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make (\w+)`", TEXT):
        assert f"\n{target}: " in makefile


def test_affect_is_shown_as_measured(load_bench: Callable[[str], ModuleType]) -> None:
    bench = load_bench("affect")
    rows = json.loads((RESULTS / "affect.json").read_text())
    assert TEXT.split(bench.MARK)[1].strip() == bench.markdown(rows)
    assert len(rows) == 2 * len(bench.SYSTEMS)
