"""The recipes beside a plain linear probe, in each corpus and across corpora: `make accuracy`.

Answers for unseen speakers are kept clip by clip in results/accuracy, unadapted and adapted by
what is known of the speaker, and every number is computed from those files by one function, into
results/accuracy.json, docs/ACCURACY.md and results/accuracy.md. What has its answers there is not
run again (--again does, and so does another recipe), and --table runs nothing: it needs no
recordings.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from library import (
    RESULTS,
    ROOT,
    Row,
    interval,
    line,
    parser,
    read_answers,
    result_of,
    rounded,
    table_head,
    uar,
    uar_of,
    write_answers,
    write_between,
    write_json,
    write_whole,
)
from peers import refuse_other_folds
from table import fingerprint

from serein.cli.progress import progress_bar
from serein.corpora import CORPORA
from serein.evaluation.comparison import compare, holm
from serein.evaluation.result import Result
from serein.evaluation.result_file import write_predictions
from serein.experiment.adapted_scores import KNOWN
from serein.experiment.evaluate import evaluate
from serein.experiment.prepare import prepare
from serein.experiment.recipe import Augmentation, Balance, Model, Recipe
from serein.experiment.recipe_file import read_recipe

MARK, KNOWN_MARK = "<!-- make accuracy -->", "<!-- known -->"
SYSTEMS = ("recipe", "probe")
Table = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Case:
    """What is learnt from, and what is tested on.

    Attributes
    ----------
    tested : str
        A corpus.
    learnt : tuple of str
        Other corpora; if none, the other speakers of the tested one.
    """

    tested: str
    learnt: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name in the rows."""
        return f"{'+'.join(self.learnt)} to {self.tested}" if self.learnt else self.tested

    @property
    def slug(self) -> str:
        """Its name in files."""
        return re.sub(r"[+ ]", "-", self.key)

    @property
    def title(self) -> str:
        """Its name in tables."""
        *learnt, tested = (CORPORA[name].title.split(",")[0] for name in self.corpora)
        return f"{' + '.join(learnt)} → {tested}" if learnt else tested

    @property
    def corpora(self) -> tuple[str, ...]:
        """All corpora, the tested one last."""
        return (*self.learnt, self.tested)


CASES = (
    Case("ravdess"),
    Case("emodb"),
    Case("nemo"),
    Case("nemo", ("emodb", "ravdess")),
    Case("ravdess", ("emodb", "nemo")),
    Case("emodb", ("ravdess", "nemo")),
)


def suffix(known: int | None, *, one_emotion: bool = False) -> str:
    """Say what a file of adapted answers ends in; `known` is None for all other utterances."""
    if one_emotion:
        return "-adapted-one-emotion"
    return "-adapted" if known is None else f"-adapted-{known}"


STATES: dict[str, Row] = {  # what a file ends in -> what is known of the speaker
    "": {"adapted": False, "one_emotion": False},
    **{suffix(n): {"adapted": n or "all", "one_emotion": False} for n in KNOWN},
    suffix(None, one_emotion=True): {"adapted": "all", "one_emotion": True},
}
PLAIN, WHOLE = (False, False), ("all", False)  # unadapted; all other utterances known


def main() -> None:
    """Run what is missing, then write rows and documents from the answers, and print the table."""
    options = arguments()
    folder = options.out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for case, system in [] if options.table else wanted(options.only):
        if options.again or not is_done(folder, case, system):
            print(f"{case.key}: {system}", flush=True)
            run(folder, case, system, options)
    rows = measured(folder)
    if not rows:
        raise SystemExit(f"{folder} holds no answers: run it without --table")
    write_json(options.out, rows)
    write_documents(ROOT, rows)
    print(markdown(rows))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    options = parser(__doc__, "data", "weights", "again", "table", out=RESULTS / "accuracy.json")
    names = [name for case in CASES for name in (case.slug, *(stem(case, s) for s in SYSTEMS))]
    only = f"of these only: {', '.join(names)}"
    options.add_argument("--only", nargs="+", choices=names, default=[], metavar="NAME", help=only)
    return options.parse_args()


