"""The bundles' recipes on corpora they were not trained on, each left out in turn: `make accuracy`.

Every clip is predicted by heads that were trained on the other corpora: as a single recording,
adapted to sets of recordings and to its speaker, with noise and cut short. The bundle `open` is
tested as it ships, on the corpora of speech that it was not trained on. Writes
results/unseen.json and the tables of docs/ACCURACY.md and results/unseen.md; --table runs nothing.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
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
    read_json,
    rounded,
    table_head,
    uar,
    uar_of,
    write_between,
    write_json,
)

from serein.analysis.clips import draw_clips
from serein.analysis.robustness import stress_folds
from serein.audio.conditions import choose_conditions
from serein.audio.frames import RATE_HZ
from serein.audio.read import Signal, read_audio
from serein.cli.progress import progress_bar
from serein.corpora import CORPORA
from serein.evaluation.result import Result
from serein.experiment.adapted_scores import adapt, adapted_to
from serein.experiment.evaluate import Evaluation, fit_folds, on_unseen_corpora
from serein.experiment.prepare import Prepared, describe, prepare, stack
from serein.experiment.recipe_file import read_recipe

MARKS = {
    name: f"<!-- {words} -->"
    for name, words in {
        "unseen": "unseen corpora",
        "open": "the bundle open",
        "sets": "sets",
        "harder": "harder",
    }.items()
}
SPEECH = ("emodb", "ravdess", "nemo", "emospeech_in")  # of speech, and of four emotions or more
CONDITIONS = ("babble 20 dB", "babble 10 dB", "white noise 20 dB", "room noise 10 dB")
CUT_S = (0.2, 0.35, 0.5, 0.7, 1.0)
CLIPS, DRAWS, SEED = 120, 40, 0
NAMES = {
    "single": "single recording",
    "recordings": "adapted to the recordings",
    "speaker": "adapted to the speaker",
}


def main() -> None:
    """Measure, and write rows and documents."""
    options = parser(__doc__, "data", "weights", "table", out=RESULTS / "unseen.json").parse_args()
    if not options.table:
        recipe = read_recipe(ROOT / "recipes/multi.toml")
        prepared = prepare(
            recipe, data=options.data, weights=options.weights, progress_bar=progress_bar
        )
        found = on_unseen_corpora(prepared, progress_bar=progress_bar)
        if found is None:
            raise SystemExit(f"{recipe.name} has no head for recordings of unseen corpora")
        rows = [*measured(prepared, found), *measured_open(prepared, options)]
        write_json(options.out, [rounded(row) for row in rows])
    rows = read_json(options.out)
    write_documents(ROOT, rows)
    print(unseen_markdown(rows))


def measured(prepared: Prepared, unseen: Evaluation) -> Iterator[Row]:
    """Score all cases of all corpora."""
    yield from by_case(unseen)
    for corpus in SPEECH:
        yield from sets(prepared, unseen, corpus)
        yield from noisy(prepared, unseen, corpus)
        yield from cut_short(prepared, unseen, corpus)


def measured_open(multi: Prepared, options: Namespace) -> Iterator[Row]:
    """Score the recipe of `open` on corpora of speech that only `multi` was trained on."""
    recipe = read_recipe(ROOT / "recipes/open.toml")
    prepared = prepare(
        recipe, data=options.data, weights=options.weights, progress_bar=progress_bar
    )
    both = beside(prepared, multi, [name for name in SPEECH if name not in recipe.data.corpora])
    fitted = fit_folds(both, progress_bar=progress_bar, title=recipe.name)
    result = fitted.predict(both.X)
    with progress_bar("adaptation") as progress:
        cases = adapt(fitted, result, both.X, counts=(None,), progress=progress)
    for row in by_case(Evaluation(both, fitted, result, adapted=tuple(cases))):
        yield {"bundle": recipe.name} | row


def beside(prepared: Prepared, other: Prepared, corpora: list[str]) -> Prepared:
    """Put clips of corpora that another recipe reads beside a recipe's own, as its test part."""
    tested = other.corpus.filter(predicate=lambda clip: clip.corpus in corpora)
    vectors = stack(describe(tested, prepared.front, None, progress_bar), prepared.front)
    own, clips = len(prepared.X), prepared.corpus.utterances + tested.utterances
    return replace(
        prepared,
        corpus=replace(prepared.corpus, utterances=clips),
        folds=[(np.arange(own), np.arange(own, len(clips)))],
        protocol=f"trained on {', '.join(prepared.recipe.data.corpora)}, tested on others",
        X=np.concatenate([prepared.X, vectors]),
    )


