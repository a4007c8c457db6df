"""Features as a table on disk: CSV, Parquet or NumPy's npz."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array
from serein.errors import MissingExtraError, SereinError, unknown_name

Keys = Mapping[str, Sequence[object] | npt.NDArray[Any]]


def write_table(target: str | Path, keys: Keys, columns: Sequence[str], values: Array) -> Path:
    """Write rows of numbers with what they belong to."""
    target = check_target(target)
    try:
        WRITERS[target.suffix](target, keys, columns, values)
    except OSError as error:
        raise SereinError(f"cannot write {target}: {error.strerror}") from error
    return target


def check_target(target: str | Path) -> Path:
    """Check that a table can be written under a name, before the work is done."""
    target = Path(target)
    if target.suffix not in WRITERS:
        known = unknown_name("ending", target.suffix, WRITERS)
        raise SereinError(f"{target}: {known}; name the table by its format")
    if not target.parent.is_dir():
        raise SereinError(f"{target}: there is no folder {target.parent}; make it first")
    return target


def _write_csv(target: Path, keys: Keys, columns: Sequence[str], values: Array) -> None:
    with target.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        rows = csv.writer(file)
        rows.writerow([*keys, *columns])
        rows.writerows(_rows(keys, values))


def _rows(keys: Keys, values: Array) -> Iterable[list[object]]:
    for key, row in zip(zip(*keys.values(), strict=True), values, strict=True):
        yield [*key, *(f"{value:.7g}" for value in row)]


def _write_parquet(target: Path, keys: Keys, columns: Sequence[str], values: Array) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("writing Parquet", "sound") from error
    table = {name: list(column) for name, column in keys.items()}
    parquet.write_table(pyarrow.table(table | dict(zip(columns, values.T, strict=True))), target)


def _write_npz(target: Path, keys: Keys, columns: Sequence[str], values: Array) -> None:
    arrays = {name: np.array(column) for name, column in keys.items()}
    arrays |= {"columns": np.array(columns), "values": values}
    # not np.savez: it takes no array called "file"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


WRITERS: dict[str, Callable[[Path, Keys, Sequence[str], Array], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".npz": _write_npz,
}
