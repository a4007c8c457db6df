"""Voice and face, apart and fused, on RAVDESS's six actor folds: `make fusion`.

The voice is the recipe's (recipes/ravdess.toml, its changed copies included); the face is 35
OpenFace action units, the mean of each clip. Answers are kept clip by clip in results/fusion, and
every number is computed from them, into results/fusion.json and docs/FUSION.md. A part whose
answers are there is not run again (--again does); --table runs nothing and needs no data.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from accuracy import line, table_head, write_between
from peers import COLUMNS, Row, read_answers, write_rows
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from serein.cli.show import progress_bar
from serein.evaluation.comparison import compare, holm
from serein.evaluation.metrics import uar
from serein.evaluation.result import Result
from serein.evaluation.search.tuned import Tuned
from serein.experiment.prepare import prepare
from serein.experiment.recipe_file import read_recipe
from serein.models.catalogue import make_model
from serein.models.fusion import RULES, BlockRidge, EarlyFusion, HybridFusion, LateFusion
from serein.models.fusion.semi_supervised import CoTraining, SelfTraining
from serein.training.balance import Balanced
from serein.training.plan import Training

ROOT = Path(__file__).parents[1]
MARK, FEW_MARK = "<!-- make fusion -->", "<!-- few labels -->"
PROTOCOL = "six RAVDESS actor folds, unseen speakers"
SEEDS = range(5)
LABELLED = 0.1  # share of a fold's training clips that keep their label
FACES = {  # models of the face; the best in speaker folds of a fold's training part is taken
    "logistic 0.02": lambda: make_model("logistic", {"C": 0.02}),
    "logistic 0.2": lambda: make_model("logistic", {"C": 0.2}),
    "ridge": lambda: make_model("ridge"),
    "svm": lambda: make_model("svm", {"C": 3.0}),
}
FOOTINGS = (0.25, 0.5, 1.0)  # of the face in early fusion, chosen in the same way
PLAN = Training(epochs=12, batch_size=64, label_smoothing=0.1, device="cpu")
HYBRIDS = ("gated", "cross_modal")
TITLES = {  # name of the file of answers -> modalities, method
    "voice": ("voice", "the recipe's voice model"),
    "face": ("face", "action units; model chosen in the training folds"),
    "early": ("voice+face", "early: blocks on an equal footing, ridge"),
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
    "adapted": ("voice+face", "late product, adapted: all clips of the speaker known, unlabelled"),
}
FEW = {
    "supervised": "late product, 10 % of the labels alone",
    "self-training": "self-training of it",
    "co-training": "co-training of voice and face",
}
ADAPTED = ("adapted",)

Array = npt.NDArray[Any]
Answers = dict[str, Array]  # name of a system -> log probabilities


@dataclass(frozen=True)
class Data:
    """Clips of RAVDESS as two modalities, and changed copies of the voice."""

    voice: Array
    face: Array
    copies: Array
    parent: Array
    y: Array
    speakers: Array
    files: Array
    folds: list[tuple[Array, Array]]

    def pick(self, rows: Array) -> dict[str, Array]:
        """Return some clips as fusion takes them."""
        return {"voice": self.voice[rows], "face": self.face[rows]}

    def learn(self, train: Array, *, faces: bool) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return training clips and their copies, which have a face or none, and what is known."""
        mine = np.flatnonzero(np.isin(self.parent, train))
        rows = np.concatenate([train, self.parent[mine]])
        is_augmented = np.arange(len(rows)) >= len(train)
        face = self.face[rows]
        if not faces:
            face = np.where(is_augmented[:, None], np.nan, face)
        X = {"voice": np.concatenate([self.voice[train], self.copies[mine]]), "face": face}
        return X, {"is_augmented": is_augmented} | self.told(rows)

    def told(self, rows: Array) -> dict[str, Array]:
        """Return labels, speakers and class weights."""
        weight = compute_sample_weight("balanced", self.y[rows])
        return {"y": self.y[rows], "groups": self.speakers[rows], "sample_weight": weight}


