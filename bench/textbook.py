"""The figures of docs/textbook.md, docs/FUSION.md and results/textbook.md: `make textbook`.

Nothing is measured here. Each block of a page stands between two equal marks, `<!-- textbook NAME
-->`, and is written by the function of that name; no figure on a page is typed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from library import RESULTS, ROOT, Row, interval, uar, uar_of

PAGES = (ROOT / "docs/textbook.md", ROOT / "docs/FUSION.md", RESULTS / "textbook.md")
TITLES = {"emodb": "EmoDB", "ravdess": "RAVDESS"}
SURE = 0.05  # adjusted p below which a difference is printed bold
Results = Mapping[str, list[Row]]


def main() -> None:
    """Write the figures into the pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(filled(text, read_results(RESULTS)), encoding="utf-8")


def read_results(folder: Path) -> Results:
    """Read every result that is a list of rows."""
    files = {file.stem: json.loads(file.read_text("utf-8")) for file in folder.glob("*.json")}
    return {name: rows for name, rows in files.items() if isinstance(rows, list)}


def filled(text: str, results: Results) -> str:
    """Put every block between its marks; a mark that no block has is an error."""

    def block(found: re.Match[str]) -> str:
        mark, name = found[1], found[2]
        return f"{mark}\n{BLOCKS[name](results)}\n{mark}"

    return re.sub(r"(<!-- textbook ([\w ]+) -->)\n.*?\1", block, text, flags=re.S)


def one(rows: Iterable[Row], **key: Any) -> Row:
    """Find the one row with these values."""
    (row,) = [row for row in rows if key.items() <= row.items()]
    return row


