"""What a few labelled recordings bring to corpora left out of training: `make personalise`.

Each corpus is left out in turn: the heads of `multi` are trained on the others, as `make accuracy`
does, then moved by labelled clips of the one left out, and tested on other clips of it: of speakers
of whom no clip was labelled, or of the very speaker. The strength of the prior is chosen, for each
corpus, by the others. Writes results/personalise.json and results/personalise.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from library import (
    RESULTS,
    ROOT,
    Row,
    parser,
    read_json,
    rounded,
    table,
    uar_of,
    write_between,
    write_json,
)

from serein.cli.progress import progress_bar
from serein.corpora import CORPORA
from serein.evaluation.comparison import change
from serein.evaluation.result import Result
from serein.experiment.evaluate import fit_folds
from serein.experiment.prepare import Prepared, prepare
from serein.experiment.recipe_file import read_recipe
from serein.experiment.splits import make_folds
from serein.models.baseline import AdaptiveHeads, Baseline
from serein.models.personal import STRENGTH, PersonalHeads, Strength

Array = npt.NDArray[Any]

MARK = "<!-- make personalise -->"
TESTED = ("emodb", "ravdess", "nemo", "emospeech_in")  # of speech, and of four emotions or more
COUNTS = (0, 1, 2, 5, 10)  # labelled clips an emotion
GRID = [
    Strength(logits, features, few)
    for logits, features in ((1.0, 0.1), (1.0, 0.3), (3.0, 0.3))
    for few in (0.0, 5.0, 10.0, 20.0)
]
DRAWS, SPEAKERS, MAX_TEST = 5, 12, 300  # of halves; of the very speaker; clips tested of a half
ENOUGH = 0.7  # of the clips wanted: where a speaker has fewer, a cell is left out
CASES = {
    ("others", False): "other speakers",
    ("others", True): "other speakers, adapted to their recordings",
    ("own", False): "the very speaker",
}


@dataclass(frozen=True)
class Trial:
    """Clips that can be labelled, of each emotion in the order drawn; and those tested."""

    pool: list[Array]
    tested: Array

    def labelled(self, count: int) -> Array:
        """So many clips of each emotion, if there are as many."""
        return np.concatenate([rows[:count] for rows in self.pool])


@dataclass(frozen=True)
class LeftOut:
    """A corpus, and heads that were trained on the others; `single`: their log probabilities."""

    name: str
    heads: AdaptiveHeads
    X: Array
    single: Array
    truth: Array
    speakers: Array
    labels: tuple[str, ...]

    @cached_property
    def emotions(self) -> Array:
        """Numbers of those that the corpus has."""
        return np.unique(self.truth)

    def trials(self, whose: str) -> Iterator[Trial]:
        """Draw clips to be labelled, and others to be tested."""
        generator = np.random.default_rng(0)
        names = np.unique(self.speakers)
        if whose == "others":
            for _ in range(DRAWS):
                half = np.isin(self.speakers, generator.permutation(names)[: len(names) // 2])
                tested = generator.permutation(np.flatnonzero(~half))[:MAX_TEST]
                yield Trial(self._by_emotion(half, generator), tested)
        else:
            for name in generator.permutation(names)[:SPEAKERS]:
                mine = self._by_emotion(self.speakers == name, generator)
                pool = [rows[: len(rows) // 2] for rows in mine]
                yield Trial(pool, np.concatenate([rows[len(rows) // 2 :] for rows in mine]))

    def _by_emotion(self, chosen: Array, generator: np.random.Generator) -> list[Array]:
        """Shuffle the chosen clips of each emotion."""
        return [
            generator.permutation(np.flatnonzero(chosen & (self.truth == label)))
            for label in self.emotions
        ]

    def moved(self, labelled: Array, strength: Strength | None) -> PersonalHeads:
        """Learn from labelled clips; without a strength, nothing."""
        own = PersonalHeads.of(self.heads)
        if strength is None:
            return own
        known = self.single[labelled], self.X[labelled], self.truth[labelled]
        return own.learnt(self.heads, *known, strength=strength)

    def predicted(self, tested: Array, personal: PersonalHeads, *, adapted: bool) -> Array:
        """Predict among the emotions that the corpus has, as `--emotions` does."""
        X, single = self.X[tested], self.single[tested]
        baseline = Baseline("recordings", len(self.labels))
        baseline.add(self.heads, X, np.exp(single))
        logs = personal.predict(self.heads, single, X, baseline if adapted else None)
        chosen: Array = np.exp(logs)[:, self.emotions]
        return chosen / chosen.sum(axis=1, keepdims=True)

    def result(
        self, trials: list[Trial], personal: list[PersonalHeads], *, adapted: bool
    ) -> Result:
        """Put the predictions of all trials together."""
        found = [
            self.predicted(trial.tested, one, adapted=adapted)
            for trial, one in zip(trials, personal, strict=True)
        ]
        tested = np.concatenate([trial.tested for trial in trials])
        truth = np.searchsorted(self.emotions, self.truth[tested])
        names = tuple(self.labels[label] for label in self.emotions)
        fold = np.repeat(np.arange(len(found)), [len(one) for one in found])
        return Result(self.name, names, truth, np.concatenate(found), self.speakers[tested], fold)


def main() -> None:
    """Measure, and write rows and the table."""
    arguments = parser(
        *(__doc__, "data", "weights", "table"),
        out=RESULTS / "personalise.json",
        document=RESULTS / "personalise.md",
    )
    options = arguments.parse_args()
    if not options.table:
        write_json(options.out, measured(trained(options.data, options.weights)))
    write_document(options.document, read_json(options.out))


def trained(data: Path, weights: Path) -> Iterator[LeftOut]:
    """Leave out each corpus that is tested, and train on the others."""
    recipe = read_recipe(ROOT / "recipes/multi.toml")
    prepared = prepare(recipe, data=data, weights=weights, progress_bar=progress_bar)
    for corpus in TESTED:
        alone = {"split": "train_and_test", "emotions": "all", "test": (corpus,)}
        changed = replace(recipe, protocol=replace(recipe.protocol, **alone))
        folds, words = make_folds(changed.protocol, prepared.corpus)
        part = replace(prepared, recipe=changed, folds=folds, protocol=words)
        for member, index in fit_folds(part, progress_bar=progress_bar, title=corpus).members:
            yield left_out(prepared, member, index)


def measured(corpora: Iterable[LeftOut]) -> Row:
    """Score each corpus at the strength that is best for the others."""
    rows: list[Row] = []
    for corpus in corpora:
        print(corpus.name, flush=True)
        rows += [row for whose in ("others", "own") for row in scored(corpus, whose)]
    chosen = {corpus: best(rows, corpus) for corpus in (*TESTED, None)}
    kept = [row for row in rows if row["strength"] in (None, chosen[row["corpus"]])]
    return {
        "chosen": asdict(chosen[None]),
        "grid": [
            rounded(asdict(one) | {"gain": gain(rows, one), "loses": loses(rows, one)})
            for one in GRID
        ],
        "rows": [rounded(row | plain(row)) for row in kept],
    }


def plain(row: Row) -> Row:
    """Make the strength and the interval of a row plain."""
    ends = row["gain_95"] and [round(end, 4) for end in row["gain_95"]]
    return {"strength": row["strength"] and asdict(row["strength"]), "gain_95": ends}


def left_out(prepared: Prepared, member: Any, index: Array) -> LeftOut:
    """Put together what is tested."""
    X, labels = prepared.X[index], tuple(member.classes_.tolist())
    truth = np.searchsorted(labels, np.array(prepared.emotions)[index])
    speakers = np.array(prepared.speakers)[index]
    name = prepared.origin[index[0]]
    return LeftOut(name, member.heads_, X, member.predict_log_proba(X), truth, speakers, labels)


def scored(corpus: LeftOut, whose: str) -> Iterator[Row]:
    """Score every count and strength; `gain`: on no labelled clip, with its interval."""
    trials = list(corpus.trials(whose))
    before: dict[bool, Result] = {}
    for count in COUNTS:
        there = np.mean([len(rows[:count]) for trial in trials for rows in trial.pool])
        if there < ENOUGH * count:
            continue
        for strength in GRID if count else [None]:
            heads = [corpus.moved(trial.labelled(count), strength) for trial in trials]
            for adapted in (mode for who, mode in CASES if who == whose):
                result = corpus.result(trials, heads, adapted=adapted)
                about = {"corpus": corpus.name, "whose": whose, "adapted": adapted}
                about |= {"clips": count, "labelled": float(there), "strength": strength}
                about |= {"emotions": len(corpus.emotions)}
                yield about | scores(before.setdefault(adapted, result), result)


def scores(before: Result, result: Result) -> Row:
    """Score predictions, and what they gained, by speaker."""
    found, gained = result.scores(), change(before, result)
    about = uar_of(found) | {"ece": found["expected_calibration_error"]}
    return about | {"gain": gained.difference, "gain_95": gained.interval_95}


def gain(rows: list[Row], strength: Strength, corpus: str | None = None) -> float:
    """Average the UAR gained on all corpora but one, in all cases and for all counts."""
    return float(np.mean([row["gain"] for row in of(rows, strength, corpus)]))


def loses(rows: list[Row], strength: Strength, corpus: str | None = None) -> bool:
    """Say whether one clip an emotion costs UAR anywhere, by more than noise."""
    return any(
        row["gain_95"] is not None and row["gain_95"][1] < 0
        for row in of(rows, strength, corpus)
        if row["clips"] == 1
    )


def of(rows: list[Row], strength: Strength, corpus: str | None) -> list[Row]:
    """Keep the rows of a strength, of all corpora but one."""
    return [row for row in rows if row["strength"] == strength and row["corpus"] != corpus]


def best(rows: list[Row], corpus: str | None) -> Strength:
    """Choose the strength by all corpora but one: of those that lose nowhere the best on average.

    Where all lose somewhere, the best of all.
    """
    safe = [strength for strength in GRID if not loses(rows, strength, corpus)]
    return max(safe or GRID, key=lambda strength: gain(rows, strength, corpus))


def title(corpus: str) -> str:
    """Name a corpus in tables."""
    return CORPORA[corpus].title.split(",")[0]


def markdown(rows: list[Row]) -> str:
    """Write UAR, what was gained and the calibration error, by the number of labelled clips."""
    lines = []
    for case, named in CASES.items():
        mine = {
            (row["corpus"], row["clips"]): row
            for row in rows
            if (row["whose"], row["adapted"]) == case
        }
        for corpus in TESTED:
            cells = (cell(mine.get((corpus, count))) for count in COUNTS)
            lines.append([named, title(corpus), str(mine[corpus, 0]["emotions"]), *cells])
    return table(("tested on", "corpus left out", "emotions", *map(str, COUNTS)), lines)


def cell(row: Row | None) -> str:
    """Write a score; a dash where there are too few clips."""
    if row is None:
        return "–"
    gained = f" ({row['gain']:+.3f})" if row["clips"] else ""
    return f"{row['uar']:.3f}{gained}, {row['ece']:.2f}"


def write_document(document: Path, found: Row) -> None:
    """Put the table between the marks of the document."""
    write_between(document, MARK, markdown(found["rows"]))
    if found["chosen"] != asdict(STRENGTH):
        print(f"set STRENGTH in serein/models/personal.py: {found['chosen']}")


if __name__ == "__main__":
    main()