def wanted(only: list[str]) -> list[tuple[Case, str]]:
    """List cases and systems, or those that are named."""
    every = [(case, system) for case in CASES for system in SYSTEMS]
    return [one for one in every if not only or {one[0].slug, stem(*one)} & set(only)]


def stem(case: Case, system: str, ending: str = "") -> str:
    """Name a file of answers, without .csv."""
    return f"{case.slug}-{system}{ending}"


def recipe_of(case: Case, system: str) -> Recipe:
    """Take the recipe of a case, or make the linear probe that is otherwise like it."""
    recipe = read_recipe(ROOT / f"recipes/{'cross-corpus' if case.learnt else case.tested}.toml")
    if case.learnt:
        protocol = replace(recipe.protocol, split="train_and_test", test=(case.tested,))
        recipe = replace(recipe, protocol=protocol)
    return probe(recipe, case) if system == "probe" else recipe


def probe(recipe: Recipe, case: Case) -> Recipe:
    """Make the plain linear probe of a recipe: the one that was published before it."""
    if recipe.encoder is None:
        raise SystemExit(f"{recipe.name} has no [encoder], so there is nothing to probe")
    trim = recipe.encoder.trim and case.key != "ravdess"
    return replace(
        recipe,
        encoder=replace(recipe.encoder, layers=(2, 3, 4), trim=trim, pool_after=0),
        model=Model("logistic", {"C": 0.005 if case.learnt else 0.02}),
        balance=recipe.balance if case.learnt else Balance("none"),
        augmentation=Augmentation(),
    )


def is_done(folder: Path, case: Case, system: str) -> bool:
    """Say whether all answers are there, and of the recipe as it is now."""
    told = read_told(folder).get(stem(case, system), {})
    there = all((folder / f"{stem(case, system, end)}.csv").exists() for end in STATES)
    return there and told.get("recipe") == fingerprint(recipe_of(case, system))


def run(folder: Path, case: Case, system: str, options: argparse.Namespace) -> None:
    """Judge a system on unseen speakers, adapted to them or not, and keep its answers."""
    recipe = recipe_of(case, system)
    data, weights = options.data, options.weights
    prepared = prepare(recipe, data=data, weights=weights, progress_bar=progress_bar)
    judged = evaluate(prepared, adaptation=True, progress_bar=progress_bar)
    name = stem(case, system)
    write_told(folder, name, None)  # from here on, until all files are written
    plain = judged.result
    only_file = replace(plain, about={"file": plain.about["file"]})
    write_predictions(only_file, folder / f"{name}.csv")
    for known in judged.adapted:
        ending = suffix(known.known, one_emotion=known.one_emotion)
        write_answers(known.result, folder / f"{name}{ending}.csv")
    write_told(folder, name, {"recipe": fingerprint(recipe), "protocol": plain.title})


def read_told(folder: Path) -> dict[str, dict[str, str]]:
    """Read of which recipe and protocol the answers are, a name a system of a case."""
    told = folder / "recipes.json"
    return json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}


def write_told(folder: Path, name: str, entry: dict[str, str] | None) -> None:
    """Write of which recipe and protocol a system's answers are, or that they are not whole."""
    told = read_told(folder)
    told.pop(name, None)
    if entry:
        told[name] = entry
    write_whole(folder / "recipes.json", json.dumps(told, indent=1, sort_keys=True) + "\n")


def measured(folder: Path) -> list[Row]:
    """Score all answers that are there: every number of the documents."""
    rows = [row for case in CASES for row in case_rows(folder, case)]
    return [rounded(row) for row in with_holm(rows)]


def case_rows(folder: Path, case: Case) -> Iterator[Row]:
    """Score the systems of a case, each by what is known of the speaker, side by side."""
    told = read_told(folder)
    systems = [system for system in SYSTEMS if stem(case, system) in told]
    places = {
        stem(case, system, ending): folder / f"{stem(case, system, ending)}.csv"
        for ending in STATES
        for system in systems
    }
    tables = {name: read_answers(place) for name, place in places.items()}
    refuse_other_folds(tables, places)
    for ending, state in STATES.items():
        results = {
            system: result_of(
                told[stem(case, system)]["protocol"], tables[stem(case, system, ending)]
            )
            for system in systems
        }
        for system, result in results.items():
            row = {"corpus": case.tested, "case": case.key, "system": system}
            yield row | state | scores(result) | (gain(results) if system == "recipe" else {})