def main() -> None:
    """Run what is missing, then write rows and the document from the answers."""
    options = arguments()
    folder = options.out.with_suffix("")
    parts = {
        "fused": (fuse, [*TITLES][:-1]),
        "adapted": (adapt, [*ADAPTED]),
        "few": (few, few_names()),
    }
    if not options.table:
        folder.mkdir(parents=True, exist_ok=True)
        data = None
        for name, (run, names) in parts.items():
            if name in options.only and (options.again or not all_there(folder, names)):
                data = data or load(options)
                run(data, folder)
    rows = measured(folder)
    write_rows(options.out, rows)
    write_between(ROOT / "docs/FUSION.md", MARK, markdown(rows))
    write_between(ROOT / "docs/FUSION.md", FEW_MARK, few_markdown(rows))
    print(markdown(rows), few_markdown(rows), sep="\n\n")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    face = ROOT / "../shared/modalities/ravdess_face/ravdess_au_mean.csv"
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/corpora")
    parser.add_argument("--weights", type=Path, default=ROOT / "../shared/weights")
    parser.add_argument("--face", type=Path, default=face, help="action units, a row a clip")
    parser.add_argument("--out", type=Path, default=ROOT / "results/fusion.json")
    names = ("fused", "adapted", "few")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="parts to run")
    parser.add_argument("--again", action="store_true", help="run what has answers already")
    parser.add_argument("--table", action="store_true", help="run nothing; write rows and tables")
    return parser.parse_args()


def load(options: argparse.Namespace) -> Data:
    """Describe the voices by the recipe, and read the faces; roots, as action units are skewed."""
    recipe = read_recipe(ROOT / "recipes/ravdess.toml")
    ready = prepare(recipe, data=options.data, weights=options.weights, progress_bar=progress_bar)
    if ready.augmented is None:
        raise SystemExit("recipes/ravdess.toml makes no copies; bench/fusion.py expects some")
    with options.face.open(newline="", encoding="utf-8") as text:
        table = {row.pop("file"): [*map(float, row.values())] for row in csv.DictReader(text)}
    files = ready.about["file"]
    lost = [name for name in files if name not in table]
    if lost:
        raise SystemExit(f"{options.face} has no row for {len(lost)} clips, {lost[0]} for one")
    face = np.sqrt(np.array([table[name] for name in files]))
    y, speakers = np.array(ready.emotions), np.array(ready.speakers)
    copies = ready.augmented
    return Data(ready.X, face, copies.X, copies.parent, y, speakers, files, ready.folds)


# --- running ---


def fuse(data: Data, folder: Path) -> None:
    """Judge voice, face and every fusion, also with the face missing from half of the clips."""
    random = np.random.default_rng(0)
    halved = random.permutation(len(data.y)) < len(data.y) / 2
    found: Answers = {}
    for number, (train, test) in enumerate(data.folds):
        X = data.pick(test)
        fitted = fit_all(data, train)
        half = X | {"face": np.where(halved[test, None], np.nan, X["face"])}
        answers = {name: system.predict_log_proba(X) for name, system in fitted.items()}
        partly = {name: system.predict_log_proba(half) for name, system in fitted.items()}
        alone = fitted["late-product"].modality_probabilities(X)
        more = {
            "voice": np.log(alone["voice"]),
            "face": np.log(alone["face"]),
            "committee": committee(answers),
            "half-early": partly["early"],
            "half-late-product": partly["late-product"],
            "half-committee": committee(partly),
        }
        gather(found, answers | more, test, len(data.y))
        print(f"fold {number + 1} of {len(data.folds)}", flush=True)
    keep(found, data, folder)


def fit_all(data: Data, train: Array) -> dict[str, Any]:
    """Fit every fusion on the training part of a fold."""
    face = choose_face(data, train)
    late = LateFusion({"voice": make_model("ridge"), "face": face}, rule="product")
    X, told = data.learn(train, faces=False)  # the face's model needs no copies of itself
    late.fit(X, **told)
    fitted: dict[str, Any] = {f"late-{rule}": late.with_rule(rule) for rule in RULES}
    X, told = data.learn(train, faces=True)
    fitted["early"] = choose_early(data, train).fit(X, **told)
    for attention in HYBRIDS:
        hybrid = HybridFusion(
            attention, dropout=0.5, reduction={"voice": 256}, training=PLAN, members=3
        )
        fitted[f"hybrid-{attention}"] = hybrid.fit(X, **told)
    return fitted


