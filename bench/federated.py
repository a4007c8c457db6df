"""Federated averaging with Flower beside the same network in one place: `make federated`.

Clients are the training speakers of each fold; the test speakers are unseen. How the network learns
is chosen on nEMO, thinned to the size of the other two and not reported on; each way chooses for
itself. What Flower has learnt is not learnt again. Writes results/federated.json and the tables in
results/federated.md; --table needs neither recordings nor Flower.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain, groupby, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from library import (
    RESULTS,
    ROOT,
    Row,
    line,
    parser,
    rounded,
    table_head,
    write_between,
    write_whole,
)
from library import interval as with_interval

from serein.corpora import Corpus, Utterance
from serein.evaluation.intervals import speaker_interval
from serein.evaluation.protocol import leave_one_speaker_out, ravdess_actor_folds

sys.path.insert(0, str(Path(__file__).parents[1] / "examples/federated"))

from compare import apart, averaged, in_one_place, uar
from network import Clips, History, Indices, Settings, together
from speakers import describe, write

EXAMPLE = ROOT / "examples/federated"
PROTOCOLS = {"speakers": leave_one_speaker_out, "actors": ravdess_actor_folds}
CORPORA = {
    "emodb": ("speakers", "leave one speaker out"),
    "ravdess": ("actors", "six actor folds"),
}
MARK = "<!-- federated -->"
CHOSEN_ON, EACH = "nemo", 10  # clips of each speaker and emotion, about what EmoDB and RAVDESS have
GRID = {"epochs": (1, 5), "rate": (0.005, 0.02, 0.08), "decay": (1e-3, 1e-2, 1e-1)}
SEEDS = 5  # the first is Flower's; the others are averaged without it
WAYS = {  # in the order of the table
    "in one place": "in one place, five seeds",
    "federated": "federated, five seeds",
    "Flower": "of these, Flower's own run",
    "alone": "each client alone, mean of clients",
}

Run = tuple[str, int]  # way, and seed or client
Answers = dict[int, Indices]  # round -> emotions
Strings = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Fold:
    """Who learns and who is tested."""

    clients: dict[str, Clips]
    unseen: dict[str, Clips]


def main() -> None:
    """Run what is missing, then write rows and the document, and print the table."""
    options = arguments()
    found = json.loads(options.out.read_text()) if options.out.exists() else {"tried": []}
    if not options.table:
        found["tried"] = found["tried"] or choose(thinned(options.data))
        save(options.out, found)
        settings = {way: chosen(found["tried"], way) for way in ("federated", "in one place")}
        found["rows"] = []
        for name in CORPORA:
            found["rows"] += measure(name, settings, options)
            save(options.out, found)
    write_document(options.document, found)
    print(markdown(found))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    return parser(
        __doc__,
        "data",
        "table",
        flower=ROOT / ".venv-flower/bin/python",
        work=ROOT / "runs/federated",
        out=RESULTS / "federated.json",
        document=RESULTS / "federated.md",
    ).parse_args()


def save(file: Path, found: Row) -> None:
    """Write what was found, a line a row."""
    lists = []
    for name, rows in found.items():
        text = ",\n".join(f"  {json.dumps(row)}" for row in rows)
        lists.append(f' "{name}": [\n{text}\n ]')
    write_whole(file, "{\n" + ",\n".join(lists) + "\n}\n")


# --- how the network learns ---


def thinned(data: Path) -> list[Utterance]:
    """Draw clips of the corpus that settings are chosen on."""
    clips = list(Corpus.load(CHOSEN_ON, data))
    order = np.random.default_rng(0).permutation(len(clips))

    def kind(row: int) -> tuple[str, str]:
        return clips[row].speaker, clips[row].emotion

    groups = groupby(sorted(order.tolist(), key=kind), key=kind)
    return [clips[row] for _, rows in groups for row in list(rows)[:EACH]]


def choose(clips: list[Utterance]) -> list[Row]:
    """Score each setting both ways, speakers unseen."""
    speakers = describe(clips)
    rows = []
    for values in product(*GRID.values()):
        tried = dict(zip(GRID, values, strict=True))
        settings = Settings(**tried)
        for way, learn in (("federated", averaged), ("in one place", in_one_place)):
            truth, answer = [], []
            for fold in deal("speakers", speakers):
                unseen = together(fold.unseen.values())
                history = learn([*fold.clients.values()], settings)
                truth.append(unseen.y)
                answer.append(history.answers(unseen.X)[settings.rounds])
            score = uar(np.concatenate(truth), np.concatenate(answer))
            rows.append({"way": way, **tried, "uar": round(score, 4)})
            print(rows[-1], flush=True)
    return rows


def chosen(tried: list[Row], way: str) -> Settings:
    """Give the settings that scored best; the first of equals."""
    best = max((row for row in tried if row["way"] == way), key=lambda row: row["uar"])
    return Settings(**{name: best[name] for name in GRID})


# --- what is measured ---


def deal(protocol: str, speakers: dict[str, Clips]) -> Iterator[Fold]:
    """Give the folds of unseen speakers."""
    names = list(speakers)
    for train, test in PROTOCOLS[protocol](names):
        yield Fold(*({names[n]: speakers[names[n]] for n in part} for part in (train, test)))


def measure(name: str, settings: dict[str, Settings], options: argparse.Namespace) -> list[Row]:
    """Learn in every way and answer each fold; give a row a way, and one of their difference."""
    protocol, title = CORPORA[name]
    speakers = describe(Corpus.load(name, options.data))
    runs: dict[Run, list[Answers]] = {}
    truth, who, furthest = [], [], 0.0
    for number, fold in enumerate(folds := list(deal(protocol, speakers))):
        unseen, clients = together(fold.unseen.values()), [*fold.clients.values()]
        truth.append(unseen.y)
        who += [one for one, clips in fold.unseen.items() for _ in clips.y]
        flower = simulated(fold, settings["federated"], options)
        for run, history in [(("federated", 0), flower), *without_flower(clients, settings)]:
            runs.setdefault(run, []).append(history.answers(unseen.X))
        loop = averaged(clients, settings["federated"])
        furthest = max(furthest, apart(flower, loop))
        print(f"{name}: fold {number + 1} of {len(folds)}", flush=True)
    about = {"corpus": name, "folds": title, "clips": len(who), "apart": furthest}
    rows = judged(runs, np.concatenate(truth), np.array(who))
    return [about | {"clients": len(clients)} | row for row in rows]


def without_flower(
    clients: list[Clips], settings: dict[str, Settings]
) -> Iterator[tuple[Run, History]]:
    """Learn in one place with every seed, averaged with every seed but Flower's, and alone."""
    for seed in range(SEEDS):
        if seed:
            yield ("federated", seed), averaged(clients, replace(settings["federated"], seed=seed))
        one = replace(settings["in one place"], seed=seed)
        yield ("in one place", seed), in_one_place(clients, one)
    for number, client in enumerate(clients):
        yield ("alone", number), in_one_place([client], settings["in one place"])


