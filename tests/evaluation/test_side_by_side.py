"""Several results in one table: each against the first, fairly or not at all."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_results import made_result, scores_of
from serein.errors import ProtocolError
from serein.evaluation.comparison import compare, holm
from serein.evaluation.report.side_by_side import side_by_side, write_comparison
from serein.evaluation.result import STAMP, Result
from serein.evaluation.result_file import Record

LABELS = ("anger", "calm", "fear")


def made(skill: float = 1.0, **options: Any) -> Result:
    return made_result(LABELS, speakers=10, clips=24, skill=skill, **options)


def record(result: Result, name: str) -> Record:
    return Record(scores_of(result, name), result)


@pytest.fixture(scope="module")
def three() -> list[Record]:
    return [record(made(), "first"), record(made(1.5), "better"), record(made(1.02), "like it")]


def test_each_is_tested_against_the_first(three: list[Record]) -> None:
    table = side_by_side(three)
    first, *others = table.rows
    assert (first.test, first.p_holm, first.warnings) == (None, None, {})
    expected = [compare(three[0].result, other.result) for other in three[1:]]
    assert [row.test for row in others] == expected
    assert [row.p_holm for row in others] == holm([test.p_value for test in expected])
    assert others[0].p_holm < 0.05
    assert [row.name for row in table.rows] == ["first", "better", "like it"]
    for row, each in zip(table.rows, three, strict=True):
        assert row.scores["uar"] == (each.document["uar"], each.document["uar_interval_95"])
        assert (row.clips, row.speakers, row.classes) == (240, 10, 3)


def test_another_score_comes_first(three: list[Record]) -> None:
    table = side_by_side(three, score="log_loss")
    assert list(table.shown) == ["log_loss", "uar", "accuracy", "f1_macro",
                                 "expected_calibration_error"]  # fmt: skip
    assert table.rows[1].test == compare(three[0].result, three[1].result, score="log_loss")


def test_other_clips_are_not_tested_and_cost_the_others_nothing(three: list[Record]) -> None:
    part = record(three[0].result.subset(np.arange(24, 240)), "fewer clips")
    other = record(made_result(("a", "b"), speakers=3, clips=12), "other labels")
    table = side_by_side([three[0], part, three[1], other])
    _, fewer, better, elsewhere = table.rows
    assert fewer.test is elsewhere.test is None
    assert "24 clips in one result only" in fewer.warnings["not comparable"]
    assert "other labels" in elsewhere.warnings["not comparable"]
    assert better.p_holm == better.test.p_value  # the only test of the table


def test_other_protocols_and_leaks_are_warned_of(three: list[Record]) -> None:
    result = replace(three[1].result, protocol="random split", leaks=("same speakers", "copies"))
    row = side_by_side([three[0], record(result, "optimistic")]).rows[1]
    assert row.test is not None
    assert row.protocol == f"random split [{STAMP}]"
    assert row.warnings == {
        "optimistic": "a leak was allowed: same speakers; copies",
        "other protocol": "its protocol is not that of the first: random split "
        f"[{STAMP}]",
    }  # fmt: skip


def test_equal_names_are_numbered(three: list[Record]) -> None:
    same = [three[0], three[0], three[0]]
    assert [row.name for row in side_by_side(same).rows] == ["first", "first (2)", "first (3)"]
    named = side_by_side(same, names=["a", "b", "c"])
    assert [row.name for row in named.rows] == ["a", "b", "c"]
    assert named.rows[1].p_holm == 1.0


def test_a_single_speaker_has_a_difference_without_an_interval() -> None:
    one = record(made_result(LABELS, speakers=1, clips=24), "one")
    table = side_by_side([one, one])
    plain = table.to_dict()
    assert plain["rows"][1]["test"]["interval_95"] is None
    assert plain["rows"][1]["test"]["difference"] == 0.0
    json.dumps(plain, allow_nan=False)


def test_what_cannot_be_compared_is_refused(three: list[Record]) -> None:
    with pytest.raises(ProtocolError, match="1 result came; a comparison needs at least two"):
        side_by_side(three[:1])
    with pytest.raises(ProtocolError, match="unknown score 'auc'"):
        side_by_side(three, score="auc")
    bare = Record({"name": "bare"}, three[0].result)
    with pytest.raises(ProtocolError, match="the result bare lacks uar, accuracy"):
        side_by_side([three[0], bare])


def test_plain_values_hold_everything(three: list[Record]) -> None:
    plain = side_by_side(three).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    row = plain["rows"][1]
    assert row["scores"]["uar"]["value"] == three[1].document["uar"]
    assert row["test"]["difference"] == pytest.approx(
        three[1].document["uar"] - three[0].document["uar"]
    )
    assert row["test"]["interval_95"][0] < row["test"]["difference"] < row["test"]["interval_95"][1]


def test_the_page_says_it_all_and_is_the_same_twice(three: list[Record], tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    optimistic = replace(three[2].result, leaks=(evil,))
    records = [*three[:2], record(optimistic, evil)]
    table = side_by_side(records)
    page = write_comparison(table, tmp_path / "new" / "page.html").read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;") >= 5
    assert not re.search(r'(src|href)="(?!#)', page)
    for row in table.rows:
        assert f"{row.scores['uar'][0]:.3f}" in page
    assert f"+{table.rows[1].test.difference:.3f}" in page
    assert STAMP in page
    assert write_comparison(table, tmp_path / "again.html").read_text() == page
