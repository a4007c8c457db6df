"""Several results in one table, each tested against the first on the same clips."""

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
from serein.tables import make_folder, write_whole

SHOWN = ("uar", "accuracy", "f1_macro", "expected_calibration_error")
SCORE_NAMES = {
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
        """What makes the comparison unfair or impossible: in a word or two, and in a sentence."""
        found = {}
        if self.leaks:
            found["optimistic"] = f"a leak was allowed: {'; '.join(self.leaks)}"
        if self.not_comparable:
            found["not comparable"] = self.not_comparable
        if self.other_protocol:
            found["other protocol"] = f"its protocol is not that of the first: {self.protocol}"
        return found


@dataclass(frozen=True)
class SideBySide:
    """Several systems, tested against the first of them."""

    score: str
    rows: tuple[Row, ...]

    @property
    def shown(self) -> dict[str, str]:
        """Names of the scores in the table, that of the tests first."""
        return {name: SCORE_NAMES[name] for name in dict.fromkeys((self.score, *SHOWN))}

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
                    "least_p": row.test.least_p,
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
    tests = [(None, None), *(_test(records[0], record, score) for record in records[1:])]
    corrected = iter(holm([test.p_value for test, _ in tests if test]))
    rows = [
        _row(
            record,
            records[0],
            name=name,
            score=score,
            test=test,
            p_holm=next(corrected) if test else None,
            not_comparable=reason,
        )
        for record, name, (test, reason) in zip(
            records, names or _numbered([record.name for record in records]), tests, strict=True
        )
    ]
    return SideBySide(score, tuple(rows))


def write_comparison(table: SideBySide, target: str | Path) -> Path:
    """Write a comparison as one page that needs nothing beside it."""
    target = Path(target)
    name = SCORE_NAMES[table.score]
    columns = [[name, "num"] for name in (*table.shown.values(), "clips", "speakers", "classes")]
    page = fill(
        "compare.html.j2",
        table=table,
        score_name=name,
        stamp=STAMP,
        scores_figure=systems(
            [(row.name, *row.scores[table.score]) for row in table.rows], name, str
        ),
        number_columns=columns,
    )
    make_folder(target.parent)
    return write_whole(target, page.encode())


def _test(first: Record, record: Record, score: str) -> tuple[Comparison | None, str | None]:
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
    not_comparable: str | None,
) -> Row:
    document, result = record.document, record.result
    wanted = dict.fromkeys((score, *SHOWN))
    missing = [one for one in wanted if one not in document]
    if missing:
        raise ProtocolError(f"the result {name} lacks {', '.join(missing)}: evaluate it again")
    return Row(
        name,
        result.title,
        clips=len(result.truth),
        speakers=len(set(result.speakers.tolist())),
        classes=len(result.labels),
        scores={one: (document[one], document.get(f"{one}_interval_95")) for one in wanted},
        test=test,
        p_holm=p_holm,
        not_comparable=not_comparable,
        other_protocol=result.protocol != first.result.protocol,
        leaks=result.leaks,
    )


def _numbered(names: Sequence[str]) -> list[str]:
    """Add a number to a name that came before."""
    times = [names[: place + 1].count(name) for place, name in enumerate(names)]
    return [name if n == 1 else f"{name} ({n})" for name, n in zip(names, times, strict=True)]