def simulated(fold: Fold, settings: Settings, options: argparse.Namespace) -> History:
    """Let Flower learn from a fold's clients, or read what it learnt before."""
    text = json.dumps(asdict(settings))
    code = [(EXAMPLE / f"{name}.py").read_bytes() for name in ("network", "simulate")]
    data = [array.tobytes() for one in fold.clients.values() for array in (one.X, one.y)]
    key = hashlib.sha256(b"".join([text.encode(), *code, *data])).hexdigest()[:16]
    folder = options.work.absolute() / key
    file = folder / "federated.npz"
    if not file.exists():
        write(fold.clients | fold.unseen, fold.unseen, folder)
        (folder / "settings.json").write_text(text, encoding="utf-8")
        run_flower(options.flower, folder)
    return History.read(file, settings)


def run_flower(python: Path, folder: Path) -> None:
    """Run the simulation; what it prints goes into a file beside what it learns."""
    if not python.exists():
        raise SystemExit(
            f"{python} is not there: `make federated` sets Flower up, or install {EXAMPLE.name}/"
            "requirements.txt with --no-deps into an environment and name its Python with --flower"
        )
    command = [str(python.absolute()), str(EXAMPLE / "simulate.py"), str(folder)]
    log = folder / "flower.txt"
    with log.open("wb") as out:
        settings = ["--settings", str(folder / "settings.json")]
        environment = os.environ | {"FLWR_HOME": str(folder / "flower")}
        done = subprocess.run(
            [*command, *settings], env=environment, stdout=out, stderr=out, check=False
        )
    if done.returncode or not (folder / "federated.npz").exists():
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        raise SystemExit("\n".join([*last, f"Flower failed; see {log}"]))


