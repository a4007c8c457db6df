"""Several results side by side, each tested against the first on the same clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serein.errors import ProtocolError, unknown_name
from serein.evaluation.comparison import PAIRED, Comparison, compare, holm
from serein.evaluation.report.figures import systems
from serein.evaluation.report.page import fill
from serein.evaluation.result import STAMP
from serein.evaluation.result_file import Record

SHOWN = ("uar", "accuracy", "f1_macro", "expected_calibration_error")
SAID = {
    "uar": "UAR",
    "accuracy": "accuracy",
    "precision_macro": "macro precision",
    "f1_macro": "macro F1",
    "f1_weighted": "weighted F1",
    "log_loss": "log loss",
    "expected_calibration_error": "ECE",
    "brier": "Brier score",
}
Score = tuple[float | None, list[float] | None]


@dataclass(frozen=True)
class Row:
    """One system."""

    name: str
    protocol: str
    clips: int
    speakers: int
    classes: int
    scores: dict[str, Score]
    test: Comparison | None
    p_holm: float | None
    not_comparable: str | None
    other_protocol: bool
    leaks: tuple[str, ...]

    @property
    def warnings(self) -> dict[str, str]:
        """What makes the comparison unfair, or forbids it: in a word or two, and in a sentence."""
        told = {}
        if self.leaks:
            told["not honest"] = (
                f"its scores flatter, for this was allowed: {'; '.join(self.leaks)}"
            )
        if self.not_comparable:
            told["not comparable"] = self.not_comparable
        if self.other_protocol:
            told["other protocol"] = f"it was judged in another way than the first: {self.protocol}"
        return told


@dataclass(frozen=True)
class SideBySide:
    """Several systems, tested against the first of them."""

    score: str
    rows: tuple[Row, ...]

    @property
    def shown(self) -> dict[str, str]:
        """Scores of the table, that of the tests first, with what they are called."""
        return {name: SAID[name] for name in dict.fromkeys((self.score, *SHOWN))}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        rows = []
        for row in self.rows:
            plain = asdict(row)
            plain |= {"warnings": row.warnings, "leaks": list(row.leaks)}
            plain["scores"] = {
                name: {"value": value, "interval_95": interval}
                for name, (value, interval) in row.scores.items()
            }
            if row.test:
                interval = row.test.interval_95
                plain["test"] |= {
                    "difference": row.test.difference,
                    "interval_95": None if math.isnan(interval[0]) else list(interval),
                }
            rows.append(plain)
        return {"format": "serein-comparison", "version": 1, "score": self.score, "rows": rows}


def side_by_side(
    records: Sequence[Record], *, score: str = "uar", names: Sequence[str] | None = None
) -> SideBySide:
    """Put results side by side, and test each against the first by a paired permutation test."""
    if len(records) < 2:
        raise ProtocolError(
            f"{len(records)} result came; a comparison needs at least two: give their folders"
        )
    if score not in PAIRED:
        raise ProtocolError(unknown_name("score", score, PAIRED))
    told = [_tested(records[0], record, score) for record in records[1:]]
    made = [number for number, (test, _) in enumerate(told) if test]
    corrected = holm([test.p_value for test, _ in told if test])
    p_holm: list[float | None] = [None] * len(told)
    for number, p_value in zip(made, corrected, strict=True):
        p_holm[number] = p_value
    tests = [(None, None), *((test, p) for (test, _), p in zip(told, p_holm, strict=True))]
    reasons = [None, *(reason for _, reason in told)]
    called = names or _numbered([record.name for record in records])
    return SideBySide(
        score,
        tuple(
            _row(record, records[0], name=name, score=score, test=test, p_holm=p, reason=reason)
            for record, name, (test, p), reason in zip(records, called, tests, reasons, strict=True)
        ),
    )


def write_comparison(table: SideBySide, target: str | Path) -> Path:
    """Write a comparison as one page that needs nothing beside it."""
    target = Path(target)
    drawn = [(row.name, *row.scores[table.score]) for row in table.rows]
    figure = systems(drawn, SAID[table.score])
    columns = [[name, "num"] for name in (*table.shown.values(), "clips", "speakers", "classes")]
    page = fill(
        "compare.html.j2",
        table=table,
        called=SAID[table.score],
        stamp=STAMP,
        figure_of_all=figure,
        number_columns=columns,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target


def _tested(first: Record, record: Record, score: str) -> tuple[Comparison | None, str | None]:
    try:
        return compare(first.result, record.result, score=score), None
    except ProtocolError as error:
        return None, str(error)


def _row(
    record: Record,
    first: Record,
    *,
    name: str,
    score: str,
    test: Comparison | None,
    p_holm: float | None,
    reason: str | None,
) -> Row:
    document, result = record.document, record.result
    wanted = dict.fromkeys((score, *SHOWN))
    missing = [each for each in wanted if each not in document]
    if missing:
        raise ProtocolError(f"the result {name} lacks {', '.join(missing)}: evaluate it again")
    return Row(
        name,
        result.title,
        clips=len(result.truth),
        speakers=len(set(result.speakers.tolist())),
        classes=len(result.labels),
        scores={each: (document[each], document.get(f"{each}_interval_95")) for each in wanted},
        test=test,
        p_holm=p_holm,
        not_comparable=reason,
        other_protocol=result.protocol != first.result.protocol,
        leaks=result.leaks,
    )


def _numbered(names: Sequence[str]) -> list[str]:
    """Tell equal names apart by a number."""
    seen: dict[str, int] = {}
    told = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return told
