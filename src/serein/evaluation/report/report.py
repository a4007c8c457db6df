"""A result as one page: ``report.html``, which opens from disk and needs nothing beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serein.errors import ProtocolError
from serein.evaluation.confidence import THRESHOLDS, reliability, risk_coverage
from serein.evaluation.report import figures
from serein.evaluation.report.page import fill
from serein.evaluation.report.tables import (
    as_toml,
    corpora,
    read_curves,
    read_robustness,
    threshold_rows,
    worst_predictions,
    worst_speakers,
)
from serein.evaluation.result import STAMP
from serein.evaluation.result_file import PREDICTIONS, RESULT, Record, read_record
from serein.tables import write_whole

REPORT, CURVES, ROBUSTNESS = "report.html", "curves.csv", "stress.json"
FEW_SPEAKERS = 8  # below which a report warns
MAX_FEATURES = 25  # whose importance is drawn
REQUIRED = (
    *("name", "uar", "uar_interval_95", "accuracy", "accuracy_interval_95"),
    *("expected_calibration_error", "expected_calibration_error_interval_95"),
    *("by_class", "confusion", "clips", "speakers"),
)
SECTIONS = {  # in the order of the page
    "summary": "Summary",
    "confusion": "Confusion matrix",
    "roc": "ROC curves",
    "speakers": "Each speaker",
    "classes": "Each emotion",
    "origins": "Each corpus",
    "adapted": "Speaker adaptation",
    "learning": "Learning curves",
    "calibration": "Calibration",
    "selective": "Abstention",
    "robustness": "Robustness",
    "fairness": "Fairness",
    "worst": "Worst predictions",
    "chosen": "Model selection",
    "importance": "Feature importance",
    "corpora": "Corpora",
    "folds": "Folds",
    "versions": "Versions, seed and licence",
    "recipe": "Recipe",
    "use": "Intended use",
}
ALWAYS = (
    *("summary", "confusion", "roc", "speakers", "classes", "calibration", "selective"),
    *("worst", "folds"),
)


def write_report(folder: str | Path) -> Path:
    """Write the page of a folder: of its result, its robustness test, or both.

    The folder holds ``result.json`` and ``predictions.csv``, maybe ``curves.csv``; or
    ``stress.json``. The same files give the same bytes.
    """
    return write_whole(Path(folder) / REPORT, render_report(folder).encode())


def render_report(folder: str | Path) -> str:
    """Make the page of a folder, as `write_report` writes it."""
    folder = Path(folder)
    robustness = read_robustness(folder / ROBUSTNESS)
    if robustness and not (folder / RESULT).exists():
        return fill("report.html.j2", **_robustness_page(robustness))
    record = read_record(folder)
    curves = read_curves(folder / CURVES)
    _check(record)
    try:
        return fill("report.html.j2", **_result_page(record, curves, robustness))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(
            f"{folder / RESULT} does not hold what a report shows ({error!r}): evaluate the recipe "
            "again"
        ) from error


def _check(record: Record) -> None:
    missing = [name for name in REQUIRED if name not in record.document]
    if missing:
        raise ProtocolError(
            f"{RESULT} lacks {', '.join(missing)}; a report needs all of Result.scores(): evaluate "
            "the recipe again"
        )
    stated, found = record.document["clips"], len(record.result.truth)
    if stated != found:
        raise ProtocolError(
            f"{RESULT} is about {stated} clips and {PREDICTIONS} holds {found}: they are not of "
            "one evaluation; evaluate the recipe again"
        )


def _result_page(
    record: Record, curves: dict[str, Any], robustness: dict[str, Any] | None
) -> dict[str, Any]:
    """Collect all that the templates name."""
    document, result = record.document, record.result
    curve = risk_coverage(result.truth, result.probabilities)
    values: dict[str, Any] = {
        "document": document,
        "robustness": robustness,
        "name": record.name,
        "kicker": "Evaluation",
        "protocol": result.protocol,
        "title": result.title,
        "stamp": STAMP if result.leaks else "",
        "leaks": result.leaks,
        "chance": 1 / len(result.labels),
        "reading": _reading(record),
        "number_columns": [[label, "num"] for label in result.labels],
        "speakers": worst_speakers(document.get("by_speaker") or result.by_speaker()),
        "folds": document.get("folds") or result.folds(),
        "origins": _origins(document),
        "aurc": curve.area,
        "thresholds": threshold_rows(curve),
        "worst": worst_predictions(result),
        "several_corpora": len(set(result.about.get("corpus", ()))) > 1,
        "corpora": corpora(document.get("corpora") or ()),
        "max_features": MAX_FEATURES,
        "recipe": as_toml(document.get("recipe") or {}),
        "figures": {
            **_result_figures(record),
            "selective": figures.selective(curve, THRESHOLDS),
            "robustness": _robustness_figure(robustness),
            "learning": [figures.learning(found, kind) for kind, found in curves.items()],
        },
    }
    shown = {*ALWAYS, *(name for name in ("recipe", "origins") if values[name])}
    shown |= {name for name in ("chosen", "importance", "corpora", "adapted") if document.get(name)}
    shown |= {"learning"} if curves else set()
    shown |= {"versions"} if {"seed", "versions", "licence", "made"} & set(document) else set()
    return values | {"shown": _contents(shown, robustness)}


def _result_figures(record: Record) -> dict[str, str]:
    document, result = record.document, record.result
    return {
        "confusion": figures.confusion(document["confusion"], result.labels),
        "roc": figures.roc(result),
        "calibration": figures.calibration(reliability(result.truth, result.probabilities)),
        "importance": figures.importance((document.get("importance") or [])[:MAX_FEATURES]),
    }


def _robustness_page(robustness: dict[str, Any]) -> dict[str, Any]:
    stamp, title = robustness["stamp"], robustness["title"]
    return {
        "document": None,
        "robustness": robustness,
        "name": robustness["name"],
        "kicker": "Robustness test",
        "protocol": title,
        "title": f"{title} [{stamp}]" if stamp else title,
        "stamp": stamp,
        "leaks": (),
        "figures": {"robustness": _robustness_figure(robustness)},
        "shown": _contents(set(), robustness),
    }


def _robustness_figure(robustness: dict[str, Any] | None) -> str:
    if not robustness or not robustness["conditions"]:
        return ""
    return figures.robustness(robustness["conditions"], robustness["clean"])


def _contents(shown: set[str], robustness: dict[str, Any] | None) -> dict[str, str]:
    """Say which sections the page has, in its order, with their headings."""
    shown = shown | {"use"}
    if robustness:
        shown |= {"robustness"} | ({"fairness"} if robustness["fairness"] else set())
    return {name: title for name, title in SECTIONS.items() if name in shown}


def _reading(record: Record) -> str:
    """Say in a plain sentence what the UAR means."""
    document, result = record.document, record.result
    if result.leaks:
        return (
            "These scores are optimistic: the box above says what was allowed. They do not say how "
            "well unseen speakers are recognised."
        )
    classes, interval = len(result.labels), document["uar_interval_95"]
    sentence = (
        f"How to read it: of 100 clips of each emotion, from unseen speakers, about "
        f"{100 * document['uar']:.0f} are recognised; guessing among {classes} emotions gets "
        f"{100 / classes:.3g}."
    )
    if interval:
        low, high = (f"{100 * end:.0f}" for end in interval)
        sentence += f" With other speakers of this kind, expect {low} to {high}."
    speakers = len(set(result.speakers.tolist()))
    if speakers < FEW_SPEAKERS:
        sentence += f" Only {speakers} speakers: intervals of so few are rough; take it as a hint."
    return sentence


def _origins(document: dict[str, Any]) -> list[dict[str, Any]]:
    """List the scores of each corpus, and those of the int8 encoder, if there is more than one."""
    parts = {"float32": document, "int8": document.get("int8") or {}}
    origins = [
        {"corpus": name, "features": features, **scores}
        for features, part in parts.items()
        for name, scores in part.get("by_corpus", {}).items()
    ]
    return origins if len(origins) > 1 else []
