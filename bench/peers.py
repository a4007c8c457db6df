"""serein beside what the field uses, on the same folds of unseen speakers: `make peers`.

Each system's answers are kept clip by clip in results/peers/CORPUS-SYSTEM.csv, and every number is
computed from those files by one function, into results/peers.json and results/peers.md. A system
whose file is there is not run again (--again does), so with all of them there this needs neither
recordings nor openSMILE. openSMILE's licence allows research use only, nkululeko is MIT: neither is
a dependency of serein.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import peers_nkululeko
from library import (
    COLUMNS,
    RESULTS,
    ROOT,
    Row,
    parser,
    read_answers,
    result_of,
    rounded,
    uar,
    uar_of,
    write_between,
    write_json,
)
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from serein.cli.progress import progress_bar
from serein.corpora import CORPORA, Corpus
from serein.evaluation.protocol import Fold, leave_one_speaker_out, ravdess_actor_folds
from serein.experiment.evaluate import fit_folds
from serein.experiment.prepare import prepare
from serein.experiment.recipe import uncalibrated
from serein.experiment.recipe_file import read_recipe, short_recipe
from serein.features.feature_cache import default_cache

PROTOCOLS = {
    "emodb": (leave_one_speaker_out, "leave one speaker out"),
    "ravdess": (ravdess_actor_folds, "six RAVDESS actor folds, unseen speakers"),
}
MARK = "<!-- make peers -->"
C_GRID = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the linear SVM
INNER_FOLDS = 5

Answers = list[str]  # an emotion a clip, in the order of the corpus


@dataclass(frozen=True)
class Task:
    """What every system is given.

    Attributes
    ----------
    corpus : Corpus
        The clips.
    folds : list of (train, test)
        Of unseen speakers.
    weights : Path
        Folder of encoder weights.
    nkululeko : Path
        The Python of nkululeko's own environment.
    work : Path
        Folder for what is computed once.
    again : bool
        Whether finished folds of nkululeko are run again.
    """

    corpus: Corpus
    folds: list[Fold]
    weights: Path
    nkululeko: Path
    work: Path
    again: bool = False


@dataclass(frozen=True)
class System:
    """One way to recognise emotions.

    Attributes
    ----------
    title : str
        Its name in the table.
    note : str
        What has to be known of its settings.
    answer : callable
        Answers each clip with a model that has not heard its speaker.
    """

    title: str
    note: str
    answer: Callable[[Task], Answers]


def main() -> None:
    """Run what is missing, then write rows and document from the answers, and print the table."""
    options = arguments()
    folder = options.out.with_suffix("")
    for corpus in options.corpora:
        for slug in options.only:
            file = folder / f"{corpus}-{slug}.csv"
            if options.again or not file.exists():
                print(f"{corpus}: {SYSTEMS[slug].title}", flush=True)
                task = make_task(corpus, options)
                write_answers(file, task, SYSTEMS[slug].answer(task))
                write_json(options.out, measured(folder))
    rows = measured(folder)
    write_json(options.out, rows)
    write_document(options.document, rows)
    print(markdown(rows))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    options = parser(
        __doc__,
        "data",
        "weights",
        nkululeko=ROOT / ".venv-nkululeko/bin/python",
        out=RESULTS / "peers.json",
        document=RESULTS / "peers.md",
        again="run what has answers already; what is computed once (features, networks) stays",
    )
    options.add_argument("--corpora", nargs="+", choices=PROTOCOLS, default=[*PROTOCOLS])
    options.add_argument("--only", nargs="+", choices=SYSTEMS, default=[*SYSTEMS])
    return options.parse_args()


def make_task(name: str, options: argparse.Namespace) -> Task:
    """Read a corpus and deal its folds."""
    corpus = Corpus.load(name, options.data)
    folds = PROTOCOLS[name][0]([clip.speaker for clip in corpus])
    work = default_cache() / "peers"
    return Task(corpus, folds, options.weights, options.nkululeko, work, options.again)


def linear_svm(task: Task, *, feature_set: str) -> Answers:
    """Answer with a linear SVM over functionals of openSMILE."""
    X = functionals(task, feature_set)
    y = np.array([clip.emotion for clip in task.corpus])
    speakers = np.array([clip.speaker for clip in task.corpus])
    answers: npt.NDArray[np.str_] = np.empty_like(y)
    for train, test in task.folds:
        search = search_c().fit(X[train], y[train], groups=speakers[train])
        answers[test] = search.predict(X[test])
        chosen = search.best_params_["svc__C"]
        print(f"  {', '.join(np.unique(speakers[test]))}: C = {chosen:g}", flush=True)
    return list(map(str, answers))


def search_c() -> GridSearchCV:
    """Make a linear SVM that chooses C by UAR in inner folds of unseen speakers."""
    # What few speakers did not say is in no inner fold's UAR; scikit-learn says so each time.
    warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
    return GridSearchCV(
        make_pipeline(StandardScaler(), SVC(kernel=products, class_weight="balanced")),
        {"svc__C": C_GRID},
        scoring="balanced_accuracy",
        cv=GroupKFold(INNER_FOLDS),
    )


def products(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> Any:
    """Multiply all pairs at once: many times faster than libsvm's own linear kernel."""
    return one @ other.T


