"""The tables of a report as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serein.errors import ProtocolError
from serein.evaluation.confidence import THRESHOLDS, RiskCoverage
from serein.evaluation.fairness import SIGNIFICANT
from serein.evaluation.metrics import Floats
from serein.evaluation.report.page import signed
from serein.evaluation.result import Result
from serein.tables import read_rows

Plain = dict[str, Any]
WORST = 20  # clips listed
CURVES = {"loss": ("train_loss", "valid_loss"), "UAR": ("train_uar", "valid_uar")}


def worst_predictions(result: Result) -> list[Plain]:
    """List the clips whose true emotion has the lowest probability."""
    true = result.probabilities[np.arange(len(result.truth)), result.truth]
    prediction, about = result.prediction, result.about
    return [
        {
            "file": str(about["file"][row]) if "file" in about else f"clip {row + 1}",
            "corpus": str(about["corpus"][row]) if "corpus" in about else "",
            "speaker": str(result.speakers[row]),
            "truth": result.labels[result.truth[row]],
            "prediction": result.labels[prediction[row]],
            "p_true": float(true[row]),
            "p_prediction": float(result.probabilities[row, prediction[row]]),
        }
        for row in np.argsort(true, kind="stable")[:WORST]
    ]


def threshold_rows(curve: RiskCoverage) -> list[Plain]:
    """List coverage and accuracy at each threshold of the reject option."""
    rows = [(threshold, *curve.at(threshold)) for threshold in (0.0, *THRESHOLDS)]
    return [dict(zip(("threshold", "coverage", "accuracy"), row, strict=True)) for row in rows]


def worst_speakers(by_speaker: Mapping[str, Plain]) -> list[Plain]:
    """List speakers, the worst recognised first."""
    rows = [{"speaker": name, **entry} for name, entry in by_speaker.items()]
    return sorted(rows, key=lambda row: (row["accuracy"], row["speaker"]))


def corpora(described: Sequence[Plain]) -> list[Plain]:
    """List corpora with the number of their speakers, whether counted or named."""
    people = [row["speakers"] for row in described]
    counts = [each if isinstance(each, int) else len(each) for each in people]
    return [{**row, "speakers": count} for row, count in zip(described, counts, strict=True)]


def read_curves(file: Path) -> dict[str, dict[str, Floats]]:
    """Read the learning curves of a network."""
    if not file.is_file():
        return {}
    try:
        rows = read_rows(file)
        folds = {name: number for number, name in enumerate(dict.fromkeys(r["fold"] for r in rows))}
        shape = (len(folds), max((int(row["epoch"]) for row in rows), default=0))
        found: dict[str, dict[str, Floats]] = {}
        for kind, names in CURVES.items():
            for name in names:
                values = np.full(shape, np.nan)
                for row in rows:
                    place = folds[row["fold"]], int(row["epoch"]) - 1
                    values[place] = float(row.get(name) or "nan")
                if np.isfinite(values).any():
                    found.setdefault(kind, {})[name] = values
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ProtocolError(f"{file} is damaged ({error}): evaluate the recipe again") from error
    return found


def read_robustness(file: Path) -> Plain | None:
    """Read what `serein stress` wrote, as the page shows it."""
    if not file.is_file():
        return None
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        conditions = [
            {"name": name, "test": str(entry["settings"]["test"]), **entry}
            for name, entry in document["conditions"].items()
        ]
        tests = list(dict.fromkeys(entry["test"] for entry in conditions))
        conditions.sort(key=lambda entry: tests.index(entry["test"]))
        return {
            "name": str(document["name"]),
            **_split_stamp(str(document["title"])),
            "notes": list(document["notes"]),
            "clips": int(document["clips"]),
            "speakers": int(document["speakers"]),
            "clean": float(document["clean"]["uar"]),
            "conditions": conditions,
            "fairness": [_grouping(by, entry) for by, entry in document["fairness"].items()],
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"{file} is damaged ({error!r}): run `serein stress` again") from error


def _split_stamp(title: str) -> dict[str, str]:
    """Separate a title from the stamp in capitals before it."""
    stamp, _, rest = title.partition(": ")
    return {"stamp": stamp, "title": rest} if stamp.isupper() else {"stamp": "", "title": title}


def _grouping(by: str, entry: Plain) -> Plain:
    groups = [_group(group) for group in entry["groups"]]
    values = [end for group in groups for end in (group["value"], *(group["chance_95"] or ()))]
    reach = [abs(end) for end in values if end is not None]
    return {
        "by": by,
        "notes": list(entry["notes"]),
        "groups": sorted(groups, key=lambda group: (group["value"] is None, group["value"] or 0)),
        "reach": np.ceil(max(reach, default=0.1) * 20 + 0.01) / 20,
    }


def _group(group: Plain) -> Plain:
    outside = [
        f"{label} {signed(difference['value'], 2)}"
        for label, difference in group["recall_difference"].items()
        if difference["p_holm"] is not None and difference["p_holm"] <= SIGNIFICANT
    ]
    whole = group["uar_difference"]
    return {
        **{name: group[name] for name in ("name", "clips", "speakers", "uar", "verdict")},
        **{name: whole[name] for name in ("value", "p_holm")},
        "chance_95": None if None in whole["chance_95"] else whole["chance_95"],
        "classes_outside": outside,
    }


def as_toml(recipe: Mapping[str, Any], path: Sequence[str] = ()) -> str:
    """Write a recipe as TOML to be read; what is not set is left out."""
    lines = [f"[{'.'.join(path)}]"] if path else []
    inner = []
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            inner.append(as_toml(value, (*path, str(name))))
        elif value is not None:
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False, default=str)}")
    own = [] if path and len(lines) == 1 else lines
    return "\n\n".join(part for part in ("\n".join(own), *inner) if part)
