"""Whole predictions beside nkululeko's, process against process: part of `make bench`.

Both read the same short files on one core and answer with a trained model: serein with the one it
brings, nkululeko with openSMILE's features and an SVM, which it learns here first, from other files
of synthetic speech. What it answers is of no interest here; `make peers` judges that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import peers_nkululeko
import turns

from bulk import made

COUNTS = {1: 5, 100: 3}  # files, and turns
LEARNT = 40  # files that nkululeko's model is made from
EXPERIMENT = """\
[EXP]
root = .
name = bench
store = features/
[DATA]
databases = ['train', 'test']
train = train.csv
train.type = csv
train.split_strategy = train
test = test.csv
test.type = csv
test.split_strategy = test
target = emotion
labels = ['anger', 'sadness']
[FEATS]
type = ['os']
scale = standard
[MODEL]
type = svm
save = True
"""


def main() -> None:
    """Print the table, and keep it for the page."""
    turns.main(__doc__, measured, extra={"--nkululeko": "the Python of nkululeko's environment"})


def measured(nkululeko: str | None) -> list[turns.Row]:
    """Measure both on one file and on many; without nkululeko there is nothing to measure."""
    if nkululeko is None or not Path(nkululeko).exists():
        print("nkululeko is not there: `make bench` sets it up, or name its Python (--nkululeko)")
        return []
    python = Path(nkululeko).absolute()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # nkululeko takes all cores it is given
    with tempfile.TemporaryDirectory() as place:
        learn(python, Path(place))
        return [compared(python, Path(place), *pair) for pair in COUNTS.items()]


def learn(python: Path, place: Path) -> None:
    """Let nkululeko make and keep a model."""
    files = sorted(made(place / "learnt", LEARNT).iterdir())
    for name, part in {"train": files[4:], "test": files[:4]}.items():
        emotions = [("anger", "sadness")[number % 2] for number in range(len(part))]
        rows = [f"{f},{f.stem},female,{e}\n" for f, e in zip(part, emotions, strict=True)]
        (place / f"{name}.csv").write_text("file,speaker,gender,emotion\n" + "".join(rows))
    (place / "bench.ini").write_text(EXPERIMENT)
    for step in (["nkululeko"], ["bundle", "--output", "bundle"]):
        command = [str(python), "-m", f"nkululeko.{step[0]}", "--config", "bench.ini"]
        run([*command, *step[1:]], place)


def compared(python: Path, place: Path, count: int, times: int) -> turns.Row:
    """Time both, from the start of the process to the table of answers."""
    folder = made(place / f"asked{count}", count)
    ours = [sys.executable, "-m", "serein", "predict", str(folder), "--jobs", "1", "--out"]
    theirs = [str(python), "-m", "nkululeko.infer", "bundle", "--folder", str(folder), "--outfile"]
    tables = [place / "serein.csv", place / "nkululeko.csv"]

    def answer(command: list[str], table: Path) -> None:
        table.unlink(missing_ok=True)
        run([*command, str(table)], place)
        answered = len(table.read_text(encoding="utf-8").splitlines()) - 1
        if answered != count:
            raise SystemExit(f"{table.stem} answered {answered} of {count} files")

    return turns.beside(
        f"a process that predicts {count} file{'s' * (count > 1)} of a second",
        turns.ms(partial(answer, ours, tables[0])),
        f"nkululeko {peers_nkululeko.version()}: openSMILE, SVM",
        turns.ms(partial(answer, theirs, tables[1])),
        unit="ms",
        turns=times,
    )


def run(command: list[str], place: Path) -> None:
    """Run a command to its end; show the end of what it said if it fails."""
    environment = os.environ | {"MPLBACKEND": "Agg"}
    done = subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[2]} failed:\n" + (done.stdout + done.stderr)[-2000:])


if __name__ == "__main__":
    main()
