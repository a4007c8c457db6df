"""Answers for very many recordings on the machines of a Ray cluster, by Ray Data.

Needs the extra [scale].
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

Row = dict[str, Any]
Batch = dict[str, Any]

BATCH = 8  # files that a task takes
WAVE = 50_000  # files that are handed to Ray at once: its own book-keeping stays small
RETRIES = 1  # of a task that died with its machine, or by a file that kills


def answers(answer: Callable[[str], Row], files: Sequence[str]) -> Iterator[Row]:
    """Answer for files on all machines of the cluster that is connected.

    Parameters
    ----------
    answer : callable
        From a file to a row of plain values.
    files : sequence of str
        Paths that every machine can read, or URLs.

    Yields
    ------
    dict
        Rows as they come, at most one a file. What died again and again has none.
    """
    for start in range(0, len(files), WAVE):
        yield from _wave(answer, files[start : start + WAVE], BATCH)


def answers_alone(answer: Callable[[str], Row], files: Sequence[str]) -> Iterator[Row]:
    """Do the same with a task for each file, so that one that kills its process harms no other."""
    for start in range(0, len(files), WAVE):
        yield from _wave(answer, files[start : start + WAVE], 1)


def _wave(answer: Callable[[str], Row], files: Sequence[str], batch: int) -> Iterator[Row]:
    import ray.data

    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = -1  # whose files are asked for again
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    blocks = -(-len(files) // batch)
    table = ray.data.from_items([{"file": file} for file in files], override_num_blocks=blocks)
    done = table.map_batches(
        partial(_answered, answer), batch_size=None, num_cpus=1, max_retries=RETRIES
    )
    for row in done.iter_rows():
        yield json.loads(row["answer"])


def _answered(answer: Callable[[str], Row], batch: Batch) -> Batch:
    """Answer for the files of a block; as text, since rows differ in what they hold."""
    return {"answer": [json.dumps(answer(str(file))) for file in batch["file"]]}