def choose_face(data: Data, train: Array) -> Any:
    """Choose the face's model in folds of the training speakers."""

    def candidate(values: dict[str, Any]) -> Any:
        model = FACES[values.get("model", "ridge")]()
        return make_pipeline(StandardScaler(), model)

    tuned = Tuned(candidate({}), {"model": [*FACES]}, method="grid", start=(), candidate=candidate)
    tuned.fit(data.face[train], data.y[train], groups=data.speakers[train])
    print(f"face: {tuned.best_params_['model']}", flush=True)
    return FACES[tuned.best_params_["model"]]()


def choose_early(data: Data, train: Array) -> EarlyFusion:
    """Choose how heavy the face is, in folds of the training speakers, without copies."""
    nystroem = Nystroem(gamma=0.5 / data.face.shape[1], n_components=300, random_state=0)
    made = {
        footing: EarlyFusion(
            BlockRidge(), reduction={"face": nystroem}, weights={"face": footing}, dropout=0.25
        )
        for footing in FOOTINGS
    }
    scores = dict.fromkeys(FOOTINGS, 0.0)
    for inner, held in GroupKFold(3).split(train, groups=data.speakers[train]):
        classes, truth = np.unique(data.y[train[held]], return_inverse=True)
        for footing, early in made.items():
            early.fit(data.pick(train[inner]), **data.told(train[inner]))
            answer = np.searchsorted(classes, early.predict(data.pick(train[held])))
            scores[footing] += uar(truth, answer)
    best = max(scores, key=lambda footing: scores[footing])
    print(f"footing of the face: {best}", flush=True)
    return made[best]


def committee(answers: Answers) -> Array:
    """Mean log probability of the three kinds of fusion."""
    members = ("early", "late-product", *(f"hybrid-{attention}" for attention in HYBRIDS))
    return np.mean([answers[name] for name in members], axis=0)


def adapt(data: Data, folder: Path) -> None:
    """Judge late fusion where each clip is seen beside the mean of its speaker's clips."""
    _, who = np.unique(data.speakers, return_inverse=True)
    means = {
        name: np.stack([array[who == number].mean(axis=0) for number in range(who.max() + 1)])
        for name, array in data.pick(np.arange(len(who))).items()
    }
    beside = replace(
        data,
        voice=data.voice - means["voice"][who],
        face=data.face - means["face"][who],
        copies=data.copies - means["voice"][who[data.parent]],
    )
    found: Answers = {}
    for train, test in data.folds:
        face = choose_face(beside, train)
        late = LateFusion({"voice": make_model("ridge"), "face": face}, rule="product")
        X, told = beside.learn(train, faces=False)
        late.fit(X, **told)
        gather(found, {"adapted": late.predict_log_proba(beside.pick(test))}, test, len(who))
    keep(found, data, folder)


def few(data: Data, folder: Path) -> None:
    """Judge learning from a tenth of the labels, with and without the clips that have none.

    The voice has no copies, and is turned to the axes of the fold's training clips: that is quicker
    and changes nothing for a ridge.
    """
    weighed = {"voice": BlockRidge(), "face": make_model("logistic", {"C": 0.2})}
    balanced = {name: Balanced(model, "class_weights") for name, model in weighed.items()}
    base = LateFusion(balanced, rule="product")
    systems = {
        "supervised": base,
        "self-training": SelfTraining(base),
        "co-training": CoTraining(base),
    }
    for seed in SEEDS:
        found: Answers = {}
        for train, test in data.folds:
            small = replace(data, voice=turned(data.voice, train))
            known = labelled(data.y[train], np.random.default_rng(seed))
            y = np.where(known, data.y[train].astype(object), None)
            answers = {}
            for name, system in systems.items():
                rows = train[known] if name == "supervised" else train
                labels = data.y[rows] if name == "supervised" else y
                system.fit(small.pick(rows), labels, groups=data.speakers[rows])
                answers[f"few-{name}-{seed}"] = system.predict_log_proba(small.pick(test))
            gather(found, answers, test, len(data.y))
        keep(found, data, folder)
        print(f"few labels: seed {seed + 1} of {len(SEEDS)}", flush=True)


