"""Tables on disk hold what was computed."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from serein.errors import ResultsError, SereinError
from serein.tables import (
    check_writable,
    make_folder,
    read_rows,
    write_rows,
    write_table,
    write_whole,
)

KEYS = {"file": ["a.wav", "b, c.wav"], "time_s": [0.0, 0.01]}
COLUMNS = ["f0_hz", "voicing"]
VALUES = np.array([[123.45678, 0], [0, 1e-9]], dtype=np.float32)
KINDS = {"file": str, "time_s": float} | dict.fromkeys(COLUMNS, np.float32)
BLOCKS = [KEYS | dict(zip(COLUMNS, VALUES.T, strict=True))]


@pytest.mark.parametrize("name", ["x.csv", "X.CSV"])
def test_csv(tmp_path: Path, name: str) -> None:
    with write_table(tmp_path / name, KINDS, BLOCKS).open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "time_s", "f0_hz", "voicing"]
    assert [row[0] for row in rows] == KEYS["file"]
    np.testing.assert_allclose(np.array([row[2:] for row in rows], float), VALUES, rtol=1e-6)


def test_parquet(tmp_path: Path) -> None:
    table = parquet.read_table(write_table(tmp_path / "x.parquet", KINDS, BLOCKS))
    assert table.column_names == ["file", "time_s", "f0_hz", "voicing"]
    assert table["file"].to_pylist() == KEYS["file"]
    np.testing.assert_array_equal(table["voicing"].to_numpy(), VALUES[:, 1])


def test_npz(tmp_path: Path) -> None:
    with np.load(write_table(tmp_path / "x.npz", KINDS, BLOCKS), allow_pickle=False) as kept:
        assert kept["file"].tolist() == KEYS["file"]
        assert kept["columns"].tolist() == COLUMNS
        np.testing.assert_array_equal(kept["values"], VALUES)


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SereinError, match=r"unknown format '\.xls'; known: .*\.csv"):
        write_table(tmp_path / "x.xls", KINDS, BLOCKS)
    with pytest.raises(SereinError, match="there is no folder"):
        write_table(tmp_path / "gone" / "x.csv", KINDS, BLOCKS)


def test_json_lines_in_blocks_with_gaps(tmp_path: Path) -> None:
    blocks = [{"file": ["a"], "p": [0.5]}, {"file": ["\udce9"], "p": [None]}]
    written = write_table(tmp_path / "x.jsonl", {"file": str, "p": float}, blocks)
    rows = [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]
    assert rows == [{"file": "a", "p": 0.5}, {"file": "\udce9", "p": None}]
    assert sorted(tmp_path.iterdir()) == [written]


def test_a_table_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def blocks() -> Iterator[dict[str, list[float]]]:
        yield {"p": [0.5]}
        raise KeyError("the source of rows failed")

    with pytest.raises(KeyError, match="source of rows"):
        write_table(tmp_path / "x.csv", {"p": float}, blocks())
    assert list(tmp_path.iterdir()) == []


def test_an_error_without_a_number_is_told_in_its_own_words(tmp_path: Path) -> None:
    """As pyarrow raises it."""

    def blocks() -> Iterator[dict[str, list[object]]]:
        raise OSError("Write out of bounds")
        yield

    with pytest.raises(SereinError, match=r"cannot write .*x.csv: Write out of bounds$"):
        write_table(tmp_path / "x.csv", KINDS, blocks())


def test_a_whole_file_replaces_what_was_there_and_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_bytes(b"before")
    target.chmod(0o640)
    assert write_whole(target, b"after") == target
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"after", 0o640)
    assert list(tmp_path.iterdir()) == [target]


def write_a_table(target: Path) -> None:
    write_table(target, KINDS, BLOCKS)


def write_a_page(target: Path) -> None:
    write_whole(target, b"page")


@pytest.mark.parametrize("write", [write_a_table, write_a_page])
def test_no_link_is_followed_and_no_file_of_others_is_touched(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    """Neither under the name itself nor under the one that unfinished files once had."""
    notes, target = tmp_path / "notes", tmp_path / "x.csv"
    notes.write_text("mine")
    target.symlink_to(notes)
    planted = tmp_path / ".x.csv.unfinished"
    planted.symlink_to(notes)
    write(target)
    assert notes.read_text() == "mine"
    assert planted.is_symlink()
    assert target.is_file()
    assert not target.is_symlink()
    planted.unlink()
    planted.write_text("mine too")
    write(target)
    assert planted.read_text() == "mine too"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no fcntl")
def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """Not what is still written, is new, of another name, or a link."""
    import fcntl

    number = "0123456789abcdef"
    names = [f".x.csv.{number}.unfinished", f".x.csv.{number[::-1]}.unfinished"]
    others = [f".y.csv.{number}.unfinished", ".x.csv.unfinished", f".x.csv.{number}0.unfinished"]
    for name in (*names, *others):
        (tmp_path / name).write_text("left")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / f".x.csv.{'0' * 16}.unfinished").write_text("new")
    (tmp_path / f".x.csv.{'1' * 16}.unfinished").symlink_to(names[0])
    with (tmp_path / names[0]).open("ab") as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        write_a_page(tmp_path / "x.csv")
        found = {entry.name for entry in tmp_path.iterdir()}
        assert {names[0], *others} <= found
        assert len(found) == 7
        assert names[1] not in found
    write_a_page(tmp_path / "x.csv")
    assert not (tmp_path / names[0]).exists()


def test_what_cannot_be_written_is_a_results_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResultsError, match=r"cannot write .*folder: "):
        write_whole(tmp_path / "folder", b"page")
    with pytest.raises(ResultsError, match=r"cannot write .*page: No such file"):
        write_whole(tmp_path / "gone" / "page", b"page")
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match=r"cannot write .*file: File exists"):
        make_folder(tmp_path / "file")
    with pytest.raises(ResultsError, match=r"cannot write .*file/x: Not a directory"):
        check_writable(tmp_path / "file" / "x")
    check_writable(tmp_path / "new" / "x")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


FORMULAS = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''+1"]


def test_formulas_are_defused_as_on_the_page_and_come_back(tmp_path: Path) -> None:
    others = ["a=b", "'quoted'", "", "–5"]
    texts = [*FORMULAS, *others]
    rows = [[text, -1.5, "0.5"] for text in texts]
    target = write_rows(tmp_path / "x.csv", ["=file", "number", "p"], rows)
    with target.open(newline="", encoding="utf-8") as file:
        header, *found = csv.reader(file)
    assert header == ["'=file", "number", "p"]
    assert [row[0] for row in found] == [*(f"'{text}" for text in FORMULAS), *others]
    assert {row[1] for row in found} == {"-1.5"}
    assert [row["=file"] for row in read_rows(target)] == texts
    kinds = {"file": str, "p": np.float32}
    written = write_table(tmp_path / "y.csv", kinds, [{"file": texts, "p": [-2.5] * len(texts)}])
    assert [row["file"] for row in read_rows(written)] == texts
    assert "\n'=cmd" in written.read_text()
    assert ",-2.5\n" in written.read_text()


def test_a_read_only_disk_is_named_by_the_file_that_was_wanted() -> None:
    mounts = Path("/proc/mounts")
    lines = mounts.read_text().splitlines() if mounts.exists() else []
    places = [Path(line.split()[1]) for line in lines if line.split()[3].split(",")[0] == "ro"]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        pytest.skip("no disk here is mounted read-only")
    with pytest.raises(ResultsError, match=r"cannot write .*x\.csv: (Read-only|Permission)"):
        write_rows(folder / "x.csv", ["a"], [])
    with pytest.raises(ResultsError, match=r"cannot write .*gone/x: (Read-only|Permission)"):
        check_writable(folder / "gone" / "x")
