"""Files that a user names, above all tables: written whole, or not at all.

Tables are CSV, Parquet, JSON lines or NumPy's npz.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from serein.errors import MissingExtraError, ResultsError, cannot_write, unknown_name
from serein.private_files import open_own
from serein.untrusted import check_output

Kinds = Mapping[str, type]  # of the columns: str, bool, int, float or numpy.float32
Block = Mapping[str, Sequence[Any]]  # rows, column by column
LEFT_S = 60  # nothing was written for so long, and no process holds it: it is left over
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet runs, and what was defused already


def check_table(target: str | Path, formats: Iterable[str] | None = None) -> Path:
    """Check that a table can be written under a name, before the work is done."""
    target, known = Path(target), list(WRITERS if formats is None else formats)
    check_output(target)
    if target.suffix.lower() not in known:
        raise ResultsError(f"{target}: {unknown_name('format', target.suffix, known)}")
    if not target.absolute().parent.is_dir():
        raise ResultsError(f"{target}: there is no folder {target.parent}; make it first")
    check_writable(target.parent)
    if target.suffix.lower() == ".parquet":
        _pyarrow()
    return target


def write_table(target: str | Path, kinds: Kinds, blocks: Iterable[Block]) -> Path:
    """Write blocks of rows, one after the other."""
    target = check_table(target)
    with _unfinished(target) as file:
        WRITERS[target.suffix.lower()](file, kinds, blocks)
    return target


def write_whole(target: Path, content: bytes) -> Path:
    """Write a file: a reader finds all of it, or the one before; a link there is replaced."""
    with _unfinished(target) as file:
        file.write(content)
    return target


def write_rows(target: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a small CSV table."""
    return write_whole(target, csv_bytes(header, rows))


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a small CSV table."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([*map(_defused, one)] for one in (header, *rows))
    return text.getvalue().encode("utf-8", "backslashreplace")


def read_rows(file: Path) -> list[dict[str, str]]:
    """Read a CSV table, texts as they were before they were written."""
    with file.open(newline="", encoding="utf-8-sig") as table:
        try:
            rows = list(csv.DictReader(table))
        except csv.Error as error:
            raise ValueError(f"no CSV: {error}") from error
    return [{_restored(name): _restored(cell) for name, cell in row.items()} for row in rows]


def _defused(cell: Any) -> Any:
    """Put a quotation mark before a text that a spreadsheet would run as a formula."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def _text_cell(cell: Any) -> Any:
    """Escape bytes of a file name that are no text, as in CSV, JSON and on the terminal."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


def _restored(cell: Any) -> Any:
    return cell[1:] if isinstance(cell, str) and cell[:1] == "'" and FORMULA.match(cell) else cell


def make_folder(folder: str | Path) -> Path:
    """Make a folder for results, unless it is there."""
    folder = Path(folder)
    check_output(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    check_writable(folder)
    return folder


def check_writable(folder: Path) -> None:
    """Check that files can be written into a folder, there or not, before the work is done."""
    check_output(folder)
    place = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    try:
        with TemporaryFile(dir=place) as file:
            file.write(b"serein")
    except OSError as error:
        raise cannot_write(folder, error) from error


@contextmanager
def _unfinished(target: Path) -> Iterator[IO[bytes]]:
    """Give a new file, which takes the place of the target at the end; nothing else is touched."""
    check_output(target)
    start = f".{target.name[:48]}."
    beside = target.with_name(f"{start}{os.urandom(8).hex()}.unfinished")
    try:
        with beside.open("xb") as file:  # never one that is there, nor through a link
            with suppress(OSError):  # not every file system has locks, nor can each be listed
                _lock(file)
                _remove_left(target.parent, start)
            yield file
        if target.is_file() and not target.is_symlink():
            beside.chmod(stat.S_IMODE(target.stat().st_mode))
        beside.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        with suppress(OSError):  # a read-only disk says so, even of a file that is not there
            beside.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> None:
    """Mark a file as being written; OSError if another process is writing it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_left(folder: Path, start: str) -> None:
    """Remove what killed processes left under such a name, where files can be locked."""
    ours = re.compile(re.escape(start) + r"[0-9a-f]{16}\.unfinished")
    for left in filter(lambda file: ours.fullmatch(file.name), folder.iterdir()):
        opened = open_own(left)
        with opened or nullcontext(), suppress(OSError):
            if opened and time.time() - os.fstat(opened.fileno()).st_mtime > LEFT_S:
                _lock(opened)
                left.unlink()


def _write_csv(place: IO[bytes], kinds: Kinds, blocks: Iterable[Block]) -> None:
    with _text(place, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(_defused, kinds))
        for block in blocks:
            shown = [
                map("{:.7g}".format if _single(kind) else _defused, block[name])
                for name, kind in kinds.items()
            ]
            writer.writerows(zip(*shown, strict=True))


def _write_lines(place: IO[bytes], kinds: Kinds, blocks: Iterable[Block]) -> None:
    with _text(place) as file:
        for block in blocks:
            for row in zip(*(block[name] for name in kinds), strict=True):
                file.write(
                    json.dumps(dict(zip(kinds, row, strict=True)), ensure_ascii=False) + "\n"
                )


def _text(place: IO[bytes], newline: str | None = None) -> io.TextIOWrapper:
    """Write text into a file; file names may hold bytes that are not text."""
    return io.TextIOWrapper(place, "utf-8", "backslashreplace", newline)


def _write_parquet(place: IO[bytes], kinds: Kinds, blocks: Iterable[Block]) -> None:
    pa, parquet = _pyarrow()
    types = {str: pa.string(), bool: pa.bool_(), int: pa.int64()}
    types |= {float: pa.float64(), np.float32: pa.float32()}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    with parquet.ParquetWriter(place, schema) as writer:
        for block in blocks:
            columns = {name: [*map(_text_cell, block[name])] for name in kinds}
            writer.write_table(pa.table(columns, schema))


def _write_npz(place: IO[bytes], kinds: Kinds, blocks: Iterable[Block]) -> None:
    """Write an array a column; those of numpy.float32 are side by side in ``values``."""
    whole = {name: np.concatenate(parts) for name, parts in _columns(kinds, blocks)}
    columns = [name for name, kind in kinds.items() if _single(kind)]
    arrays = {name: array for name, array in whole.items() if name not in columns}
    arrays |= {"columns": np.array(columns)}
    arrays["values"] = np.column_stack([whole[name] for name in columns])
    # not np.savez: it takes no array called "file"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _columns(kinds: Kinds, blocks: Iterable[Block]) -> Iterator[tuple[str, list[Any]]]:
    kept = list(blocks)
    for name in kinds:
        yield name, [np.asarray([*map(_text_cell, block[name])]) for block in kept]


def _single(kind: type) -> bool:
    """Say whether a column holds numbers of single precision."""
    return kind is np.float32


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as cause:
        raise MissingExtraError("writing Parquet", "scale") from cause
    return pyarrow, parquet


WRITERS: dict[str, Callable[[IO[bytes], Kinds, Iterable[Block]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".jsonl": _write_lines,
    ".npz": _write_npz,
}


def load_pympi() -> Any:
    """Import what reads and writes files of Praat and ELAN."""
    try:
        import pympi
    except ImportError as cause:
        raise MissingExtraError("files of Praat and ELAN", "formats") from cause
    return pympi
