"""nkululeko's own command line, in its own environment, on folds that are handed to it.

The test part of each fold is a table, fold0.csv and so on. Each run names one of them as its test
set and the others as its training set; so nkululeko describes a clip once, and it is told who is
unseen. Its answers are read back from the table it writes. A finished fold is not run again.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import subprocess
from pathlib import Path

from serein.corpora import Corpus
from serein.evaluation.protocol import Fold

REQUIREMENTS = Path(__file__).with_name("requirements-nkululeko.txt")
EXPERIMENT = """\
[EXP]
root = .
name = run{number}
store = ../features/
save_test = {answers}
[DATA]
no_reuse = True
databases = {names}
{tables}
target = emotion
labels = {labels}
[FEATS]
type = ['os']
scale = standard
[MODEL]
type = svm
"""
TABLE = """\
{name} = {name}.csv
{name}.type = csv
{name}.split_strategy = {part}"""


def version() -> str:
    """Say which version is pinned."""
    found = re.search(r"^nkululeko==(\S+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "?"


def answer(corpus: Corpus, folds: list[Fold], python: Path, folder: Path) -> list[str]:
    """Answer each clip with a model that has not heard its speaker.

    Parameters
    ----------
    corpus : Corpus
        The clips.
    folds : list of (train, test)
        Index arrays; the training part is all that is not tested.
    python : Path
        The Python of nkululeko's environment.
    folder : Path
        For its features, models and answers.

    Returns
    -------
    list of str
        An emotion a clip, in the order of the corpus.
    """
    if not python.exists():
        raise SystemExit(
            f"{python} is not there: `make peers` sets nkululeko up, or install {REQUIREMENTS.name}"
            " with --no-deps into an environment and name its Python with --nkululeko"
        )
    tables = [table(corpus, fold) for fold in folds]
    key = hashlib.sha256("".join([version(), EXPERIMENT, TABLE, *tables]).encode()).hexdigest()
    place = folder.absolute() / key[:16]
    place.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(tables):
        (place / f"fold{number}.csv").write_text(text, encoding="utf-8")
    answers: dict[Path, str] = {}
    for number in range(len(folds)):
        print(f"  nkululeko, fold {number + 1} of {len(folds)}", flush=True)
        answers |= run_fold(number, len(folds), corpus.emotions, python, place)
    if set(answers) != {path.resolve() for path in corpus.paths}:
        raise SystemExit(f"nkululeko answered other clips than it was asked; see {place}")
    return [answers[path.resolve()] for path in corpus.paths]


def table(corpus: Corpus, fold: Fold) -> str:
    """Write the test clips of a fold as nkululeko reads them: CSV with absolute paths."""
    lines = ["file,speaker,gender,emotion"]
    for clip in (corpus.utterances[row] for row in fold[1]):
        path = str(clip.path.resolve())
        if "," in path:
            raise SystemExit(f"{path} has a comma, which the tables cannot hold: move the corpus")
        lines.append(f"{path},{clip.speaker},{clip.gender},{clip.emotion}")
    return "\n".join(lines) + "\n"


def run_fold(
    number: int, folds: int, labels: tuple[str, ...], python: Path, place: Path
) -> dict[Path, str]:
    """Let nkululeko answer a fold, or read what it answered before."""
    kept, part = place / f"answers{number}.csv", place / f"answers{number}.part.csv"
    if not kept.exists():
        text = experiment(number, folds, labels, part.name)
        (place / f"run{number}.ini").write_text(text, encoding="utf-8")
        run(python, number, place)
        part.replace(kept)
    with kept.open(newline="", encoding="utf-8") as lines:
        return {Path(row["file"]): row["predictions"] for row in csv.DictReader(lines)}


def experiment(number: int, folds: int, labels: tuple[str, ...], answers: str) -> str:
    """Write the settings of a run: one table to test, all others to learn from."""
    names = [f"fold{other}" for other in range(folds)]
    parts = ["test" if other == number else "train" for other in range(folds)]
    return EXPERIMENT.format(
        number=number,
        answers=answers,
        names=names,
        tables="\n".join(map(lambda name, part: TABLE.format(name=name, part=part), names, parts)),
        labels=list(labels),
    )


def run(python: Path, number: int, place: Path) -> None:
    """Run the command line; what it prints goes into a file beside its settings."""
    settings = place / f"run{number}.ini"
    command = [str(python.absolute()), "-m", "nkululeko.nkululeko", "--config", settings.name]
    log = settings.with_suffix(".txt")
    with log.open("wb") as out:
        environment = os.environ | {"MPLBACKEND": "Agg"}
        done = subprocess.run(
            command, cwd=place, env=environment, stdout=out, stderr=out, check=False
        )
    if done.returncode or not (place / f"answers{number}.part.csv").exists():
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        raise SystemExit(
            "\n".join([*last, f"nkululeko failed; see {log}, and delete its folder to start anew"])
        )
