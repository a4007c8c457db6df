"""What differential privacy costs, on unseen speakers of EmoDB and RAVDESS: `make private`.

The perceptron of `--corpus … --model mlp` at several ε, each run anew, for its noise cannot be
repeated. Rates, batches and the like are chosen once, on nEMO, a third corpus, and the scaling of
features is taken from it too, so neither costs any privacy of the two that are judged. Answers are
kept in --work as they come; a run that was killed goes on from there. --table needs no data.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt
from library import RESULTS, ROOT, Row, parser, read_json, write_between, write_json
from library import line as table_line
from library import uar as uar_with_interval
from sklearn.model_selection import GroupKFold

from serein.cli.progress import progress_bar
from serein.evaluation.intervals import speaker_interval
from serein.evaluation.metrics import uar
from serein.experiment.checks import VECTORS, front_end
from serein.experiment.data import read_corpora
from serein.experiment.evaluate import fit_folds
from serein.experiment.prepare import Prepared, describe, inside, prepare, stack
from serein.experiment.recipe import Data, Model, uncalibrated
from serein.experiment.recipe_file import short_recipe
from serein.training.plan import Training

MARK = "<!-- dp -->"
CORPORA = ("emodb", "ravdess")
PUBLIC = "nemo"
EPSILONS = (30.0, 8.0, 3.0, 1.0)
CHOSEN_AT = 3.0
RUNS = 3
DELTA = 1e-5
GRID = {
    "batch_size": (128, 512),
    "epochs": (30, 100),
    "learning_rate": (3e-3, 1e-2, 3e-2),
    "dense": (32, 128),
}
PUBLIC_CLIPS, PUBLIC_FOLDS = 600, 3  # of nEMO: about as many to learn from as in EmoDB

Array = npt.NDArray[Any]


def main() -> None:
    """Choose settings, measure what is missing, then write table and document."""
    options = parser(
        __doc__,
        "data",
        "table",
        work=ROOT / "runs/private",
        out=RESULTS / "private.json",
        document=RESULTS / "private.md",
    ).parse_args()
    if not options.table:
        kept = Kept(options.work)
        public = read_public(options.data)
        settings = chosen(public, kept)
        rows = [row for name in CORPORA for row in measured(name, options, public, settings, kept)]
        write_json(options.out, {"settings": settings, "rows": rows})
    write_between(options.document, MARK, markdown(read_json(options.out)))


class Kept:
    """What was measured before, a JSON file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """Measure, unless it is there."""
        file = self.folder / f"{name}.json"
        if not file.exists():
            write_json(file, measure())
        return read_json(file)


def read(name: str, data: Path) -> Prepared:
    """Read a corpus to be judged, as its recipe for the perceptron says."""
    recipe = uncalibrated(short_recipe(name, "mlp"))
    return prepare(recipe, data=data, progress_bar=progress_bar)