def functionals(task: Task, feature_set: str) -> npt.NDArray[np.float32]:
    """Describe each clip with a feature set of openSMILE, in processes, once."""
    folder = task.work / feature_set
    folder.mkdir(parents=True, exist_ok=True)
    work = partial(describe, feature_set=feature_set, folder=folder)
    rows = []
    with ProcessPoolExecutor() as pool, progress_bar(f"openSMILE {feature_set}") as progress:
        for row in pool.map(work, task.corpus.paths, chunksize=8):
            rows.append(row)
            progress(len(rows), len(task.corpus))
    return np.stack(rows)


def describe(file: Path, *, feature_set: str, folder: Path) -> npt.NDArray[np.float32]:
    """Describe one clip with openSMILE, or take what was kept of its content."""
    kept = folder / f"{hashlib.sha256(file.read_bytes()).hexdigest()}.npy"
    if kept.exists():
        vector: npt.NDArray[np.float32] = np.load(kept)
        return vector
    import opensmile

    level = opensmile.FeatureLevel.Functionals
    smile = opensmile.Smile(opensmile.FeatureSet[feature_set], level, num_workers=1)
    vector = smile.process_file(file).to_numpy(np.float32)[0]
    part = kept.with_suffix(f".{os.getpid()}.npy")
    np.save(part, vector)
    part.replace(kept)
    return vector


def nkululeko(task: Task) -> Answers:
    """Answer with nkululeko's own command line, once a fold."""
    folder = task.work / "nkululeko" / task.corpus.name
    if task.again:
        shutil.rmtree(folder, ignore_errors=True)
    return peers_nkululeko.answer(task.corpus, task.folds, task.nkululeko, folder)


def recipe(task: Task, *, model: str = "") -> Answers:
    """Answer with the recipe of a corpus, or of a model: uncalibrated, as make table has it."""
    name = task.corpus.name
    if model:
        used = uncalibrated(short_recipe(name, model))
    else:
        used = read_recipe(ROOT / f"recipes/{name}.toml")
    root, weights = task.corpus.root, task.weights
    prepared = prepare(used, data=root, weights=weights, progress_bar=progress_bar)
    result = fit_folds(prepared, progress_bar=progress_bar).predict(prepared.X)
    named = (result.labels[number] for number in result.prediction)
    answers = dict(zip(prepared.corpus.paths, named, strict=True))
    return [answers[path] for path in task.corpus.paths]


def write_answers(file: Path, task: Task, answers: Answers) -> None:
    """Keep the answers, a row a clip."""
    fold = np.zeros(len(task.corpus), dtype=int)
    for number, (_, test) in enumerate(task.folds):
        fold[test] = number
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(COLUMNS)
        for clip, number, answer in zip(task.corpus, fold, answers, strict=True):
            rows.writerow([clip.path.name, clip.speaker, number, clip.emotion, answer])
    part.replace(file)


def measured(folder: Path) -> list[Row]:
    """Score every system whose answers are there, the best of each corpus first."""
    rows = []
    for corpus in PROTOCOLS:
        files = {slug: folder / f"{corpus}-{slug}.csv" for slug in SYSTEMS}
        tables = {slug: read_answers(file) for slug, file in files.items() if file.exists()}
        refuse_other_folds(tables, files)
        scored = [score(SYSTEMS[slug], corpus, table) for slug, table in tables.items()]
        rows += sorted(scored, key=lambda row: -row["uar"])
    return rows


