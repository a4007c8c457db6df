"""The journal of a table: what lies under its name may be anything."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

WORK = '{"model": "multi"}'
ROW = '{"file": "a.wav", "error": null, "emotion": "anger"}'


def database(settings: Any, rows: Iterable[tuple[Any, Any]]) -> bytes:
    """A journal that holds such values, of any type."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("PRAGMA page_size = 512")
        made.execute(f"PRAGMA application_id = {0x73657265}")
        made.execute("CREATE TABLE work (settings TEXT)")
        made.execute("CREATE TABLE predictions (file BLOB PRIMARY KEY, row TEXT)")
        made.execute("INSERT INTO work VALUES (?)", (settings,))
        made.executemany("INSERT OR IGNORE INTO predictions VALUES (?, ?)", rows)
        made.commit()
        return made.serialize()


class JournalTarget:
    """`serein.bulk.journal.Journal`, read and written; what is no journal stays as it is."""

    tokens = (b"SQLite format 3\x00", b"seres", b"CREATE TABLE work", b"TRIGGER", b"VIEW", b"BLOB")

    def __init__(self) -> None:
        from serein.bulk.journal import ID_PLACE, OURS, Journal
        from serein.errors import ResultsError

        self._open, self._error = Journal, ResultsError
        self._is_ours = lambda data: data[ID_PLACE] == OURS.to_bytes(4)
        self._folder = tempfile.TemporaryDirectory(prefix="serein-fuzz-")
        self._file = Path(self._folder.name) / "journal"
        self.seeds = [
            database(WORK, [(b"a.wav", ROW), (b"b.wav", ROW)]),
            database(WORK, [(b"%d" % number, ROW) for number in range(40)]),
            b"a thesis",
        ]

    def __call__(self, data: bytes) -> str:
        for file in Path(self._folder.name).iterdir():
            file.unlink()
        self._file.write_bytes(data)
        try:
            with self._open(self._file, {"model": "multi"}) as journal:
                for _row in journal.rows([*journal.done]):
                    pass
                journal.append({"file": "new.wav"})
        except self._error as error:
            if data and not self._is_ours(data) and self._file.read_bytes() != data:
                raise RuntimeError("what is no journal was changed") from error
            return type(error).__name__
        return "ok"

    def close(self) -> None:
        self._folder.cleanup()
