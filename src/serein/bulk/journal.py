"""The predictions made so far, in an SQLite file: they survive being killed at any moment."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from serein.errors import ResultsError, reason_of
from serein.private_files import OTHER_NAME, claim

OURS = 0x73657265  # the application id of a journal, which stands at a known place of the file
ID_PLACE = slice(68, 72)
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the second of damaged names
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
        except (OSError, *SQLITE_ERRORS) as error:
            raise ResultsError(_words(place, error)) from error
        try:
            for statement in SETUP:
                self._database.execute(statement)
            self._check(work)
            keys = self._database.execute("SELECT CAST(file AS BLOB) FROM predictions")
            self.done = {os.fsdecode(key or b"") for (key,) in keys}
        except SQLITE_ERRORS as error:
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
        except SQLITE_ERRORS as error:
            raise ResultsError(_words(self.place, error)) from error
        self.done.add(row["file"])

    def rows(self, files: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Read the rows of files, in the order of the files; those without one are passed over."""
        query = "SELECT row FROM predictions WHERE file = ?"
        for file in files:
            try:
                found = self._database.execute(query, (os.fsencode(file),)).fetchall()
            except SQLITE_ERRORS as error:
                raise ResultsError(_words(self.place, error)) from error
            yield from (self._parsed(row) for (row,) in found)

    def _check(self, work: dict[str, Any]) -> None:
        """Note the settings of new work; refuse to go on with other ones."""
        now = json.loads(json.dumps(work))
        found = self._database.execute("SELECT settings FROM work").fetchone()
        if found is None:
            self._database.execute("INSERT INTO work VALUES (?)", (json.dumps(now),))
            return
        begun = self._parsed(found[0])
        if begun != now:
            differ = sorted(key for key in {*begun, *now} if begun.get(key) != now.get(key))
            raise ResultsError(
                f"{self.place}: was begun with other settings ({', '.join(differ)}): give the same "
                "to go on, or remove it to begin anew"
            )

    def _parsed(self, text: Any) -> dict[str, Any]:
        """Read a JSON object."""
        with suppress(TypeError, ValueError, RecursionError):
            if isinstance(value := json.loads(text), dict):
                return value
        raise ResultsError(f"{self.place}: is damaged: remove it to begin anew")


def _is_ours(head: bytes) -> bool:
    return head[ID_PLACE] == OURS.to_bytes(4)


def _words(place: Path, error: Exception) -> str:
    """Say what is wrong with a journal."""
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return f"{place}: another process is writing it: wait for that, or give another name"
    if not isinstance(error, OSError | sqlite3.OperationalError):
        return f"{place}: is no journal of serein ({error}): {OTHER_NAME}"
    return f"{place}: cannot be written: {reason_of(error)}"
