"""Voice and face, apart and fused, on RAVDESS's six actor folds: `make fusion`.

Every system is recipes/ravdess-voice-face.toml with another section [fusion]. Predictions are kept
clip by clip in results/fusion, and every number is computed from them, into results/fusion.json and
results/fusion.md. A part whose predictions are there is not run again (--again does); --table runs
nothing and needs no data.
"""

from __future__ import annotations

import argparse
import copy
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
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
)

from serein.cli.progress import progress_bar
from serein.evaluation.comparison import compare, holm
from serein.evaluation.cross_validation import FittedFolds
from serein.evaluation.result import Result
from serein.experiment.evaluate import fit_folds
from serein.experiment.prepare import Prepared, prepare
from serein.experiment.recipe_file import make_recipe
from serein.models.fusion import RULES

RECIPE = ROOT / "recipes/ravdess-voice-face.toml"
MARK, FEW_MARK = "<!-- make fusion -->", "<!-- few labels -->"
PROTOCOL = "six RAVDESS actor folds, unseen speakers"
SEEDS = range(5)
ONCE: dict[str, Any] = {"protocol": {"calibration_folds": 0}}  # confidence is not scored here
NETWORK = {"method": "hybrid", "dropout": 0.5, "reduction": {"voice": 256}, "members": 3}
TRAINING = {"epochs": 12, "batch_size": 64, "label_smoothing": 0.1, "device": "cpu"}
FUSIONS: dict[str, dict[str, Any]] = {  # beside late fusion -> what the recipe says instead
    "early": ONCE
    | {
        "fusion": {
            "method": "early",
            "weights": {"face": 0.25},
            "reduction": {"face": "rbf"},
            "dropout": 0.25,
        }
    },
    "hybrid-gated": {"fusion": NETWORK | {"attention": "gated"}, "training": TRAINING},
    "hybrid-cross_modal": {"fusion": NETWORK | {"attention": "cross_modal"}, "training": TRAINING},
}
TITLES = {  # name of the file of predictions -> modalities, method
    "voice": ("voice", "the recipe's voice model"),
    "face": ("face", "action units"),
    "early": ("voice+face", "early: scaled blocks, ridge"),
    "late-weighted": ("voice+face", "late: weighted mean"),
    "late-stacked": ("voice+face", "late: stacked"),
    "late-product": ("voice+face", "late: product of experts"),
    "late-plain_product": ("voice+face", "late: product, all exponents 1"),
    "hybrid-gated": ("voice+face", "hybrid: gated units, 3 networks"),
    "hybrid-cross_modal": ("voice+face", "hybrid: cross-modal attention, 3 networks"),
    "committee": ("voice+face", "early, late product and both hybrids: mean log probability"),
    "half-early": ("voice+face of half", "early: face missing from half of the test clips"),
    "half-late-product": ("voice+face of half", "late product: face missing from half"),
    "half-committee": ("voice+face of half", "committee: face missing from half"),
    "adapted": ("voice+face", "late product, features normalised by speaker, all clips known"),
}
FEW = {
    "supervised": "late product, 10 % of the labels alone",
    "self-training": "self-training of it",
    "co-training": "co-training of voice and face",
}
ADAPTED = ("adapted",)
COMMITTEE = ("early", "late-product", "hybrid-gated", "hybrid-cross_modal")


def main() -> None:
    """Run what is missing, then write rows and the document from the predictions."""
    options = arguments()
    folder = options.out.with_suffix("")
    parts = {
        "fused": (fuse, [*TITLES][:-1]),
        "adapted": (adapt, [*ADAPTED]),
        "few": (few, few_names()),
    }
    for name, (run, names) in parts.items():
        missing = options.again or not all_there(folder, names)
        if name in options.only and missing and not options.table:
            folder.mkdir(parents=True, exist_ok=True)
            run(options, folder)
    rows = measured(folder)
    write_json(options.out, rows)
    write_between(RESULTS / "fusion.md", MARK, markdown(rows))
    write_between(RESULTS / "fusion.md", FEW_MARK, few_markdown(rows))
    print(markdown(rows), few_markdown(rows), sep="\n\n")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    options = parser(__doc__, "data", "weights", "again", "table", out=RESULTS / "fusion.json")
    options.add_argument("--face", type=Path, help="action units, in place of the recipe's table")
    names = ("fused", "adapted", "few")
    options.add_argument("--only", nargs="+", choices=names, default=names, help="parts to run")
    return options.parse_args()


