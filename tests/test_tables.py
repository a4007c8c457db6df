"""Tables on disk hold what was computed."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from serein.errors import SereinError
from serein.tables import write_table

KEYS = {"file": ["a.wav", "b, c.wav"], "time_s": [0.0, 0.01]}
COLUMNS = ["f0_hz", "voicing"]
VALUES = np.array([[123.45678, 0], [0, 1e-9]], dtype=np.float32)
KINDS = {"file": str, "time_s": float} | dict.fromkeys(COLUMNS, np.float32)
BLOCKS = [KEYS | dict(zip(COLUMNS, VALUES.T, strict=True))]


def test_csv(tmp_path: Path) -> None:
    with write_table(tmp_path / "x.csv", KINDS, BLOCKS).open(newline="") as file:
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