def gain(row: Row) -> str:
    """Write a difference with its paired interval; bold if it is more than chance."""
    if "gain" not in row:
        return ""
    text = interval(row["gain"], row["gain_low"], row["gain_high"], "+.3f")
    return f"**{text}**" if row["p_holm"] < SURE else text


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table."""
    head = [*head]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def methods(topic: str, results: Results) -> str:
    """Write what `make methods` found about a topic, the plain option first."""
    mine = [row for row in results["methods"] if row["topic"] == topic]
    corpora = [name for name in TITLES if any(row["corpus"] == name for row in mine)]
    plain = next(row["method"] for row in mine if "gain" not in row)
    names = [plain, *dict.fromkeys(row["method"] for row in mine if row["method"] != plain)]
    head = ["method", *(f"{TITLES[name]} UAR" for name in corpora)]
    head += [f"over the first, {TITLES[name]}" for name in corpora]
    found = [[one(mine, method=name, corpus=corpus) for corpus in corpora] for name in names]
    lines = [
        [name, *map(uar, rows), *map(gain, rows)] for name, rows in zip(names, found, strict=True)
    ]
    return f"{table(head, lines)}\n\n{conditions(mine)}"


def conditions(rows: list[Row]) -> str:
    """Say what rows of a topic have in common."""
    protocols = dict.fromkeys(f"{TITLES[row['corpus']]}: {row['protocol']}" for row in rows)
    model, seeds = rows[0]["model"], rows[0]["seeds"]
    trained = f"`{model}`, {seeds} seeds together" if seeds > 1 else f"`{model}`"
    return f"{trained}. {'; '.join(protocols)}."


def models(names: Iterable[str], results: Results) -> str:
    """Write rows of `make table`."""
    lines = []
    for name in names:
        rows = [one(results["models"], model=name, corpus=corpus) for corpus in TITLES]
        lines.append([f"`{name}`", *map(uar, rows), f"{rows[1]['parameters']:,}"])
    return table(["model", *(f"{title} UAR" for title in TITLES.values()), "parameters"], lines)


def stress(conditions: Iterable[str], results: Results) -> str:
    """Write rows of `make stress`."""
    lines = []
    for name in conditions:
        rows = [one(results["stress"], corpus=corpus, condition=name) for corpus in TITLES]
        lines.append([name, *(f"{row['uar']:.3f}" for row in rows), *map(change, rows)])
    head = ["condition", *(f"{title} UAR" for title in TITLES.values())]
    return table([*head, *(f"change, {title}" for title in TITLES.values())], lines)


def change(row: Row) -> str:
    """Write what a condition changes."""
    if row["condition"] == "clean":
        return ""
    return interval(row["change"], row["low"], row["high"], "+.3f")


def imbalance(results: Results) -> str:
    """Write the rows of `make imbalance`."""
    lines = []
    for row in results["imbalance"]:
        if "uar" not in row:
            continue
        cells = [row["method"], row["classifier"]]
        for name in ("minority_recall", "uar"):
            cells.append(interval(row[name], *row[f"{name}_interval_95"]))
        lines.append(cells)
    return table(["method", "classifier", "recall of the rare three", "UAR"], lines)


def fusion(results: Results) -> str:
    """Write rows of `make fusion`."""
    names = ("voice", "face", "early", "late-product", "hybrid-cross_modal")
    rows = [one(results["fusion"], system=name) for name in names]
    head = ["modalities", "method", "RAVDESS UAR", "over the voice"]
    return table(head, [[row["modalities"], row["method"], uar(row), gain(row)] for row in rows])


def words(results: Results) -> str:
    """Write rows of `make words`."""
    names = {
        "most-frequent": "always neutral",
        "tfidf": "TF-IDF, logistic regression",
        "adapted-context": "MiniLM adapted, with the sentences before",
    }
    lines = []
    for system, title in names.items():
        row = one(results["words"], system=system, set="test")
        ends = (row["f1_weighted_low"], row["f1_weighted_high"])
        lines.append([title, interval(row["f1_weighted"], *ends)])
    return table(["words alone, MELD's test set", "weighted F1"], lines)


def leaks(results: Results) -> str:
    """Write the rows of `make leaks` about the support vector machine."""
    rows = [row for row in results["leaks"] if row["recipe"] == "ravdess/svm"]
    return table(["folds", "RAVDESS UAR"], [[row["split"], uar(row)] for row in rows])


def peers(results: Results) -> str:
    """Write the rows of `make peers` on RAVDESS."""
    rows = [row for row in results["peers"] if row["corpus"] == "ravdess"]
    lines = [[row["system"], uar(row), f"{row['accuracy']:.3f}"] for row in rows]
    return table(["system", "RAVDESS UAR", "accuracy"], lines)


def adapted(results: Results) -> str:
    """Write rows of `make accuracy`: unadapted, and with other utterances of the speaker known."""
    lines = []
    for known, title in ((False, "unadapted"), ("all", "all other utterances known, unlabelled")):
        key = {"system": "recipe", "adapted": known, "one_emotion": False}
        rows = [one(results["accuracy"], case=corpus, **key) for corpus in TITLES]
        lines.append([title, *map(uar, rows)])
    return table(["speaker", *(f"{title} UAR" for title in TITLES.values())], lines)


def count(results: Results) -> str:
    """Say how many were compared, and in how many a difference is more than chance."""
    tested = [row for row in results["methods"] if "p" in row]
    better = sum(row["p_holm"] < SURE and row["gain"] > 0 for row in tested)
    worse = sum(row["p_holm"] < SURE and row["gain"] < 0 for row in tested)
    return (
        f"`make methods` made {len(tested)} comparisons. After Holm's adjustment for all of them "
        f"{better} are a gain and {worse} a loss that is more than chance (printed "
        f"**bold**); the other {len(tested) - better - worse} are not told from chance."
    )


def summary(results: Results) -> str:
    """Write the table on top: a figure a method, on RAVDESS, beside what it is compared with."""
    lines = []
    for title, plain, line in SUMMARY:
        row = line(results)
        lines.append([title, uar(row), plain, gain(row)])
    return table(["method", "UAR on RAVDESS", "compared with", "difference"], lines)


def model(name: str) -> Callable[[Results], Row]:
    """Find a model's row."""
    return lambda results: one(results["models"], model=name, corpus="ravdess")


def method(topic: str, name: str) -> Callable[[Results], Row]:
    """Find a method's row."""
    return lambda results: one(results["methods"], topic=topic, method=name, corpus="ravdess")


def modality(system: str) -> Callable[[Results], Row]:
    """Find the row of a fusion."""
    return lambda results: one(results["fusion"], system=system)


