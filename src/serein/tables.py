"""Tables on disk, CSV, Parquet, JSON lines or NumPy's npz: written whole, or not at all."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serein.errors import MissingExtraError, ResultsError, reason_of, unknown_name

Kinds = Mapping[str, type]  # of the columns: str, bool, float or numpy.float32
Block = Mapping[str, Sequence[Any]]  # rows, column by column


def check_table(target: str | Path, formats: Iterable[str] | None = None) -> Path:
    """Check that a table can be written under a name, before the work is done."""
    target, known = Path(target), list(WRITERS if formats is None else formats)
    if target.suffix not in known:
        raise ResultsError(f"{target}: {unknown_name('format', target.suffix, known)}")
    if not target.absolute().parent.is_dir():
        raise ResultsError(f"{target}: there is no folder {target.parent}; make it first")
    if target.suffix == ".parquet":
        _pyarrow()
    return target


def write_table(target: str | Path, kinds: Kinds, blocks: Iterable[Block]) -> Path:
    """Write blocks of rows, one after the other."""
    target = check_table(target)
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        WRITERS[target.suffix](unfinished, kinds, blocks)
        unfinished.replace(target)
    except OSError as error:
        raise ResultsError(f"cannot write {target}: {reason_of(error)}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _write_csv(place: Path, kinds: Kinds, blocks: Iterable[Block]) -> None:
    with place.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(kinds)
        for block in blocks:
            shown = [
                map("{:.7g}".format, block[n]) if _single(k) else block[n] for n, k in kinds.items()
            ]
            writer.writerows(zip(*shown, strict=True))


def _write_lines(place: Path, kinds: Kinds, blocks: Iterable[Block]) -> None:
    with place.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for block in blocks:
            for row in zip(*(block[name] for name in kinds), strict=True):
                file.write(
                    json.dumps(dict(zip(kinds, row, strict=True)), ensure_ascii=False) + "\n"
                )


def _write_parquet(place: Path, kinds: Kinds, blocks: Iterable[Block]) -> None:
    pa, parquet = _pyarrow()
    types = {str: pa.string(), bool: pa.bool_(), float: pa.float64(), np.float32: pa.float32()}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    with parquet.ParquetWriter(place, schema) as writer:
        for block in blocks:
            writer.write_table(pa.table({name: list(block[name]) for name in kinds}, schema))


def _write_npz(place: Path, kinds: Kinds, blocks: Iterable[Block]) -> None:
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
        yield name, [np.asarray(block[name]) for block in kept]


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


WRITERS: dict[str, Callable[[Path, Kinds, Iterable[Block]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".jsonl": _write_lines,
    ".npz": _write_npz,
}
