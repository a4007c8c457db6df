"""The predictions made so far, in an SQLite file: they survive being killed at any moment."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from serein.errors import ResultsError
from serein.private_files import is_own, open_own

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
OTHER_NAME = "remove it, or give another name"


class Journal:
    """A row a file, and the settings that the work was begun with."""

    def __init__(self, place: Path, work: dict[str, Any]) -> None:
        self.place = place
        try:
            _make_or_check(place)
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


def _make_or_check(place: Path) -> None:
    """Make a new file for a journal; one that is there has to be a journal of this user."""
    beside = [place.with_name(f"{place.name}{end}") for end in ("-wal", "-shm", "-journal")]
    there = [file for file in beside if os.path.lexists(file)]
    if os.path.lexists(place):
        opened = open_own(place) if all(map(is_own, there)) else None
        if opened is None:
            raise ResultsError(f"{place}: is a link, or others own or may write it: {OTHER_NAME}")
        with opened:
            head = opened.read(ID_PLACE.stop)
        if head and head[ID_PLACE] != OURS.to_bytes(4):  # empty is one that was just made
            raise ResultsError(f"{place}: is no journal of serein: {OTHER_NAME}")
    elif there:
        raise ResultsError(f"{there[0]}: is left of a journal that is gone: {OTHER_NAME}")
    else:
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _words(place: Path, error: Exception) -> str:
    """Say what is wrong with a journal."""
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return f"{place}: another process is writing it: wait for that, or give another name"
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return f"{place}: is no journal of serein ({error}): {OTHER_NAME}"
    return f"{place}: cannot be written: {error}"