def rare(name: str) -> Callable[[Results], Row]:
    """Find the row of an answer to rare emotions."""

    def row(results: Results) -> Row:
        return uar_of(one(results["imbalance"], method=name))

    return row


SUMMARY = (
    ("2 Denoising: Wiener, MFCC in noise of 10 dB", "not denoised", method("denoising", "wiener")),
    ("3 Features: the expert set", "MFCC alone", method("features", "expert")),
    ("4 Classics: logistic regression", "", model("logistic")),
    ("5 CNN: the textbook's", "", model("textbook_cnn")),
    ("5 CNN: `light_cnn`", "", model("light_cnn")),
    ("6 RNN", "", model("rnn")),
    ("7 LSTM, both ways", "", model("bilstm")),
    ("8 Transformer", "", model("transformer")),
    ("9 Attention: `cnn_lstm_attention`", "", model("cnn_lstm_attention")),
    ("9 Graph network: `graph`", "", model("graph")),
    ("10 Pre-trained encoder, ridge", "", model("ridge on whisper-base")),
    ("11 Fusion of voice and face, late", "voice alone", modality("late-product")),
    ("12 Augmentation: MFCC, other speeds", "no augmentation", method("augmentation", "speed")),
    ("13 Imbalance, corpus thinned: class weights", "", rare("class_weights")),
    ("13 Imbalance, corpus thinned: GAN", "", rare("gan")),
    ("14 Optimiser: AdamW", "SGD, same rate", method("optimiser", "adamw")),
    ("15 Schedule: one cycle", "fixed rate", method("schedule", "one_cycle")),
    ("16 Initialisation: He", "PyTorch's own", method("initialisation", "he")),
    ("17 Activation: ReLU", "sigmoid", method("activation", "relu")),
    ("18 Regularisation: dropout 0.3", "none", method("regularisation", "dropout 0.3")),
    ("18 Early stopping", "40 epochs", method("early stopping", "early stopping")),
    ("19 Tuning: 12 trials, Bayesian", "as it comes", method("tuning", "bayesian")),
    ("20 Ensemble: voting", "", model("voting")),
    (
        "20 Ensemble: three networks",
        "one network",
        method("ensemble of networks", "bagging of 3"),
    ),
)
"""Title, what it is compared with, and where its row is."""

BLOCKS: dict[str, Callable[[Results], str]] = {
    "summary": summary,
    "count": count,
    "acquisition": partial(
        stress, ("clean", "telephone", "resampled 8 kHz", "MP3 16 kbit/s", "reverberation 0.8 s")
    ),
    "denoising": partial(methods, "denoising"),
    "denoising clean": partial(methods, "denoising of clean clips"),
    "features": partial(methods, "features"),
    "classics": partial(
        models, ("logistic", "svm", "naive_bayes", "knn", "random_forest", "gmm_hmm")
    ),
    "cnn": partial(models, ("textbook_cnn", "cnn", "light_cnn")),
    "rnn": partial(models, ("rnn",)),
    "lstm": partial(models, ("lstm", "bilstm")),
    "transformer": partial(models, ("transformer",)),
    "attention": partial(models, ("cnn_lstm_attention", "attentive_statistics")),
    "graph": partial(models, ("graph",)),
    "encoder": partial(models, ("ridge on whisper-base", "logistic on whisper-base")),
    "fusion": fusion,
    "words": words,
    "augmentation": partial(methods, "augmentation"),
    "masking": partial(methods, "masking"),
    "imbalance": imbalance,
    "optimiser": partial(methods, "optimiser"),
    "schedule": partial(methods, "schedule"),
    "initialisation": partial(methods, "initialisation"),
    "activation": partial(methods, "activation"),
    "regularisation": partial(methods, "regularisation"),
    "early stopping": partial(methods, "early stopping"),
    "tuning": partial(methods, "tuning"),
    "ensembles": partial(models, ("svm", "bagging", "boosting", "voting", "stacking")),
    "ensemble of networks": partial(methods, "ensemble of networks"),
    "leaks": leaks,
    "project": peers,
    "adapted": adapted,
}
"""Name of a block on the page -> what writes it."""


if __name__ == "__main__":
    main()
