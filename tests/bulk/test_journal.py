"""The journal of a table that is being written: nothing that is not its own is touched."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from serein.bulk.journal import Journal
from serein.errors import ResultsError

WORK = {"model": "multi", "max_s": 60.0}


def test_rows_come_back_in_the_order_asked_for_each_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", WORK) as journal:
        for file in ("b", "a", "b", "\udce9.wav"):
            journal.append({"file": file, "error": None})
    with Journal(tmp_path / "j", WORK) as again:
        assert again.done == {"a", "b", "\udce9.wav"}
        assert [row["file"] for row in again.rows(["a", "c", "\udce9.wav", "b"])] == [
            *("a", "\udce9.wav", "b")
        ]
    assert list(tmp_path.iterdir()) == [tmp_path / "j"]


@pytest.mark.parametrize(
    "content", [b"my notes, and nobody else's\n", b'{"model": "multi"}\n' * 99]
)
def test_a_file_that_is_no_journal_is_refused_and_not_touched(
    tmp_path: Path, content: bytes
) -> None:
    place = tmp_path / "j"
    place.write_bytes(content)
    with pytest.raises(ResultsError, match="is no journal of serein"):
        Journal(place, WORK)
    assert place.read_bytes() == content


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    (tmp_path / "j").symlink_to(target)
    with pytest.raises(ResultsError, match="is a link"):
        Journal(tmp_path / "j", WORK)
    assert not target.exists()


def test_a_data_base_of_another_program_is_not_touched(tmp_path: Path) -> None:
    place = tmp_path / "j"
    with closing(sqlite3.connect(place)) as other:
        other.execute("CREATE TABLE notes (text)")
    before = place.read_bytes()
    with pytest.raises(ResultsError, match="is no journal of serein"):
        Journal(place, WORK)
    assert place.read_bytes() == before
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("end", ["-wal", "-journal"])
def test_a_file_where_sqlite_keeps_its_log_is_not_touched(tmp_path: Path, end: str) -> None:
    (tmp_path / f"j{end}").write_text("mine")
    with pytest.raises(ResultsError, match="is left of a journal that is gone"):
        Journal(tmp_path / "j", WORK)
    assert (tmp_path / f"j{end}").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / f"j{end}"]


def test_a_log_that_is_a_link_is_not_touched(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", WORK):
        pass
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "j-wal").hardlink_to(tmp_path / "notes")
    with pytest.raises(ResultsError, match="is a link"):
        Journal(tmp_path / "j", WORK)
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_journal_is_for_its_user_alone(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", WORK) as journal:
        journal.append({"file": "a", "error": None})
        assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    (tmp_path / "j").chmod(0o666)
    with pytest.raises(ResultsError, match="others own or may write it"):
        Journal(tmp_path / "j", WORK)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs another user")
def test_a_journal_of_another_user_is_not_believed(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", WORK):
        pass
    os.chown(tmp_path / "j", 12345, 12345)
    with pytest.raises(ResultsError, match="others own or may write it"):
        Journal(tmp_path / "j", WORK)


def test_other_settings_and_a_second_process_are_refused(tmp_path: Path) -> None:
    held = Journal(tmp_path / "j", WORK)
    with held, pytest.raises(ResultsError, match="another process is writing it"):
        Journal(tmp_path / "j", WORK)
    with pytest.raises(ResultsError, match=r"begun with other settings \(max_s\)"):
        Journal(tmp_path / "j", WORK | {"max_s": 1.0})