def judged(runs: dict[Run, list[Answers]], truth: Indices, who: Strings) -> Iterator[Row]:
    """Score each way's runs together, and Flower's own apart."""
    last: dict[str, Indices] = {}
    for way in WAYS:
        names = [run for run in runs if run[0] == way] or [("federated", 0)]
        rounds = {
            number: np.stack(
                [[*chain(*(part[number] for part in runs[name]))] for name in names], 1
            )
            for number in runs[names[0]][0]
        }
        last[way] = rounds[max(rounds)]
        curve = {
            str(number): round(mean_uar(truth, answer), 4) for number, answer in rounds.items()
        }
        yield (
            {"way": way, "runs": len(names)}
            | interval(mean_uar, truth, last[way], who)
            | {"rounds": curve}
        )
    both = np.concatenate([last["federated"], last["in one place"]], axis=1)
    yield {"way": "difference", "runs": SEEDS} | interval(difference, truth, both, who)


def interval(score: Callable[[Indices, Indices], float], *of: Any) -> Row:
    """Give a score and its interval by speaker."""
    low, high = speaker_interval(score, *of)
    return rounded({"uar": score(of[0], of[1]), "low": low, "high": high})


def mean_uar(truth: Indices, answers: Indices) -> float:
    """Average the UAR of runs: answers are (clips, runs)."""
    return float(np.mean([uar(truth, answer) for answer in answers.T]))


def difference(truth: Indices, both: Indices) -> float:
    """Say how much better the first half of the runs is."""
    first, second = np.split(both, 2, axis=1)
    return mean_uar(truth, first) - mean_uar(truth, second)


# --- the document ---


def write_document(document: Path, found: Row) -> None:
    """Put the tables between the marks of the document."""
    write_between(document, MARK, markdown(found))


def markdown(found: Row) -> str:
    """Write what is compared, the rounds, and what was chosen."""
    rows = {(row["way"], row["corpus"]): row for row in found["rows"]}
    about = [rows["Flower", name] for name in CORPORA]
    heads = (f"{row['corpus']}: {row['folds']}, {row['clients']} clients a fold" for row in about)
    lines = table_head(["UAR of unseen speakers", *heads])
    for way, title in {**WAYS, "difference": "federated less in one place"}.items():
        lines.append(line([title, *(cell(rows[way, name]) for name in CORPORA)]))
    numbers = list(about[0]["rounds"])
    lines += ["", *table_head(["UAR after rounds", *numbers])]
    for name, way in product(CORPORA, ("in one place", "federated")):
        curve = rows[way, name]["rounds"]
        lines.append(line([f"{name}, {way}", *(f"{curve[n]:.3f}" for n in numbers)]))
    return "\n".join([*lines, "", remark(found, about)])


def cell(row: Row) -> str:
    """Write a score with its interval."""
    sign = "+" if row["way"] == "difference" else ""
    return with_interval(row["uar"], row["low"], row["high"], f"{sign}.3f")


def remark(found: Row, about: list[Row]) -> str:
    """Say what was chosen, and how near Flower is to averaging by hand."""
    said: dict[str, str] = {}
    for way in ("in one place", "federated"):
        best = chosen(found["tried"], way)
        passes = f"{best.epochs} pass{'es' if best.epochs > 1 else ''} a round"
        said[way] = f"{passes}, rate {best.rate:g}, weight decay {best.decay:g}"
    one, other = said.values()
    settings = f"both ways {one}" if one == other else "; ".join(map(": ".join, said.items()))
    furthest = max(row["apart"] for row in about)
    tried = len(found["tried"]) // 2
    return (
        f"Chosen on nEMO, of {tried} settings each: {settings}. After the last round, "
        f"Flower's weights and those of averaging without it differ by {furthest:.0e} at most."
    )


if __name__ == "__main__":
    main()
