"""Vectors from a table: each clip its row, whatever the order; and tables that do not add up."""

from pathlib import Path

import numpy as np
import pytest

from serein.corpora import Corpus, Utterance
from serein.errors import CorpusError
from serein.experiment.data import read_vectors
from serein.tables import write_table


def corpus(*names: str) -> Corpus:
    rows = [Utterance(Path("clips") / name, "my", "my-ann", "joy") for name in names]
    return Corpus("my", tuple(rows))


def table(folder: Path, text: str) -> Path:
    target = folder / "features.csv"
    target.write_text(text, encoding="utf-8")
    return target


def test_each_clip_gets_its_row(tmp_path: Path):
    file = table(tmp_path, "f0_hz,file,energy\n100,b.wav,1\n200,a.wav,2.5\n300,c.wav,-3e2\n")
    found = read_vectors(file, corpus("a.wav", "c.wav", "b.wav"))
    assert found.tolist() == [[200, 2.5], [300, -300], [100, 1]]
    assert found.dtype == np.float32


def test_rows_of_other_files_are_passed_over(tmp_path: Path):
    file = table(tmp_path, "file,x\na.wav,1\nunknown.wav,not a number\n")
    assert read_vectors(str(file), corpus("a.wav")).tolist() == [[1]]


def test_folders_in_the_column_do_not_matter(tmp_path: Path):
    file = table(tmp_path, "file,x\n/far/away/a.wav,1\nclips/b.wav,2\n")
    assert read_vectors(file, corpus("a.wav", "b.wav")).tolist() == [[1], [2]]


def test_tables_written_by_serein_are_read(tmp_path: Path):
    values = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    names = ["ä.wav", "b,c.wav", "d.wav"]
    file = write_table(
        tmp_path / "t.csv",
        {"file": str} | dict.fromkeys("wxyz", np.float32),
        [{"file": names} | dict(zip("wxyz", values.T, strict=True))],
    )
    np.testing.assert_allclose(read_vectors(file, corpus(*names)), values, rtol=1e-6)


@pytest.mark.parametrize(
    "text", ["", "file,x\n", "x,y\n1,2\n", "file\na.wav\n", "name,x\na.wav,1\n"]
)
def test_a_table_without_files_numbers_or_rows_is_refused(tmp_path: Path, text: str):
    with pytest.raises(CorpusError, match="needs the column file, columns of numbers, and rows"):
        read_vectors(table(tmp_path, text), corpus("a.wav"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.wav,1\n", "has no row for 2 clips, b.wav for one"),
        ("a.wav,1\nb.wav,2\nc.wav,3\nb.wav,4\n", "has b.wav twice: is it a table of frames"),
        ("a.wav,1\nb.wav,two\nc.wav,3\n", "b.wav: not all columns are numbers: .*'two'"),
        ("a.wav,1\nb.wav,\nc.wav,3\n", "b.wav: not all columns are numbers"),
        ("a.wav,1\nb.wav\nc.wav,3\n", "b.wav: not all columns are numbers"),
        ("a.wav,1\nb.wav,nan\nc.wav,3\n", "b.wav: x is nan; every feature must be a finite"),
        ("a.wav,1\nb.wav,2\nc.wav,-inf\n", "c.wav: x is -inf; every feature must be a finite"),
    ],
)
def test_rows_that_do_not_add_up_are_refused(tmp_path: Path, rows: str, message: str):
    with pytest.raises(CorpusError, match=message):
        read_vectors(table(tmp_path, "file,x\n" + rows), corpus("a.wav", "b.wav", "c.wav"))


def test_what_cannot_be_read_is_refused(tmp_path: Path):
    with pytest.raises(CorpusError, match="cannot be read as a table of features"):
        read_vectors(tmp_path / "missing.csv", corpus("a.wav"))
    (tmp_path / "bytes.csv").write_bytes(b"file,x\n\xff\xfe.wav,1\n")
    with pytest.raises(CorpusError, match="cannot be read as a table of features"):
        read_vectors(tmp_path / "bytes.csv", corpus("a.wav"))


def test_a_number_too_large_for_float32_is_refused(tmp_path: Path):
    with pytest.raises(CorpusError, match="every feature must be a finite number"):
        read_vectors(table(tmp_path, "file,x\na.wav,1e300\n"), corpus("a.wav"))


def test_a_byte_order_mark_is_read(tmp_path: Path):
    file = table(tmp_path, "\ufefffile,x\na.wav,1\n")
    assert read_vectors(file, corpus("a.wav")).tolist() == [[1]]


def test_two_clips_of_the_same_name_are_refused(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"a\.wav"):
        read_vectors(table(tmp_path, "file,x\nann/a.wav,1\n"), corpus("ann/a.wav", "bob/a.wav"))
