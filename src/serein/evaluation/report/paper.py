"""Figures and tables of a report as files, for a thesis or a paper.

``figures/`` holds each figure as PNG, SVG and PDF; ``tables/`` each table as CSV and as LaTeX, for
the package booktabs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from serein.evaluation.report.page import in_language
from serein.tables import csv_bytes, make_folder, write_whole

Row = Sequence[Any]

OVERALL = {
    "uar": "UAR",
    "accuracy": "accuracy",
    "f1_macro": "macro F1",
    "auc_macro": "macro AUC",
    "expected_calibration_error": "ECE",
    "log_loss": "log loss",
    "brier": "Brier score",
}
SPECIAL = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def write_paper(folder: Path, values: Mapping[str, Any], lang: str) -> None:
    """Write the figures and tables of a report, whose values these are, beside it."""
    say = in_language(lang)
    drawn = values["figures"].values()
    for drawing in chain.from_iterable(one if isinstance(one, list) else [one] for one in drawn):
        if drawing is not None:
            drawing.write(make_folder(folder / "figures"))
    for name, (header, rows) in _tables(values["document"] or {}):
        shown = [say(column) for column in header], [[say(row[0]), *row[1:]] for row in rows]
        place = make_folder(folder / "tables") / name
        write_whole(place.with_suffix(".csv"), csv_bytes(*shown))
        write_whole(place.with_suffix(".tex"), latex_table(*shown).encode())


def latex_table(header: Sequence[str], rows: Sequence[Row]) -> str:
    """Write a table for LaTeX: texts to the left, numbers to the right, with three decimals."""
    lines = [" & ".join(map(_cell, row)) + r" \\" for row in (header, *rows)]
    columns = "l" + "r" * (len(header) - 1)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _tables(document: Mapping[str, Any]) -> Iterator[tuple[str, tuple[list[str], list[Row]]]]:
    """Make the tables of a result: their names, headers and rows."""
    if not document:
        return
    ends = ["95 % from", "to"]
    scores: list[Row] = [
        [words, document[name], *_ends(document, name)]
        for name, words in OVERALL.items()
        if name in document
    ]
    yield "scores", (["score", "value", *ends], scores)
    names = ("recall", "precision", "f1", "auc")
    classes: list[Row] = [
        [label, entry["clips"], *(entry[name] for name in names)]
        for label, entry in document["by_class"].items()
    ]
    yield "classes", (["emotion", "clips", "recall", "precision", "F1", "AUC"], classes)
    labels = list(document["labels"])
    cells: list[Row] = [
        [label, *row] for label, row in zip(labels, document["confusion"], strict=True)
    ]
    yield "confusion", (["truth \\ prediction", *labels], cells)
    speakers: list[Row] = [
        [name, entry["clips"], entry["uar"], entry["accuracy"]]
        for name, entry in (document.get("by_speaker") or {}).items()
    ]
    if speakers:
        yield "speakers", (["speaker", "clips", "UAR", "accuracy"], speakers)


def _ends(document: Mapping[str, Any], name: str) -> Sequence[float | None]:
    found: Sequence[float | None] = document.get(f"{name}_interval_95") or (None, None)
    return found


def _cell(value: object) -> str:
    if value is None:
        return "--"
    return f"{value:.3f}" if isinstance(value, float) else str(value).translate(SPECIAL)
