"""`serein predict --out`: very many recordings into one table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from serein.cli.show import print_error, progress_bar
from serein.errors import SereinError

if TYPE_CHECKING:
    from serein.inference.bulk import Question


def predict_into(out: Path, inputs: list[str], question: Question, jobs: int | None) -> bool:
    """Answer for all recordings into a table, going on where a killed run was.

    Parameters
    ----------
    out : path
        The table.
    inputs : list of str
        Recordings, or folders of them; or URLs of an object store.
    question : Question
        What is asked.
    jobs : int or None
        Processes; as many as there are cores, if not given.

    Returns
    -------
    bool
        Whether any input failed.

    Raises
    ------
    ResultsError
        If the table cannot be written, or was begun with other settings.
    """
    from serein.inference.bulk import answer_all
    from serein.inference.bundle import read_bundle
    from serein.inference.journal import Journal
    from serein.inference.recognizer import find_model
    from serein.inference.results import check_results, write_results

    check_results(out)
    files, failed = _listed(inputs)
    labels = read_bundle(find_model(question.model)).labels
    unfinished = out.with_name(f".{out.name}.journal")
    with Journal(unfinished, question.to_dict()) as journal:
        if journal.done:
            typer.echo(f"going on: {len(journal.done)} files are answered already", err=True)
        with progress_bar("recordings") as tick:
            answer_all(files, question, journal, jobs=jobs or os.cpu_count() or 1, tick=tick)
        answered, errors = write_results(journal.rows(files), labels, out)
    unfinished.unlink()
    typer.echo(f"{answered} answered, {errors} failed: {out}")
    return failed or errors > 0


def _listed(inputs: list[str]) -> tuple[list[str], bool]:
    """List all recordings, each once; say which inputs hold none."""
    from serein.inference.objects import is_url, list_objects
    from serein.recordings import recordings

    found: dict[str, None] = {}
    failed = False
    for entry in inputs:
        try:
            files = list_objects(entry) if is_url(entry) else recordings(entry, videos=True)
            found |= dict.fromkeys(map(str, files))
        except SereinError as error:
            failed = True
            print_error(entry, error, as_json=False)
    return list(found), failed