# --- running ---


def variant(options: argparse.Namespace, **sections: dict[str, Any]) -> Prepared:
    """Prepare the recipe with other keys in some of its sections; [fusion] is replaced."""
    table = tomllib.loads(RECIPE.read_text(encoding="utf-8"))
    table["fusion"] = sections.pop("fusion", table["fusion"])
    for name, keys in sections.items():
        table[name] = table.get(name, {}) | keys
    if table["fusion"]["method"] != "late":  # which alone has a model of the face
        table["face"] = {"table": table["face"]["table"]}
    if table["fusion"]["method"] == "hybrid":
        del table["model"]
    if options.face:
        table["face"]["table"] = str(options.face.resolve())
    recipe = make_recipe(table, str(RECIPE), RECIPE.resolve().parent)
    return prepare(recipe, data=options.data, weights=options.weights, progress_bar=progress_bar)


def fuse(options: argparse.Namespace, folder: Path) -> None:
    """Judge voice, face and every fusion, also with the face missing from half of the clips."""
    data = variant(options)
    late, X, first = fit_folds(data), data.X, data.widths["voice"]
    halved, no_face, no_voice = X.copy(), X.copy(), X.copy()
    half = np.random.default_rng(0).permutation(len(X)) < len(X) / 2
    halved[half, first:], no_face[:, first:], no_voice[:, :first] = np.nan, np.nan, np.nan
    found = {f"late-{rule}": with_rule(late, rule).predict(X) for rule in RULES}
    found |= {"voice": late.predict(no_face), "face": late.predict(no_voice)}
    found["half-late-product"] = late.predict(halved)
    for name, sections in FUSIONS.items():
        fitted = fit_folds(variant(options, **sections))
        found |= {name: fitted.predict(X), f"half-{name}": fitted.predict(halved)}
        print(f"{name} fitted", flush=True)
    for prefix in ("", "half-"):
        found[f"{prefix}committee"] = committee([found[prefix + name] for name in COMMITTEE])
    for name in [*TITLES][:-1]:
        write_answers(found[name], folder / f"{name}.csv")


def with_rule(fitted: FittedFolds, rule: str) -> FittedFolds:
    """Put another rule over the same classifiers of late fusion."""
    members = []
    for member, test in fitted.members:
        other = copy.copy(member)
        other.estimator_ = member.estimator_.with_rule(rule)
        members.append((other, test))
    return replace(fitted, members=members)


def committee(results: list[Result]) -> Result:
    """Mean log probability of several systems; the largest decides."""
    logs = [np.log(np.maximum(result.probabilities, 1e-12)) for result in results]
    mean = np.exp(np.mean(logs, axis=0))
    return replace(results[0], probabilities=mean / mean.sum(axis=1, keepdims=True))


def adapt(options: argparse.Namespace, folder: Path) -> None:
    """Judge late fusion where the mean of its speaker's clips is taken off each clip."""
    data = variant(options)
    _, who = np.unique(data.speakers, return_inverse=True)
    means = np.stack([data.X[who == number].mean(axis=0) for number in range(who.max() + 1)])
    augmented = replace(data.augmented, X=data.augmented.X - means[who[data.augmented.parent]])
    centred = replace(data, X=data.X - means[who], augmented=augmented)
    write_answers(fit_folds(centred).predict(centred.X), folder / "adapted.csv")


def few(options: argparse.Namespace, folder: Path) -> None:
    """Judge learning from a tenth of the labels, with and without the clips that have none."""
    for seed in SEEDS:
        for name in FEW:
            method = "none" if name == "supervised" else name.replace("-", "_")
            fusion = {"rule": "product", "semi_supervised": method, "labelled": 0.1}
            data = variant(
                options, fusion=fusion, protocol={"seed": seed}, augmentation={"per_clip": 0}
            )
            write_answers(fit_folds(data).predict(data.X), folder / f"few-{name}-{seed}.csv")
        print(f"few labels: seed {seed + 1} of {len(SEEDS)}", flush=True)


def few_names() -> list[str]:
    """List the files of predictions for few labels."""
    return [f"few-{name}-{seed}" for seed in SEEDS for name in FEW]


# --- scoring ---


