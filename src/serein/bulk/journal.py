"""The predictions made so far, in an SQLite file: they survive being killed at any moment."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from serein.errors import ResultsError
from serein.private_files import OTHER_NAME, claim

OURS = 0x73657265  # the application id of a journal, which stands at a known place of the file
ID_PLACE = slice(68, 72)
SETUP = (
    "PRAGMA locking_mode = EXCLUSIVE",  # a second process is kept out until this one ends
    f"PRAGMA application_id = {OURS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # only the machine's own end can lose the last rows
    "CREATE TABLE IF NOT EXISTS work (settings TEXT)",
    "CREATE TABLE IF NOT EXISTS predictions (file BLOB PRIMARY KEY, row TEXT)",
)


class Journal:
    """A row a file, and the settings that the work was begun with."""

    def __init__(self, place: Path, work: dict[str, Any]) -> None:
        self.place = place
        try:
            claim(place, "journal", _is_ours)
            self._database = sqlite3.connect(place, timeout=0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise ResultsError(_words(place, error)) from error
        try:
            for statement in SETUP:
                self._database.execute(statement)
            self._check(work)
            keys = self._database.execute("SELECT file FROM predictions")
            self.done = {os.fsdecode(key) for (key,) in keys}
        except sqlite3.Error as error:
            raise ResultsError(_words(place, error)) from error
        finally:
            if not hasattr(self, "done"):
                self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    def append(self, row: dict[str, Any]) -> None:
        """Write a row, once a file."""
        values = (os.fsencode(row["file"]), json.dumps(row))
        try:
            self._database.execute("INSERT OR IGNORE INTO predictions VALUES (?, ?)", values)
        except sqlite3.Error as error:
            raise ResultsError(_words(self.place, error)) from error
        self.done.add(row["file"])

    def rows(self, files: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Read the rows of files, in the order of the files; those without one are passed over."""
        for file in files:
            key = (os.fsencode(file),)
            for (row,) in self._database.execute("SELECT row FROM predictions WHERE file = ?", key):
                yield json.loads(row)

    def _check(self, work: dict[str, Any]) -> None:
        """Note the settings of new work; refuse to go on with other ones."""
        now = json.loads(json.dumps(work))
        found = self._database.execute("SELECT settings FROM work").fetchone()
        if found is None:
            self._database.execute("INSERT INTO work VALUES (?)", (json.dumps(now),))
            return
        begun = json.loads(found[0])
        if begun != now:
            differ = sorted(key for key in {*begun, *now} if begun.get(key) != now.get(key))
            raise ResultsError(
                f"{self.place}: was begun with other settings ({', '.join(differ)}): give the same "
                "to go on, or remove it to begin anew"
            )


def _is_ours(head: bytes) -> bool:
    return head[ID_PLACE] == OURS.to_bytes(4)


def _words(place: Path, error: Exception) -> str:
    """Say what is wrong with a journal."""
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return f"{place}: another process is writing it: wait for that, or give another name"
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return f"{place}: is no journal of serein ({error}): {OTHER_NAME}"
    return f"{place}: cannot be written: {error}"
