"""A result as one page: ``report.html``, which opens from disk and needs nothing beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serein.errors import ProtocolError
from serein.evaluation.confidence import THRESHOLDS, reliability, risk_coverage
from serein.evaluation.report import figures
from serein.evaluation.report.figures import Say
from serein.evaluation.report.page import fill, in_language
from serein.evaluation.report.paper import write_paper
from serein.evaluation.report.svg import Drawing
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


def write_report(folder: str | Path, *, lang: str = "en", paper: bool = False) -> Path:
    """Write the page of a folder: of its result, its robustness test, or both.

    The folder holds ``result.json`` and ``predictions.csv``, maybe ``curves.csv``; or
    ``stress.json``. The same files give the same bytes.
    `lang`: en or zh; `paper`: also the figures and tables as files beside it.
    """
    folder = Path(folder)
    values = _page(folder, lang)
    if paper:
        write_paper(folder, values, lang)
    return write_whole(folder / REPORT, _filled(folder, values, lang).encode())


def render_report(folder: str | Path, *, lang: str = "en") -> str:
    """Make the page of a folder, as `write_report` writes it."""
    return _filled(Path(folder), _page(Path(folder), lang), lang)


def _page(folder: Path, lang: str) -> dict[str, Any]:
    """Collect all that the templates name."""
    robustness, say = read_robustness(folder / ROBUSTNESS), in_language(lang)
    if robustness and not (folder / RESULT).exists():
        return _robustness_page(robustness, say)
    record = read_record(folder)
    curves = read_curves(folder / CURVES)
    _check(record)
    try:
        return _result_page(record, curves, robustness, say)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _unfit(folder, error) from error


def _filled(folder: Path, values: dict[str, Any], lang: str) -> str:
    try:
        return fill("report.html.j2", lang, **values)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _unfit(folder, error) from error


def _unfit(folder: Path, error: Exception) -> ProtocolError:
    return ProtocolError(
        f"{folder / RESULT} does not hold what a report shows ({error!r}): evaluate "
        "the recipe again"
    )


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
    record: Record, curves: dict[str, Any], robustness: dict[str, Any] | None, say: Say
) -> dict[str, Any]:
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
        "reading": _reading(record, say),
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
            **_result_figures(record, say),
            "selective": figures.selective(curve, THRESHOLDS, say),
            "robustness": _robustness_figure(robustness, say),
            "learning": [figures.learning(found, kind, say) for kind, found in curves.items()],
        },
    }
    shown = {*ALWAYS, *(name for name in ("recipe", "origins") if values[name])}
    shown |= {name for name in ("chosen", "importance", "corpora", "adapted") if document.get(name)}
    shown |= {"learning"} if curves else set()
    shown |= {"versions"} if {"seed", "versions", "licence", "made"} & set(document) else set()
    return values | {"shown": _contents(shown, robustness)}


def _result_figures(record: Record, say: Say) -> dict[str, Drawing]:
    document, result = record.document, record.result
    found = reliability(result.truth, result.probabilities)
    important = (document.get("importance") or [])[:MAX_FEATURES]
    return {
        "confusion": figures.confusion(document["confusion"], result.labels, say),
        "roc": figures.roc(result, say),
        "calibration": figures.calibration(found, say),
        **({"importance": figures.importance(important, say)} if important else {}),
    }


def _robustness_page(robustness: dict[str, Any], say: Say) -> dict[str, Any]:
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
        "figures": {"robustness": _robustness_figure(robustness, say)},
        "shown": _contents(set(), robustness),
    }


def _robustness_figure(robustness: dict[str, Any] | None, say: Say) -> Drawing | None:
    if not robustness or not robustness["conditions"]:
        return None
    return figures.robustness(robustness["conditions"], robustness["clean"], say)


def _contents(shown: set[str], robustness: dict[str, Any] | None) -> dict[str, str]:
    """Say which sections the page has, in its order, with their headings."""
    shown = shown | {"use"}
    if robustness:
        shown |= {"robustness"} | ({"fairness"} if robustness["fairness"] else set())
    return {name: title for name, title in SECTIONS.items() if name in shown}


def _reading(record: Record, say: Say) -> str:
    """Say in plain sentences what the UAR means, and how far above chance it is."""
    document, result = record.document, record.result
    if result.leaks:
        return say(
            "These scores are optimistic: the box above says what was allowed. They do not say how "
            "well unseen speakers are recognised."
        )
    classes, interval = len(result.labels), document["uar_interval_95"]
    recognised, guessed = 100 * document["uar"], 100 / classes
    parts = [
        say(
            "How to read it: of 100 clips of each emotion, from unseen speakers, about {:.0f} are "
            "recognised; guessing among {} emotions gets {:.3g}: {:+.0f} against chance."
        ).format(recognised, classes, guessed, recognised - guessed)
    ]
    if interval:
        low, high = (100 * end for end in interval)
        parts.append(
            say("With other speakers of this kind, expect {:.0f} to {:.0f}.").format(low, high)
        )
    speakers = len(set(result.speakers.tolist()))
    if speakers < FEW_SPEAKERS:
        few = "Only {} speakers: intervals of so few are rough; take it as a hint."
        parts.append(say(few).format(speakers))
    return " ".join(parts)


def _origins(document: dict[str, Any]) -> list[dict[str, Any]]:
    """List the scores of each corpus, and those of the int8 encoder, if there is more than one."""
    parts = {"float32": document, "int8": document.get("int8") or {}}
    origins = [
        {"corpus": name, "features": features, **scores}
        for features, part in parts.items()
        for name, scores in part.get("by_corpus", {}).items()
    ]
    return origins if len(origins) > 1 else []
