"""The report of a robustness test, and its files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serein.audio.conditions import Condition
from serein.evaluation.comparison import Change
from serein.evaluation.fairness import Fairness
from serein.evaluation.metrics import recalls, uar
from serein.evaluation.result import Result
from serein.tables import make_folder, write_rows, write_whole

CLEAN = "clean"


@dataclass(frozen=True)
class StressReport:
    """Robustness of a model under conditions, and fairness between groups of people.

    `title` is stamped if the model was trained on some of the speakers.
    """

    name: str  # of the model
    title: str  # model, corpus and speakers, in words
    clean: Result  # predictions for the recordings as they are
    changed: Mapping[str, Result]  # predictions under each condition
    changes: Mapping[str, Change]  # what each condition changes
    fairness: Mapping[str, Fairness]  # of `clean`, by gender, language, speaker and sentence
    conditions: Mapping[str, Condition]  # how the recordings were changed
    notes: tuple[str, ...]  # what was left out, and why

    @property
    def clean_uar(self) -> float:
        """UAR for the recordings as they are, 0 to 1."""
        return uar(self.clean.truth, self.clean.prediction)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the predictions as plain values, as `stress.json` holds it."""
        conditions = {
            name: {"settings": self.conditions[name].to_dict()} | asdict(entry)
            for name, entry in self.changes.items()
        }
        plain: dict[str, Any] = _without_nan(
            {
                "format": "serein-stress",
                "version": 1,
                "name": self.name,
                "title": self.title,
                "labels": self.clean.labels,
                "clips": len(self.clean.truth),
                "speakers": len(set(self.clean.speakers.tolist())),
                "clean": {"uar": self.clean_uar, "recall": self._clean_recall()},
                "conditions": conditions,
                "fairness": {by: entry.to_dict() for by, entry in self.fairness.items()},
                "notes": self.notes,
            }
        )
        return plain

    def _clean_recall(self) -> dict[str, float]:
        labels, truth, prediction = self.clean.labels, self.clean.truth, self.clean.prediction
        return dict(zip(labels, recalls(truth, prediction, len(labels)).tolist(), strict=True))

    def write(self, folder: str | Path) -> Path:
        """Write ``stress.json``, and every prediction to ``stress-predictions.csv`` beside it.

        `folder`: made if it is not there.
        Returns: path of ``stress.json``.
        """
        folder = make_folder(folder)
        header = ("file", "speaker", "condition", "truth", "answer", "confidence")
        write_rows(folder / "stress-predictions.csv", header, self._rows())
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        return write_whole(folder / "stress.json", f"{text}\n".encode())

    def _rows(self) -> Iterator[Sequence[Any]]:
        for condition, result in ({CLEAN: self.clean} | dict(self.changed)).items():
            labels = np.array(result.labels)
            truth, prediction = labels[result.truth], labels[result.prediction]
            confidence = [f"{value:.6f}" for value in result.probabilities.max(axis=1)]
            who = result.about["file"], result.speakers, [condition] * len(truth)
            yield from zip(*who, truth, prediction, confidence, strict=True)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value