def scores(result: Result) -> Row:
    """Score a result: UAR and its interval by speaker."""
    found = result.scores()
    about = {"classes": len(result.labels), "protocol": result.title}
    return about | uar_of(found) | {name: found[name] for name in ("clips", "speakers")}


def gain(results: dict[str, Result]) -> Row:
    """Compare the recipe with the probe, if it is there, in pairs of the same speakers."""
    if "probe" not in results:
        return {}
    found = compare(results["probe"], results["recipe"])
    low, high = found.interval_95
    ends = {"over_probe_low": low, "over_probe_high": high}
    return {"over_probe": found.difference} | ends | {"p": found.p_value}


def with_holm(rows: list[Row]) -> list[Row]:
    """Add p-values adjusted for all tests, unadapted and adapted on all other utterances."""
    family = [row for row in rows if "p" in row and state_of(row) in (PLAIN, WHOLE)]
    adjusted = holm([row["p"] for row in family])
    for row, value in zip(family, adjusted, strict=True):
        row["p_holm"] = value
    return rows


def state_of(row: Row) -> tuple[Any, bool]:
    """Say what is known of the speaker."""
    return row["adapted"], row["one_emotion"]


def pairs(rows: list[Row]) -> Iterator[tuple[Case, bool, Row, Row | None]]:
    """Give each case, unadapted and then adapted: the recipe's row and the probe's."""
    found = {(row["case"], row["system"], *state_of(row)): row for row in rows}
    for case in CASES:
        for state in (PLAIN, WHOLE):
            row = found.get((case.key, "recipe", *state))
            if row:
                yield case, state is WHOLE, row, found.get((case.key, "probe", *state))


def markdown(rows: list[Row]) -> str:
    """Write the table of recipe and probe, and by which protocol each case is judged."""
    heads = ("test", "emotions", "speakers", "clips", "linear probe", "recipe", "difference", "p")
    lines, notes = table_head(heads), []
    for case, adapted, row, other in pairs(rows):
        about = (str(row[name]) for name in ("classes", "speakers", "clips"))
        p_value = f"{row['p_holm']:.2g}" if "p_holm" in row else ""
        name = f"{case.title}{', adapted' if adapted else ''}"
        lines.append(line([name, *about, cell(other), cell(row), difference(row), p_value]))
        notes.append(f"- {case.title}: {row['protocol']}.")
    return "\n".join([*lines, "", *dict.fromkeys(notes)])


def known_markdown(rows: list[Row]) -> str:
    """Write the recipe's UAR by how many utterances of the speaker are known."""
    counts = ["all" if count is None else str(count) for count in KNOWN]
    lines = table_head(["test", "none", *counts, "all of one emotion"])
    for case in CASES:
        mine = [row for row in rows if row["case"] == case.key and row["system"] == "recipe"]
        found = {state_of(row): f"{row['uar']:.3f}" for row in mine}
        if found:
            cells = (found[state["adapted"], state["one_emotion"]] for state in STATES.values())
            lines.append(line([case.title, *cells]))
    return "\n".join(lines)


def cell(row: Row | None) -> str:
    """Write a score with its interval."""
    return uar(row) if row else ""


def difference(row: Row) -> str:
    """Write what a recipe has over the probe, with its interval."""
    if "over_probe" not in row:
        return ""
    return interval(row["over_probe"], row["over_probe_low"], row["over_probe_high"], "+z.3f")


def write_documents(root: Path, rows: list[Row]) -> None:
    """Put the tables between the marks of the documents."""
    write_between(root / "results/accuracy.md", MARK, markdown(rows))
    write_between(root / "docs/ACCURACY.md", KNOWN_MARK, known_markdown(rows))


if __name__ == "__main__":
    main()