def turned(voice: Array, train: Array) -> Array:
    """Turn standardised columns to the axes of training clips, with the same penalty a column."""
    axes = make_pipeline(StandardScaler(), PCA()).fit(voice[train])
    result = axes.transform(voice)
    return result * np.sqrt(result.shape[1] / voice.shape[1])


def labelled(y: Array, random: np.random.Generator) -> Array:
    """Choose which clips keep their label: the same share of each class."""
    known = np.zeros(len(y), bool)
    for name in np.unique(y):
        own = random.permutation(np.flatnonzero(y == name))
        known[own[: round(LABELLED * len(own))]] = True
    return known


def few_names() -> list[str]:
    """List the files of answers for few labels."""
    return [f"few-{name}-{seed}" for seed in SEEDS for name in FEW]


def gather(found: Answers, answers: Answers, test: Array, clips: int) -> None:
    """Put a fold's answers where they belong."""
    for name, values in answers.items():
        found.setdefault(name, np.full((clips, values.shape[1]), np.nan))[test] = values


def keep(found: Answers, data: Data, folder: Path) -> None:
    """Write answers, a row a clip."""
    fold = np.empty(len(data.y), int)
    for number, (_, test) in enumerate(data.folds):
        fold[test] = number
    classes = np.unique(data.y)
    for name, values in found.items():
        answer = classes[values.argmax(axis=1)]
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as out:
            rows = csv.writer(out, lineterminator="\n")
            rows.writerow(COLUMNS)
            rows.writerows(zip(data.files, data.speakers, fold, data.y, answer, strict=True))


# --- scoring ---


def all_there(folder: Path, names: list[str]) -> bool:
    """Say whether all answers of a part are there."""
    return all((folder / f"{name}.csv").exists() for name in names)


def read_result(folder: Path, names: list[str]) -> Result:
    """Read answers; those of several seeds are one result, in which a clip occurs once a seed."""
    tables = [read_answers(folder / f"{name}.csv") for name in names]
    files = [f"{seed}/{name}" for seed, table in enumerate(tables) for name in table[:, 0]]
    _, speakers, fold, truth, answers = np.concatenate(tables).T
    labels = np.unique(truth)
    certain = np.eye(len(labels))[np.searchsorted(labels, answers)]
    return Result(
        PROTOCOL,
        tuple(labels.tolist()),
        np.searchsorted(labels, truth),
        certain,
        speakers,
        fold.astype(int),
        {"file": np.array(files)},
    )


def measured(folder: Path) -> list[Row]:
    """Score all answers that are there: every number of the documents."""
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
    return [
        {key: round(x, 4) if isinstance(x, float) else x for key, x in row.items()} for row in rows
    ]


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
    low, high = scores["uar_interval_95"]
    about = {"corpus": "ravdess", "system": name, "modalities": modalities, "method": method}
    numbers = {"uar": scores["uar"], "low": low, "high": high, "accuracy": scores["accuracy"]}
    counts = {"clips": scores["clips"], "speakers": scores["speakers"]}
    return about | {"protocol": result.title} | numbers | counts


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
    told = ", ".join(f"{many} clips of {people} speakers" for many, people in sorted(clips))
    return "\n".join([*lines, "", f"RAVDESS, 8 emotions, {PROTOCOL}; {told}."])


def few_markdown(rows: list[Row]) -> str:
    """Write the table of few labels."""
    lines = table_head(("method", "UAR", "each seed", "over supervised only", "p"))
    for row in rows:
        if row["system"].startswith("few-"):
            seeds = ", ".join(f"{value:.3f}" for value in row["seeds"])
            lines.append(line([row["method"], score(row), seeds, *difference(row)]))
    return "\n".join(lines)


def table_line(row: Row) -> str:
    """Write a row."""
    accuracy = f"{row['accuracy']:.3f}"
    return line([row["modalities"], row["method"], score(row), accuracy, *difference(row)])


def score(row: Row) -> str:
    """Write a UAR with its interval."""
    return f"{row['uar']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def difference(row: Row) -> tuple[str, str]:
    """Write a gain with its interval, and its p-value, adjusted for all tests."""
    if "gain" not in row:
        return "", ""
    ends = f"({row['gain_low']:+z.3f} to {row['gain_high']:+z.3f})"
    return f"{row['gain']:+z.3f} {ends}", f"{row['p_holm']:.2g}"


if __name__ == "__main__":
    main()