def by_case(found: Evaluation) -> Iterator[Row]:
    """Score single recordings and whole adapted cases, among all emotions and a corpus's own."""
    cases = {"single": found.result}
    cases |= {case.to: case.result for case in found.adapted if case.whole}
    for name, result in cases.items():
        for corpus in np.unique(result.about["corpus"]):
            part = result.subset(result.about["corpus"] == corpus)
            yield {"corpus": str(corpus), "case": name, "among": "all"} | scores(part)
            yield {"corpus": str(corpus), "case": name, "among": "own"} | scores(own(part))


def scores(result: Result) -> Row:
    """Score a result: UAR with its interval by speaker, calibration, how sure and how right."""
    found = result.scores()
    about = {name: found[name] for name in ("clips", "speakers", "accuracy")}
    about |= {"emotions": len(np.unique(result.truth)), "protocol": result.title}
    about["confidence"] = float(result.probabilities.max(axis=1).mean())
    return about | uar_of(found) | {"ece": found["expected_calibration_error"]}


def own(result: Result) -> Result:
    """Predict among the emotions of the corpus alone, as `--emotions` does."""
    mine = np.unique(result.truth)
    chosen = result.probabilities[:, mine]
    labels = tuple(result.labels[number] for number in mine)
    return replace(
        result,
        labels=labels,
        truth=np.searchsorted(mine, result.truth),
        probabilities=chosen / chosen.sum(axis=1, keepdims=True),
    )


def rows_of(unseen: Evaluation, corpus: str) -> npt.NDArray[np.intp]:
    """Find the rows of a corpus."""
    return np.flatnonzero(unseen.result.about["corpus"] == corpus)


