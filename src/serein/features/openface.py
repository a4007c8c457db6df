"""Action units of a face from the tables of OpenFace 2 (FeatureExtraction's CSV).

Many corpora have these tables instead of their videos: intensities (``AU01_r``, 0 to 5) and
presences (``AU01_c``, 0 or 1) of facial action units. They are NaN where OpenFace lost the face.

References
----------
T. Baltrušaitis, A. Zadeh, Y. C. Lim, L.-P. Morency, "OpenFace 2.0: Facial behavior analysis
toolkit", FG 2018.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array, Doubles
from serein.errors import VideoError, reason_of

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
INTENSITIES = tuple(f"AU{unit:02}_r" for unit in UNITS)
PRESENCES = tuple(f"AU{unit:02}_c" for unit in sorted({*UNITS, 28}))
ACTION_UNITS = (*INTENSITIES, *PRESENCES)
"""The 35 columns of `ActionUnits.mean`, in order."""

FRAME = ("timestamp", "confidence", "success")
MAX_ROWS = 500_000  # more than an hour at 120 frames a second
MAX_LINE_CHARACTERS = 100_000  # OpenFace's widest table has about 7000


@dataclass(frozen=True, eq=False)
class ActionUnits:
    """Action units of one face, frame by frame.

    Intensities and presences are NaN where the face was lost.
    """

    time_s: Doubles  # seconds from the start of the video
    confidence: Array  # OpenFace's in the face, 0 to 1
    success: npt.NDArray[np.bool_]  # whether it tracked the face
    intensities: Array  # shape (frames, `INTENSITIES`), 0 to 5
    presences: Array  # shape (frames, `PRESENCES`), 0 or 1

    @property
    def found(self) -> float:
        """Share of the frames in which the face was tracked, 0 to 1."""
        return float(self.success.mean())

    def mean(self) -> Array:
        """Average each action unit over the frames in which the face was tracked.

        Returns: a value for each of `ACTION_UNITS`; NaN if there is no such frame.
        """
        rows = np.concatenate([self.intensities, self.presences], axis=1)[self.success]
        if not len(rows):
            return np.full(len(ACTION_UNITS), np.nan, np.float32)
        return rows.mean(axis=0, dtype=np.float64).astype(np.float32)


def read_openface(path: str | os.PathLike[str]) -> ActionUnits:
    """Read a table of OpenFace 2.

    `path`: a CSV file of OpenFace's FeatureExtraction or FaceLandmarkVidMulti. Spaces in the names
    of columns do not matter. Of several faces, the one tracked in most frames is read.
    Raises: VideoError if the file cannot be read as such a table.
    """
    name = os.fsdecode(path)
    try:
        _check_file(name)
        with Path(name).open(newline="", encoding="utf-8-sig") as file:
            table = _one_face(_cells(csv.reader(_lines(file, name)), name))
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise VideoError(
            f"{name}: cannot be read as a table ({reason_of(cause)}); need a CSV file of OpenFace"
        ) from cause
    if not len(table):
        raise VideoError(f"{name}: has no rows below its names; run OpenFace on the video again")
    return _action_units(table)


def _check_file(name: str) -> None:
    """Refuse a pipe or device, which may block."""
    if Path(name).exists() and not Path(name).is_file():
        raise VideoError(f"{name}: is no file; give the path of one CSV file that OpenFace wrote")


def _lines(file: TextIO, name: str) -> Iterator[str]:
    """Read line by line, and refuse a line that is too long."""
    while line := file.readline(MAX_LINE_CHARACTERS):
        if len(line) == MAX_LINE_CHARACTERS:
            raise _not_openface(name, f"a line of {MAX_LINE_CHARACTERS} characters or more")
        yield line


def _cells(rows: Iterator[list[str]], name: str) -> Iterator[tuple[str, Doubles]]:
    """Yield the number of the face and the wanted cells of each row."""
    header = [word.strip() for word in next(rows, [])]
    wanted = (*FRAME, *ACTION_UNITS)
    missing = [column for column in wanted if column not in header]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise _not_openface(name, f"no column {', '.join(missing[:3])}{more}")
    places = [header.index(column) for column in wanted]
    face = header.index("face_id") if "face_id" in header else None
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if number > MAX_ROWS + 1:
            raise VideoError(f"{name}: has more than {MAX_ROWS} rows; cut it into pieces")
        if len(row) != len(header):
            raise _not_openface(name, f"{len(row)} cells in line {number} below {len(header)}")
        values = [_number(row[place], name, number) for place in places]
        yield (row[face].strip() if face is not None else ""), np.array(values)


def _number(cell: str, name: str, line: int) -> float:
    """Read a cell; NaN if it is not finite."""
    try:
        value = float(cell)
    except ValueError as cause:
        raise VideoError(
            f"{name}: has {cell.strip()[:20]!r} in line {line}; need a number: run OpenFace again"
        ) from cause
    return value if isfinite(value) else nan


def _one_face(cells: Iterator[tuple[str, Doubles]]) -> Doubles:
    """Keep the rows of the face that is tracked in most frames, (frames, columns)."""
    rows, tracked = list(cells), Counter[str]()
    for face, values in rows:
        tracked[face] += int(values[2] == 1)
    best = min(tracked, key=lambda face: (-tracked[face], len(face), face), default="")
    return np.array([values for face, values in rows if face == best])


def _action_units(table: Doubles) -> ActionUnits:
    """Split the table into its parts; lost frames become NaN."""
    units = table[:, len(FRAME) :].astype(np.float32)
    success = (table[:, 2] == 1) & np.isfinite(units).all(axis=1)
    units[~success] = np.nan
    return ActionUnits(
        time_s=table[:, 0],
        confidence=table[:, 1].astype(np.float32),
        success=success,
        intensities=units[:, : len(INTENSITIES)],
        presences=units[:, len(INTENSITIES) :],
    )


def _not_openface(name: str, what: str) -> VideoError:
    return VideoError(
        f"{name}: has {what}; need a CSV file of OpenFace 2's FeatureExtraction, with timestamp, "
        "confidence, success and the action units (its option -aus)"
    )