def all_there(folder: Path, names: list[str]) -> bool:
    """Say whether all predictions of a part are there."""
    return all((folder / f"{name}.csv").exists() for name in names)


def read_result(folder: Path, names: list[str]) -> Result:
    """Read predictions; several seeds are one result, in which a clip occurs once a seed."""
    tables = [read_answers(folder / f"{name}.csv") for name in names]
    for seed, table in enumerate(tables):
        table[:, 0] = np.char.add(f"{seed}/", table[:, 0])
    return result_of(PROTOCOL, np.concatenate(tables))


def measured(folder: Path) -> list[Row]:
    """Score all predictions that are there: every number of the documents."""
    rows = []
    there = [name for name in TITLES if all_there(folder, [name])]
    results = {name: read_result(folder, [name]) for name in there}
    singles = {name: results[name].scores()["uar"] for name in ("voice", "face") if name in there}
    best = max(singles, key=lambda name: singles[name]) if singles else None
    for name, result in results.items():
        modalities, method = TITLES[name]
        row = row_of(result, name, modalities, method)
        if best and name not in singles:
            row |= gain(results[best], result) | {"over": best}
        rows.append(row)
    if all_there(folder, few_names()):
        rows += list(few_rows(folder))
    tests = [row for row in rows if "p" in row]
    for row, value in zip(tests, holm([row["p"] for row in tests]), strict=True):
        row["p_holm"] = value
    return [rounded(row) for row in rows]


def few_rows(folder: Path) -> Iterator[Row]:
    """Score learning from few labels, the seeds together: UAR is then their mean."""
    files = {name: [f"few-{name}-{seed}" for seed in SEEDS] for name in FEW}
    results = {name: read_result(folder, files[name]) for name in FEW}
    for name, result in results.items():
        row = row_of(result, f"few-{name}", "voice+face", FEW[name])
        each = [read_result(folder, [file]).scores()["uar"] for file in files[name]]
        row |= {"clips": row["clips"] // len(SEEDS), "seeds": [round(value, 4) for value in each]}
        if name != "supervised":
            row |= gain(results["supervised"], result) | {"over": "few-supervised"}
        yield row


def row_of(result: Result, name: str, modalities: str, method: str) -> Row:
    """Score a result: UAR and its interval by speaker."""
    scores = result.scores()
    about = {"corpus": "ravdess", "system": name, "modalities": modalities, "method": method}
    others = {name: scores[name] for name in ("accuracy", "clips", "speakers")}
    return about | {"protocol": result.title} | uar_of(scores) | others


def gain(first: Result, second: Result) -> Row:
    """Compare with a result on the same clips, in pairs of the same speakers."""
    found = compare(first, second)
    low, high = found.interval_95
    return {"gain": found.difference, "gain_low": low, "gain_high": high, "p": found.p_value}


# --- writing ---


def markdown(rows: list[Row]) -> str:
    """Write the table of modalities and methods."""
    lines = table_head(("modalities", "method", "UAR", "accuracy", "over the better single", "p"))
    lines += [table_line(row) for row in rows if not row["system"].startswith("few-")]
    clips = {(row["clips"], row["speakers"]) for row in rows}
    counts = ", ".join(f"{many} clips of {people} speakers" for many, people in sorted(clips))
    return "\n".join([*lines, "", f"RAVDESS, 8 emotions, {PROTOCOL}; {counts}."])


def few_markdown(rows: list[Row]) -> str:
    """Write the table of few labels."""
    lines = table_head(("method", "UAR", "each seed", "over supervised only", "p"))
    for row in rows:
        if row["system"].startswith("few-"):
            seeds = ", ".join(f"{value:.3f}" for value in row["seeds"])
            lines.append(line([row["method"], uar(row), seeds, *difference(row)]))
    return "\n".join(lines)


def table_line(row: Row) -> str:
    """Write a row."""
    accuracy = f"{row['accuracy']:.3f}"
    return line([row["modalities"], row["method"], uar(row), accuracy, *difference(row)])


def difference(row: Row) -> tuple[str, str]:
    """Write a gain with its interval, and its p-value, adjusted for all tests."""
    if "gain" not in row:
        return "", ""
    gained = interval(row["gain"], row["gain_low"], row["gain_high"], "+z.3f")
    return gained, f"{row['p_holm']:.2g}"


if __name__ == "__main__":
    main()
