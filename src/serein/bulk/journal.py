"""What has been answered so far, a line each: it survives being killed at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from serein.errors import ResultsError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Journal:
    """A file of JSON lines that is only ever appended to; the first says what the work is.

    A line that was being written when the process was killed is cut off when it is opened again.
    """

    def __init__(self, place: Path, work: dict[str, Any]) -> None:
        self.place = place
        self.done: dict[str, int] = {}
        self._file = place.open("ab")
        self._lock()
        if not self._whole_lines():
            self._file.write(json.dumps(work).encode() + b"\n")
            self._file.flush()
        self._check(work)
        self._find_rows()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def append(self, row: dict[str, Any]) -> None:
        """Write a row, once a file; when this returns, only the machine's own end can lose it."""
        if row["file"] in self.done:
            return
        self.done[row["file"]] = self._end
        self._end += self._file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def rows(self, files: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Read the rows of files, in the order of the files; those without one are passed over."""
        with self.place.open("rb") as lines:
            for file in files:
                if file in self.done:
                    lines.seek(self.done[file])
                    yield self._parsed(lines.readline())

    def _lock(self) -> None:
        """Keep others out until this process ends."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResultsError(
                f"{self.place}: another process is writing it: wait for that, or give another name"
            ) from error

    def _whole_lines(self) -> bool:
        """Cut off a line that is not whole; tell whether any is left."""
        with self.place.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            while size:
                start = max(0, size - 65_536)
                file.seek(start)
                newline = file.read(size - start).rfind(b"\n")
                if newline >= 0:
                    file.truncate(start + newline + 1)
                    return True
                size = start
            file.truncate(0)
        return False

    def _check(self, work: dict[str, Any]) -> None:
        with self.place.open(encoding="utf-8") as lines:
            begun = self._parsed(next(lines))
        if begun != json.loads(json.dumps(work)):
            differ = sorted(k for k in {*begun, *work} if begun.get(k) != work.get(k))
            raise ResultsError(
                f"{self.place}: was begun with other settings ({', '.join(differ)}): give the same "
                "to go on, or remove it to begin anew"
            )

    def _find_rows(self) -> None:
        with self.place.open("rb") as lines:
            self._end = len(lines.readline())
            for line in lines:
                self.done.setdefault(self._parsed(line)["file"], self._end)
                self._end += len(line)

    def _parsed(self, line: str | bytes) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ResultsError(f"{self.place}: is no journal of serein ({error})") from error
        if not isinstance(row, dict):
            raise ResultsError(f"{self.place}: is no journal of serein")
        return row
