"""The journal of a table that is being written: nothing that is not its own is touched."""

from __future__ import annotations

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
    with pytest.raises(ResultsError, match="cannot be written"):
        Journal(tmp_path / "j", WORK)
    assert not target.exists()


def test_other_settings_and_a_second_process_are_refused(tmp_path: Path) -> None:
    held = Journal(tmp_path / "j", WORK)
    with held, pytest.raises(ResultsError, match="another process is writing it"):
        Journal(tmp_path / "j", WORK)
    with pytest.raises(ResultsError, match=r"begun with other settings \(max_s\)"):
        Journal(tmp_path / "j", WORK | {"max_s": 1.0})
