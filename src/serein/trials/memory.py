"""Answers that are kept, so that a trial that was stopped goes on where it was."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np

from serein.evaluation.metrics import Floats
from serein.features.cache import default_cache


def answers_folder(fingerprint: str | None, cache: Path | None = None) -> Path | None:
    """Say where the answers of a model are kept.

    Parameters
    ----------
    fingerprint : str or None
        Equal ones give equal answers; without one, none are kept.
    cache : path, optional
        Folder of the cache; the user's own if not given.

    Returns
    -------
    pathlib.Path or None
        A folder, which need not be there.
    """
    return (cache or default_cache()) / "stress" / fingerprint if fingerprint else None


class Memory:
    """Answers under one condition, each appended to a file; a line cut short is no answer.

    Parameters
    ----------
    file : path or None
        CSV: a clip's content, then a hexadecimal number for each label; none is written if None.
    width : int
        How many labels there are.

    Attributes
    ----------
    known : dict of str to numpy.ndarray
        Content -> answer, shape (width,).
    """

    def __init__(self, file: Path | None, width: int) -> None:
        self.file, self.width = file, width
        self.known: dict[str, Floats] = {}
        self._lock = Lock()
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
        for line in text.splitlines():
            content, *values = line.split(",")
            if len(values) == width + 1 and values[-1] == "":
                self.known[content] = np.array([float.fromhex(value) for value in values[:-1]])
        if text and not text.endswith("\n"):
            with file.open("a", encoding="utf-8") as end:
                end.write("\n")

    def keep(self, content: str, answer: Floats) -> None:
        """Keep the answer to a clip with this content."""
        if answer.shape != (self.width,):
            raise ValueError(
                f"answer has shape {answer.shape}; need one for each label, {self.width}"
            )
        with self._lock:
            self.known[content] = answer
            if self.file:
                with self.file.open("a", encoding="utf-8") as end:
                    values = ",".join(float(value).hex() for value in answer)
                    end.write(f"{content},{values},\n")