def sets(prepared: Prepared, unseen: Evaluation, corpus: str) -> Iterator[Row]:
    """Score sets of recordings of a corpus, adapted to each set, beside the same unadapted."""
    rows, emotions = rows_of(unseen, corpus), np.array(prepared.emotions)
    generator = np.random.default_rng(SEED)

    def drawn(mine: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
        return generator.choice(mine, min(count, len(mine)), replace=False)

    neutral, others = rows[emotions[rows] == "neutral"], rows[emotions[rows] != "neutral"]
    one = [rows[emotions[rows] == name] for name in np.unique(emotions[rows])]
    kinds = {
        "20 recordings": [drawn(rows, 20) for _ in range(DRAWS)],
        "100 recordings": [drawn(rows, 100) for _ in range(DRAWS // 2)],
        "64 neutral, 16 others": [
            np.concatenate([drawn(neutral, 64), drawn(others, 16)]) for _ in range(DRAWS)
        ],
        "40 of one emotion": [drawn(mine, 40) for mine in one for _ in range(DRAWS // 5)],
        "all of one emotion": one,
    }
    for name, chosen in kinds.items():
        alone, adapted = [], []
        for part in chosen:
            alone.append(unseen.result.subset(part))
            adapted.append(adapted_to(unseen.fitted, unseen.result, prepared.X, part, "recordings"))
        before, after = scores(joined(alone)), scores(joined(adapted))
        row = {"corpus": corpus, "case": "set", "set": name, "sets": len(chosen)}
        gain = after["uar"] - before["uar"]
        yield row | {"single": before["uar"], "uar": after["uar"], "gain": gain}


def joined(results: list[Result]) -> Result:
    """Put results of the same labels one after the other."""
    names = ("truth", "probabilities", "speakers", "fold")
    whole = {name: np.concatenate([getattr(one, name) for one in results]) for name in names}
    return replace(results[0], **whole, about={})


def noisy(prepared: Prepared, unseen: Evaluation, corpus: str) -> Iterator[Row]:
    """Score clips of a corpus with noise, beside the same clips as they are."""
    rows = rows_of(unseen, corpus)
    clips = replace(prepared.corpus, utterances=tuple(prepared.corpus.utterances[i] for i in rows))
    fold = unseen.result.fold[rows[0]]
    member = unseen.fitted.members[fold][0]
    fitted = replace(unseen.fitted, members=[(member, np.arange(len(rows)))])
    report = stress_folds(
        fitted, prepared.front, clips, conditions=choose_conditions(CONDITIONS), clips=CLIPS
    )
    clean = scores(report.clean)
    for name, result in report.changed.items():
        found = scores(result)
        lost = clean["uar"] - found["uar"]
        yield {"corpus": corpus, "case": "noise", "condition": name} | found | {"lost": lost}


def cut_short(prepared: Prepared, unseen: Evaluation, corpus: str) -> Iterator[Row]:
    """Score the loudest part of clips of a corpus, of a few lengths."""
    rows = rows_of(unseen, corpus)
    number = {prepared.corpus.utterances[row].path: row for row in rows}
    clips = draw_clips([prepared.corpus.utterances[row] for row in rows], CLIPS, SEED)
    drawn = np.array([number[clip.path] for clip in clips])
    member, _ = unseen.fitted.members[unseen.result.fold[drawn[0]]]
    signals = [read_audio(clip.path) for clip in clips]
    known = unseen.result.subset(drawn)
    columns = np.searchsorted(known.labels, member.classes_)
    for length_s in CUT_S:
        vectors = np.stack([prepared.front(loudest(signal, length_s)) for signal in signals])
        probabilities = np.zeros_like(known.probabilities)
        probabilities[:, columns] = member.predict_proba(vectors)
        found = scores(replace(known, probabilities=probabilities))
        yield {"corpus": corpus, "case": "short", "length_s": length_s} | found


def loudest(signal: Signal, length_s: float) -> Signal:
    """Take the part of a signal, of a given length, that has the most energy."""
    length = min(len(signal), round(length_s * RATE_HZ))
    energy = np.cumsum(np.concatenate([[0.0], np.square(signal, dtype=np.float64)]))
    first = int(np.argmax(energy[length:] - energy[:-length]))
    return signal[first : first + length]


def title(corpus: str) -> str:
    """Name a corpus in tables."""
    return CORPORA[corpus].title.split(",")[0]


def unseen_markdown(rows: list[Row]) -> str:
    """Write the table of `multi`, with the mean of the corpora of speech."""
    found = found_of(rows)
    means = [
        np.mean([found[corpus, case][key] for corpus in SPEECH])
        for case in NAMES
        for key in ("uar", "ece")
    ]
    names = ", ".join(title(corpus) for corpus in SPEECH)
    mean = line([f"mean of {names}", "", "", "", *(f"{value:.3f}" for value in means)])
    return "\n".join([*corpora_table("corpus left out", rows_of_bundle(rows)), mean])


def open_markdown(rows: list[Row]) -> str:
    """Write the table of `open`."""
    return "\n".join(corpora_table("tested on", rows_of_bundle(rows, "open")))


def rows_of_bundle(rows: list[Row], bundle: str = "multi") -> list[Row]:
    """Take the rows of a bundle; those of `multi` do not name it."""
    return [row for row in rows if row.get("bundle", "multi") == bundle]


def corpora_table(head: str, rows: list[Row]) -> list[str]:
    """Write a row a corpus: UAR and calibration error, unadapted and adapted."""
    heads = [head, "emotions", "speakers", "clips"]
    heads += [part for name in NAMES.values() for part in (f"{name}, UAR", "ECE")]
    found = {(row["corpus"], row["case"]): row for row in rows if row.get("among") == "own"}
    lines = table_head(heads)
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        single = found[corpus, "single"]
        cells = [title(corpus), *(str(single[key]) for key in ("emotions", "speakers", "clips"))]
        for case in NAMES:
            row = found.get((corpus, case))
            cells += [uar(row), f"{row['ece']:.3f}"] if row else ["", ""]
        lines.append(line(cells))
    return lines


def found_of(rows: list[Row]) -> dict[tuple[str, str], Row]:
    """Find the rows among a corpus's own emotions by corpus and case."""
    mine = (row for row in rows_of_bundle(rows) if row.get("among") == "own")
    return {(row["corpus"], row["case"]): row for row in mine}


def sets_markdown(rows: list[Row]) -> str:
    """Write what adaptation to sets of recordings gains, a row a kind of set."""
    found = {(row["set"], row["corpus"]): row for row in rows if row["case"] == "set"}
    return by_corpus(found, "recordings known", lambda row: f"{row['gain']:+.3f}")


def harder_markdown(rows: list[Row]) -> str:
    """Write what noise and shortness cost."""
    noise = {(row["condition"], row["corpus"]): row for row in rows if row["case"] == "noise"}
    short = {
        (f"loudest {row['length_s']:g} s", row["corpus"]): row
        for row in rows
        if row["case"] == "short"
    }
    tables = [
        by_corpus(noise, "UAR lost by", lambda row: f"{row['lost']:+.3f}"),
        by_corpus(
            short,
            "right / mean confidence",
            lambda row: f"{row['accuracy']:.2f} / {row['confidence']:.2f}",
        ),
    ]
    return "\n\n".join(tables)


def by_corpus(found: dict[tuple[str, str], Row], head: str, cell: Any) -> str:
    """Write a table with a row a first key and a column a corpus."""
    lines = table_head([head, *(title(corpus) for corpus in SPEECH)])
    for name in dict.fromkeys(first for first, _ in found):
        cells = [cell(found[name, corpus]) if (name, corpus) in found else "" for corpus in SPEECH]
        lines.append(line([name, *cells]))
    return "\n".join(lines)


def write_documents(root: Path, rows: list[Row]) -> None:
    """Put the tables between the marks of the documents."""
    document = root / "docs/ACCURACY.md"
    write_between(document, MARKS["unseen"], unseen_markdown(rows))
    more = root / "results/unseen.md"
    write_between(more, MARKS["open"], open_markdown(rows))
    write_between(more, MARKS["sets"], sets_markdown(rows))
    write_between(more, MARKS["harder"], harder_markdown(rows))


if __name__ == "__main__":
    main()
