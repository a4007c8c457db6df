"""serein cache as a user runs it: it asks first, and says what it did."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from serein import cli

CLIP = f"features/of-mfcc/{'0123456789abcdef' * 4}.npy"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / CLIP).parent.mkdir(parents=True)
    (tmp_path / CLIP).write_bytes(bytes(2_000_000))
    return tmp_path


class Terminal(io.StringIO):
    """A person who types one answer."""

    def isatty(self) -> bool:
        return True


def run(
    monkeypatch: pytest.MonkeyPatch, *words: str | Path, status: int = 0, types: str | None = None
) -> None:
    monkeypatch.setattr(sys, "argv", ["serein", "cache", *map(str, words)])
    monkeypatch.setattr(sys, "stdin", io.StringIO() if types is None else Terminal(types))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code or 0) == status


Said = pytest.CaptureFixture[str]


def test_path_and_list(cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setenv("SEREIN_CACHE", str(cache))
    run(monkeypatch, "path")
    assert capsys.readouterr().out == f"{cache}\n"
    run(monkeypatch, "list")
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    none = [f"{kind} 0 files 0.0 MB" for kind in ("training", "segments", "stress")]
    assert said == ["features 1 files 2.0 MB", *none, f"in {cache}"]


def test_clear_says_what_was_freed(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    (cache / "notes.txt").write_text("mine")
    run(monkeypatch, "clear", "--yes", "--cache", cache)
    deleted, left = capsys.readouterr().out.splitlines()
    assert deleted == f"deleted: 1 files, 2.0 MB, in {cache}"
    assert left == "left: 1 files or links that serein did not write"
    assert [entry.name for entry in cache.iterdir()] == ["notes.txt"]
    (cache / "notes.txt").unlink()
    run(monkeypatch, "clear", "--cache", cache)  # with nothing to delete nobody is asked
    assert "deleted: 0 files" in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1)])
def test_clear_asks_first(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said, answer: str, status: int
) -> None:
    run(monkeypatch, "clear", "--cache", cache, types=answer, status=status)
    assert f"Delete 1 files, 2.0 MB, in {cache}?" in capsys.readouterr().out
    assert (cache / CLIP).exists() == bool(status)


def test_clear_deletes_nothing_where_nobody_can_be_asked(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    run(monkeypatch, "clear", "--cache", cache, status=2)
    assert "nobody is here to be asked; to delete them say --yes" in capsys.readouterr().err
    assert (cache / CLIP).exists()


def test_clear_refuses_what_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    run(monkeypatch, "clear", "--yes", "--cache", tmp_path, status=2)
    assert f"{tmp_path} is no cache of serein" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()
