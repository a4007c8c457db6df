"""A result on disk: ``result.json``, and the raw ``predictions.csv`` that it is computed from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serein.errors import ProtocolError, reason_of
from serein.evaluation.result import Result
from serein.tables import make_folder, read_rows, write_rows, write_whole

FORMAT, VERSION = "serein-result", 2
RESULT, PREDICTIONS = "result.json", "predictions.csv"
ABOUT = ("file", "corpus", "gender", "language", "text")


@dataclass(frozen=True)
class Record:
    """A result read from disk."""

    document: dict[str, Any]  # what ``result.json`` holds
    result: Result  # the raw predictions

    @property
    def name(self) -> str:
        """What was evaluated."""
        return str(self.document["name"])


def write_record(result: Result, document: dict[str, Any], folder: str | Path) -> Path:
    """Write a result.

    `result`: the raw predictions; its columns ``about`` are written too.
    `document`: plain values: ``name`` and whatever else is known; format, version, protocol, labels
    and leaks are added.
    `folder`: made if it is not there.
    Returns: path of ``result.json``.
    """
    folder = make_folder(folder)
    write_predictions(result, folder / PREDICTIONS)
    whole = {
        "format": FORMAT,
        "version": VERSION,
        "protocol": result.protocol,
        "leaks": list(result.leaks),
        "labels": list(result.labels),
        **document,
    }
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    return write_whole(folder / RESULT, text.encode())


def write_predictions(result: Result, target: Path) -> None:
    """Write a row a clip: what is known of it, truth, prediction, probability of each label."""
    columns = [name for name in ABOUT if name in result.about]
    rows = (
        [
            *(result.about[name][number] for name in columns),
            result.speakers[number],
            result.fold[number],
            result.labels[result.truth[number]],
            result.labels[result.prediction[number]],
            *(f"{value:.6f}" for value in row),
        ]
        for number, row in enumerate(result.probabilities)
    )
    write_rows(target, [*columns, "speaker", "fold", "truth", "answer", *result.labels], rows)


def read_record(place: str | Path) -> Record:
    """Read a result back.

    `place`: its folder, or the ``result.json`` in it.
    Raises: ProtocolError if there is no result that can be read.
    """
    place = Path(place)
    folder = place.parent if place.name == RESULT else place
    try:
        document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProtocolError(
            f"{folder} holds no {RESULT} that can be read: {reason_of(error)}; "
            "`serein evaluate RECIPE --out DIR` writes one"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ProtocolError(f"{folder / RESULT} does not say it is a {FORMAT}")
    if document.get("version") != VERSION:
        raise ProtocolError(
            f"{folder / RESULT} is of version {document.get('version')!r}; this serein reads "
            f"version {VERSION}: evaluate the recipe again"
        )
    try:
        result = _read_predictions(document, folder / PREDICTIONS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProtocolError(
            f"{folder}: {PREDICTIONS} is missing or damaged ({error}); evaluate the recipe again"
        ) from error
    return Record(document, result)


def _read_predictions(document: dict[str, Any], file: Path) -> Result:
    labels = tuple(map(str, document["labels"]))
    rows = read_rows(file)
    if not rows:
        raise ValueError("no row")
    place = {label: number for number, label in enumerate(labels)}
    probabilities = np.array([[float(row[label]) for label in labels] for row in rows])
    if not np.isfinite(probabilities).all():
        raise ValueError("a probability is not finite")
    return Result(
        str(document["protocol"]),
        labels,
        np.array([place[row["truth"]] for row in rows]),
        probabilities,
        np.array([row["speaker"] for row in rows]),
        np.array([int(row["fold"]) for row in rows]),
        {name: np.array([row[name] for row in rows]) for name in ABOUT if name in rows[0]},
        tuple(map(str, document["leaks"])),
    )