def read_public(data: Path) -> Prepared:
    """Read as many clips of each speaker of the public corpus, drawn from a fixed seed."""
    recipe = replace(
        uncalibrated(short_recipe(CORPORA[0], "mlp")), name=PUBLIC, data=Data((PUBLIC,))
    )
    whole = read_corpora(recipe, data)[0]
    speakers, random = np.array([clip.speaker for clip in whole]), np.random.default_rng(0)
    names = np.unique(speakers)
    rows = [
        random.choice(np.flatnonzero(speakers == name), PUBLIC_CLIPS // len(names), replace=False)
        for name in names
    ]
    clips = tuple(whole.utterances[row] for row in np.sort(np.concatenate(rows)))
    corpus = replace(whole, utterances=clips, official=False)
    groups = np.array([clip.speaker for clip in corpus])
    folds = list(GroupKFold(PUBLIC_FOLDS).split(groups, groups=groups))
    front = front_end(recipe.features or VECTORS)
    X = stack(describe(corpus, front, None, progress_bar), front)
    words = f"{PUBLIC_FOLDS} folds of speakers"
    return Prepared(recipe, corpus, (corpus,), folds, words, front, X, public=X)


def chosen(public: Prepared, kept: Kept) -> Row:
    """Choose settings on clips of the public corpus, in folds of its speakers."""
    tried = [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]
    scores = []
    for settings in tried:
        name = "-".join(["tune", *map(str, settings.values())])
        scores.append(kept.once(name, lambda s=settings: score(public, s)))
        print(name, scores[-1], flush=True)
    best = int(np.argmax(scores))
    return {
        "epsilon": CHOSEN_AT,
        **tried[best],
        "uar": scores[best],
        "tried": len(tried),
        "on": f"{len(public.X)} clips of {PUBLIC}, {public.protocol}",
    }


def with_settings(prepared: Prepared, epsilon: float, settings: Row, seed: int = 0) -> Prepared:
    """Put privacy and settings into a recipe; ε of 0 is none."""
    own = {name: settings[name] for name in GRID if name != "dense"}
    training = Training(**own, privacy_epsilon=epsilon, privacy_delta=DELTA)
    recipe = replace(
        prepared.recipe,
        model=Model("mlp", {"dense": settings["dense"], "dropout": 0.0}),
        training=training,
        protocol=replace(prepared.recipe.protocol, seed=seed),
    )
    return replace(prepared, recipe=recipe)


def score(prepared: Prepared, settings: Row) -> float:
    """Cross-validate once."""
    result = fit_folds(with_settings(prepared, CHOSEN_AT, settings)).predict(prepared.X)
    return round(float(result.scores()["uar"]), 4)


def measured(
    name: str, options: argparse.Namespace, public: Prepared, settings: Row, kept: Kept
) -> Iterator[Row]:
    """Judge a corpus without privacy, as its recipe says and as settled for it, and at each ε."""
    prepared = read(name, options.data)
    scaled = replace(prepared, public=public.X)
    cases: dict[str, tuple[float, Callable[[int], Prepared]]] = {
        "the recipe": (0.0, lambda run: with_seed(prepared, run)),
        "no noise": (0.0, lambda run: with_settings(scaled, 0.0, settings, run)),
    }
    for epsilon in EPSILONS:
        cases[f"{epsilon:g}"] = (
            epsilon,
            lambda run, epsilon=epsilon: with_settings(scaled, epsilon, settings, run),
        )
    for case, (epsilon, make) in cases.items():
        runs = [
            kept.once(
                f"{name}-{case.replace(' ', '-')}-{run}", lambda run=run, make=make: one(make(run))
            )
            for run in range(RUNS)
        ]
        row = {"corpus": name, "protocol": prepared.protocol, "case": case, "epsilon": epsilon}
        yield row | summary(prepared, runs)
        print(row | summary(prepared, runs), flush=True)


def with_seed(prepared: Prepared, seed: int) -> Prepared:
    """Let a run start from other weights."""
    recipe = prepared.recipe
    return replace(prepared, recipe=replace(recipe, protocol=replace(recipe.protocol, seed=seed)))


def one(prepared: Prepared) -> Row:
    """Cross-validate: the answers, and the most that a fold gave away."""
    fitted = fit_folds(prepared, progress_bar=progress_bar)
    spent = [inside(member, "privacy_") for member, _ in fitted.members]
    return {
        "answer": fitted.predict(prepared.X).prediction.tolist(),
        "spent": max((fold["epsilon"] for fold in spent if fold), default=0.0),
        "noise": max((fold["noise"] for fold in spent if fold), default=0.0),
    }


def summary(prepared: Prepared, runs: list[Row]) -> Row:
    """Average UAR over runs; its interval is drawn by speaker, all runs together."""
    labels, truth = np.unique(prepared.emotions, return_inverse=True)
    answers = np.array([run["answer"] for run in runs]).T

    def mean(truth: Array, answers: Array) -> float:
        return float(np.mean([uar(truth, answer) for answer in answers.T]))

    low, high = speaker_interval(mean, truth, answers, np.array(prepared.speakers))
    each = [uar(truth, answer) for answer in answers.T]
    return {
        "uar": round(mean(truth, answers), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "least": round(float(min(each)), 4),
        "most": round(float(max(each)), 4),
        "runs": len(runs),
        "delta": DELTA,
        "spent": round(max(run["spent"] for run in runs), 3),
        "noise": round(max(run["noise"] for run in runs), 3),
        "recordings": len(truth),
        "chance": round(1 / len(labels), 4),
    }


def markdown(found: Row) -> str:
    """Write a table a corpus, and how it was measured."""
    settings, parts = found["settings"], []
    for corpus in CORPORA:
        rows = [row for row in found["rows"] if row["corpus"] == corpus]
        about = "**{corpus}**, {recordings} recordings, {protocol}, chance {chance:.3f}:"
        parts += [about.format(**rows[0]), "", HEAD, *map(line, rows), ""]
    chosen = ", ".join(f"`{name} = {settings[name]:g}`" for name in GRID)
    first = found["rows"][0]
    words = (
        f"UAR is the mean of {first['runs']} runs, its 95 % interval drawn by speaker. δ is "
        f"{first['delta']:g}; ε is what a fold spent at most, of what the row was allowed. The "
        f"settings, {chosen}, without dropout, are the best of {settings['tried']} that were tried "
        f"at ε = {settings['epsilon']:g} on {settings['on']} (UAR {settings['uar']:.3f} there), "
        f"from which the scaling of features is taken too; features are those of the recipe."
    )
    return "\n".join([*parts, fill(words, 108, break_on_hyphens=False)])


def line(row: Row) -> str:
    """Write a row of a table."""
    names = {
        "the recipe": "none: `--corpus {corpus} --model mlp`",
        "no noise": "none: the settings of the rows below, no noise",
    }
    name = names.get(row["case"], "ε = {case} ({spent:.2f} spent)").format(**row)
    cells = [
        name,
        f"{row['noise']:.2f}" if row["epsilon"] else "",
        uar_with_interval(row),
        f"{row['least']:.3f} to {row['most']:.3f}",
    ]
    return table_line(cells)


HEAD = "| privacy | noise, in clips | UAR (95 % interval) | single runs |\n|---|---|---|---|"

if __name__ == "__main__":
    main()
