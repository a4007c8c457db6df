"""A result as one page: ``report.html``, which opens from disk and needs nothing beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serein.errors import ProtocolError
from serein.evaluation.confidence import reliability, risk_coverage
from serein.evaluation.report import figures as plots
from serein.evaluation.report import figures as rows
from serein.evaluation.report.page import fill
from serein.evaluation.report.tables import (
    THRESHOLDS,
    answered,
    as_toml,
    corpora,
    hardest,
    read_curves,
    read_stress,
    worst_first,
)
from serein.evaluation.result import STAMP
from serein.evaluation.result_file import PREDICTIONS, RESULT, Record, read_record

REPORT, CURVES, STRESS = "report.html", "curves.csv", "stress.json"
FEATURES = 25  # whose importance is drawn, at most
NEEDED = (
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
    "adapted": "Adapted to the speaker",
    "learning": "Learning curves",
    "calibration": "Calibration",
    "selective": "Leaving clips unanswered",
    "robustness": "Harder recordings",
    "fairness": "Groups of people",
    "hardest": "The hardest clips",
    "chosen": "What was chosen, and on what",
    "importance": "What the features are worth",
    "corpora": "Corpora",
    "folds": "Folds",
    "versions": "Versions, seed and licence",
    "recipe": "Recipe",
    "use": "Intended use",
}
ALWAYS = (
    *("summary", "confusion", "roc", "speakers", "classes", "calibration", "selective"),
    *("hardest", "folds"),
)


def write_report(folder: str | Path) -> Path:
    """Draw the page of a folder: of its result, its stress test, or both.

    Parameters
    ----------
    folder : str or path
        Holds ``result.json`` and ``predictions.csv``, and if there ``curves.csv``; or
        ``stress.json``.

    Returns
    -------
    pathlib.Path
        Of ``report.html`` in it; the same files give the same bytes.

    Raises
    ------
    ProtocolError
        If there is neither result nor stress test, or a file is damaged or lacks what is needed.
    MissingExtraError
        If Jinja2 or matplotlib is not installed.
    """
    folder = Path(folder)
    target = folder / REPORT
    target.write_text(render_report(folder), encoding="utf-8")
    return target


def render_report(folder: str | Path) -> str:
    """Make the page of a folder, as `write_report` writes it."""
    folder = Path(folder)
    stress = read_stress(folder / STRESS)
    if stress and not (folder / RESULT).exists():
        return fill("report.html.j2", **_stress_alone(stress))
    record = read_record(folder)
    curves = read_curves(folder / CURVES)
    _check(record)
    try:
        return fill("report.html.j2", **_whole(record, curves, stress))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(
            f"{folder / RESULT} does not hold what a report shows ({error!r}): evaluate the recipe "
            "again"
        ) from error


def _check(record: Record) -> None:
    missing = [name for name in NEEDED if name not in record.document]
    if missing:
        raise ProtocolError(
            f"{RESULT} lacks {', '.join(missing)}; a report needs all of Result.scores(): evaluate "
            "the recipe again"
        )
    told, there = record.document["clips"], len(record.result.truth)
    if told != there:
        raise ProtocolError(
            f"{RESULT} is about {told} clips and {PREDICTIONS} holds {there}: they are not of one "
            "evaluation; evaluate the recipe again"
        )


def _whole(record: Record, curves: dict[str, Any], stress: dict[str, Any] | None) -> dict[str, Any]:
    """Collect all that the templates name."""
    document, result = record.document, record.result
    curve = risk_coverage(result.truth, result.probabilities)
    values: dict[str, Any] = {
        "document": document,
        "stress": stress,
        "name": record.name,
        "kicker": "Evaluation",
        "protocol": result.protocol,
        "title": result.title,
        "stamp": STAMP if result.leaks else "",
        "leaks": result.leaks,
        "chance": 1 / len(result.labels),
        "reading": _reading(record),
        "number_columns": [[label, "num"] for label in result.labels],
        "speakers": worst_first(document.get("by_speaker") or result.by_speaker()),
        "folds": document.get("folds") or result.folds(),
        "origins": _origins(document),
        "aurc": curve.area,
        "answered": answered(curve),
        "hardest": hardest(result),
        "several_corpora": len(set(result.about.get("corpus", ()))) > 1,
        "corpora": corpora(document.get("corpora") or ()),
        "most_features": FEATURES,
        "recipe": as_toml(document.get("recipe") or {}),
        "figures": _figures(record, curves, stress),
    }
    shown = {*ALWAYS, *(name for name in ("recipe", "origins") if values[name])}
    shown |= {name for name in ("chosen", "importance", "corpora", "adapted") if document.get(name)}
    shown |= {"learning"} if curves else set()
    shown |= {"versions"} if {"seed", "versions", "licence", "made"} & set(document) else set()
    return values | {"shown": _contents(shown, stress)}


def _figures(
    record: Record, curves: dict[str, Any], stress: dict[str, Any] | None
) -> dict[str, Any]:
    document, result = record.document, record.result
    drawn: dict[str, Any] = {
        "confusion": plots.confusion(document["confusion"], result.labels),
        "roc": plots.roc(result),
        "calibration": plots.calibration(reliability(result.truth, result.probabilities)),
        "selective": plots.selective(risk_coverage(result.truth, result.probabilities), THRESHOLDS),
    }
    if document.get("importance"):
        drawn["importance"] = rows.importance(document["importance"][:FEATURES])
    if stress:
        drawn |= _stress_figures(stress)
    learning = [plots.learning(found, kind) for kind, found in curves.items()]
    return drawn | {"learning": learning}


def _stress_figures(stress: dict[str, Any]) -> dict[str, str]:
    if not stress["conditions"]:
        return {}
    return {"robustness": rows.robustness(stress["conditions"], stress["clean"])}


def _stress_alone(stress: dict[str, Any]) -> dict[str, Any]:
    return {
        "document": None,
        "stress": stress,
        "name": stress["name"],
        "kicker": "Stress test",
        "protocol": stress["title"],
        "title": f"{stress['title']} [{stress['stamp']}]" if stress["stamp"] else stress["title"],
        "stamp": stress["stamp"],
        "leaks": (),
        "figures": _stress_figures(stress),
        "shown": _contents(set(), stress),
    }


def _contents(shown: set[str], stress: dict[str, Any] | None) -> dict[str, str]:
    """Say which sections the page has, in its order, with their headings."""
    there = shown | {"use"}
    if stress:
        there |= {"robustness"} | ({"fairness"} if stress["fairness"] else set())
    return {name: title for name, title in SECTIONS.items() if name in there}


def _reading(record: Record) -> str:
    """Say in a plain sentence what the UAR means."""
    document, result = record.document, record.result
    if result.leaks:
        return (
            "These numbers flatter: the box above says what was allowed. They say nothing about "
            "how well people are recognised whom the model has not heard."
        )
    classes = len(result.labels)
    sentence = (
        f"How to read it: of 100 clips of each emotion, from speakers the model had not heard, "
        f"about {100 * document['uar']:.0f} get the right name; guessing among {classes} emotions "
        f"gets {100 / classes:.3g}."
    )
    if document["uar_interval_95"]:
        low, high = document["uar_interval_95"]
        sentence += f" With other speakers of this kind, {100 * low:.0f} to {100 * high:.0f} is "
        sentence += "to be expected."
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
