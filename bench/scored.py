"""What the other benches found, a row each, from results/*.json: part of `make bench`.

Which rows stand here was decided by what they are called, not by how they scored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from library import RESULTS, Row, interval, read_json
from library import table as markdown_table

MELD = "its own test set, dialogues unseen"


@dataclass(frozen=True)
class Pick:
    """Two rows of a bench, side by side.

    Attributes
    ----------
    bench : str
        Its `make` target.
    title : str
        What was tested on.
    sides : dict
        What ours and then the other are called, and what their rows hold.
    score : str
        The column of the score.
    both : dict
        What both rows hold.
    """

    bench: str
    title: str
    sides: dict[str, Row]
    score: str = "uar"
    both: Row = field(default_factory=dict)


PAGES = {
    "peers": "results/peers",
    "accuracy": "results/accuracy",
    "table": "results/models",
    "stress": "results/stress",
    "imbalance": "results/models",
    "leaks": "docs/EVALUATION",
    "fusion": "results/fusion",
    "words": "results/words",
}
OURS = "serein: Whisper-base + ridge classifier"
PEERS = {
    "openSMILE ComParE, SVM": "openSMILE ComParE_2016 + linear SVM",
    "openSMILE eGeMAPS, SVM": "openSMILE eGeMAPSv02 + linear SVM",
    "nkululeko": "nkululeko 1.14.1: eGeMAPSv02 + SVM",
    "textbook CNN": "textbook CNN on spectrograms",
}
CORPORA = {"emodb": "EmoDB", "ravdess": "RAVDESS", "nemo": "nEMO"}
CASES = {
    **CORPORA,
    "ravdess+nemo to emodb": "EmoDB, trained on the other two",
    "emodb+nemo to ravdess": "RAVDESS, trained on the other two",
    "emodb+ravdess to nemo": "nEMO, trained on the other two",
}
PICKS = (
    *(
        Pick(
            "peers",
            CORPORA[corpus],
            {"serein": {"system": OURS}, name: {"system": system}},
            both={"corpus": corpus},
        )
        for corpus in ("emodb", "ravdess")
        for name, system in PEERS.items()
    ),
    *(
        Pick(
            "accuracy",
            title,
            {"recipe": {"system": "recipe"}, "linear probe": {"system": "probe"}},
            both={"case": case, "adapted": False, "one_emotion": False},
        )
        for case, title in CASES.items()
    ),
    *(
        Pick(
            "table",
            CORPORA[corpus],
            {
                "ridge on Whisper-base": {"model": "ridge on whisper-base"},
                "SVM on acoustic features": {"model": "svm"},
            },
            both={"corpus": corpus},
        )
        for corpus in ("emodb", "ravdess")
    ),
    *(
        Pick(
            "stress",
            CORPORA[corpus],
            {name: {"condition": name} for name in (condition, "clean")},
            both={"corpus": corpus},
        )
        for corpus in ("emodb", "ravdess")
        for condition in ("telephone", "babble 10 dB")
    ),
    *(
        Pick(
            "imbalance",
            "RAVDESS, three emotions thinned to a tenth",
            {method: {"method": method}, "none": {"method": "none"}},
            score="minority_recall",
        )
        for method in ("class_weights", "under")
    ),
    Pick(
        "leaks",
        "RAVDESS, recipe",
        {name: {"split": name} for name in ("speaker-independent", "random split")},
        both={"recipe": "ravdess/recipe"},
    ),
    Pick(
        "fusion",
        "RAVDESS",
        {"voice and face": {"system": "late-product"}, "voice": {"system": "voice"}},
    ),
    Pick(
        "words",
        "MELD, the sentence alone",
        {"serein": {"system": "adapted"}, "always neutral": {"system": "most-frequent"}},
        score="f1_weighted",
        both={"set": "test"},
    ),
)
FILES = {"table": "models"}  # where results are not called as the target
SCORES = {"uar": "UAR", "minority_recall": "recall of the rare", "f1_weighted": "weighted F1"}


def table() -> str:
    """Write the picked rows as Markdown."""
    heads = ("bench", "test data", "score", "serein", "beside it", "protocol")
    return markdown_table(heads, map(cells, PICKS))


def cells(pick: Pick) -> tuple[str, ...]:
    """Write the cells of one row."""
    file = RESULTS / f"{FILES.get(pick.bench, pick.bench)}.json"
    rows = read_json(file)
    found = {name: the_one(rows, pick.both | held) for name, held in pick.sides.items()}
    return (
        f"[`make {pick.bench}`](../{PAGES[pick.bench]}.md)",
        pick.title,
        SCORES[pick.score],
        *(f"{name}: {scored(row, pick.score)}" for name, row in found.items()),
        protocol(next(iter(found.values()))),
    )


def the_one(rows: list[Row], wanted: Row) -> Row:
    """Find the only row that holds what is wanted."""
    found = [row for row in rows if wanted.items() <= row.items()]
    if len(found) != 1:
        raise SystemExit(f"{len(found)} rows hold {wanted}: set bench/scored.py right")
    return found[0]


def scored(row: Row, score: str) -> str:
    """Write a score with its interval, where the bench gives one."""
    if score == "uar" and "condition" in row:
        return f"{row['uar']:.3f}"
    named = (row.get(f"{score}_low", row.get("low")), row.get(f"{score}_high", row.get("high")))
    return interval(row[score], *row.get(f"{score}_interval_95", named))


def protocol(row: Row) -> str:
    """Say how clips were kept apart."""
    if "folds" in row:
        return f"{row['folds']} folds of unseen speakers"
    return row.get("protocol", MELD)


if __name__ == "__main__":
    print(table())