def refuse_other_folds(tables: dict[str, npt.NDArray[np.str_]], files: dict[str, Path]) -> None:
    """Stop unless all systems answered the same clips in the same folds."""
    for slug, table in tables.items():
        first = next(iter(tables))
        if not np.array_equal(table[:, :4], tables[first][:, :4]):
            raise SystemExit(
                f"{files[slug]} and {files[first]} are of other clips or folds; delete the one "
                "that is not of this data and run again"
            )


def score(system: System, corpus: str, table: npt.NDArray[np.str_]) -> Row:
    """Score raw answers as every result of serein is: UAR, its interval by speaker, accuracy."""
    words = f"{PROTOCOLS[corpus][1]}; {system.note}"
    scores = result_of(words, table).scores()
    row = {"system": system.title, "corpus": corpus, "protocol": words}
    return rounded(row | uar_of(scores) | {"accuracy": scores["accuracy"]})


def markdown(rows: list[Row]) -> str:
    """Make one table of all corpora, the best system on top."""
    cells = {(row["system"], row["corpus"]): row for row in rows}
    mean = {title: np.mean(uars(rows, title)) for title in {row["system"] for row in rows}}
    titles = sorted(mean, key=lambda title: -mean[title])
    names = [CORPORA[corpus].title.split(",")[0] for corpus in PROTOCOLS]
    heads = [f"{name} UAR (95 % interval) | {name} accuracy" for name in names]
    lines = [f"| system | {' | '.join(heads)} |", "|---|" + "---|---|" * len(names)]
    for title in titles:
        pairs = (numbers(cells.get((title, corpus))) for corpus in PROTOCOLS)
        lines.append(f"| {title} | {' | '.join(pairs)} |")
    words = [f"{CORPORA[corpus].title}: {words}" for corpus, (_, words) in PROTOCOLS.items()]
    notes = [f"{one.title}: {one.note}" for one in SYSTEMS.values() if one.title in mean]
    return "\n".join([*lines, "", *(f"- {text}." for text in [*words, *notes])])


def uars(rows: Iterable[Row], title: str) -> list[float]:
    """Give a system's UAR on each corpus it was run on."""
    return [row["uar"] for row in rows if row["system"] == title]


def numbers(row: Row | None) -> str:
    """Write a system's cells of one corpus."""
    if row is None:
        return " | "
    return f"{uar(row)} | {row['accuracy']:.3f}"


def write_document(document: Path, rows: list[Row]) -> None:
    """Put the table between the marks of the document, if it has them."""
    text = document.read_text(encoding="utf-8") if document.exists() else ""
    if text.count(MARK) != 2:
        print(f"{document.name} is not there or has no two marks {MARK}: table printed only")
        return
    write_between(document, MARK, markdown(rows))


_TUNED = (
    "standardised, classes weighed evenly, C of 1e-5 to 1 chosen by UAR in "
    f"{INNER_FOLDS} inner folds of unseen speakers"
)
SYSTEMS = {  # slug -> system, quick ones first
    "egemaps": System(
        "openSMILE eGeMAPSv02 + linear SVM", _TUNED, partial(linear_svm, feature_set="eGeMAPSv02")
    ),
    "compare": System(
        "openSMILE ComParE_2016 + linear SVM",
        _TUNED,
        partial(linear_svm, feature_set="ComParE_2016"),
    ),
    "serein": System(
        "serein: Whisper-base + ridge classifier",
        "frozen encoder; layers, alpha and augmentation were chosen with these folds in view "
        "(docs/ACCURACY.md)",
        recipe,
    ),
    "nkululeko": System(
        f"nkululeko {peers_nkululeko.version()}: eGeMAPSv02 + SVM",
        "its own command line and defaults (RBF kernel, C = 1), standardised",
        nkululeko,
    ),
    "textbook_cnn": System(
        "textbook CNN on spectrograms",
        "10 epochs, as the recipe says",
        partial(recipe, model="textbook_cnn"),
    ),
}

if __name__ == "__main__":
    main()
