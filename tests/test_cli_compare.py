"""serein compare as a user runs it: a table, one JSON object, a page, and clear refusals."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from made_results import made_result, scores_of
from serein import cli
from serein.evaluation.result_file import write_record

Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; give what it printed, on standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "160")

    def command(*words: str | Path, status: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["serein", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert (ended.value.code or 0) == status
        printed = capsys.readouterr()
        return printed.out, printed.err

    return command


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A result, a better one of the same name, and one on other emotions."""
    root = tmp_path_factory.mktemp("results")
    places = []
    for name, labels, skill in (("a", "xyz", 1.0), ("b", "xyz", 1.6), ("[c]", "uv", 1.0)):
        result = made_result(tuple(labels), speakers=8, clips=18, skill=skill)
        called = "model" if name in "ab" else name
        write_record(result, scores_of(result, called), root / name)
        places.append(root / name)
    return places


def test_a_table_with_tests_and_warnings(folders: list[Path], run: Run) -> None:
    out, _ = run("compare", *folders)
    assert "p (Holm)" in out
    assert "not comparable: the results have other labels: x, y, z and u, v" in out
    for folder in folders[:2]:  # both have one name: their folders tell them apart
        assert f"model ({folder}): 8 folds of unseen speakers" in out
    assert "[c]: 8 folds" in out
    assert "144 clips, 8 speakers" in out
    assert "with 8 speakers no p is below 0.0078" in out


def test_a_table_fits_80_columns(
    folders: list[Path], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out, _ = run("compare", *folders[:2])
    rows = [line for line in out.splitlines() if line.startswith("│")]
    assert all(len(line) <= 80 for line in rows)
    assert sum("to +" in line for line in rows) == 1  # a difference and its interval on one line


def test_json_and_a_page_at_once(folders: list[Path], run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    out, err = run("compare", *folders[:2], "--json", "--score", "accuracy", "--out", page)
    printed = json.loads(out)
    assert printed["score"] == "accuracy"
    assert printed["rows"][1]["test"]["score"] == "accuracy"
    assert printed["rows"][1]["p_holm"] < 0.05
    assert err == f"written: {page}\n"
    assert "<svg" in page.read_text()


def test_a_page_is_named(folders: list[Path], run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    out, _ = run("compare", *folders[:2], "--out", page)
    assert out.endswith(f"written: {page}\n")


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["0"], "serein: 1 result came; a comparison needs at least two"),
        (["0", "nowhere"], "holds no result.json that can be read"),
        (["0", "1", "--score", "auc"], "serein: unknown score 'auc'; known: "),
    ],
)
def test_wrong_usage_is_one_line(
    folders: list[Path], run: Run, words: list[str], printed: str
) -> None:
    given = [folders[int(word)] if word.isdigit() else word for word in words]
    out, err = run("compare", *given, status=2)
    assert out == ""
    said, hint = err.splitlines()
    assert printed in said
    assert hint == "try: serein compare --help"
