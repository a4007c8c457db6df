"""Answers for very many recordings: on all cores, resumed after any kill, each written once.

Several processes, a cluster and object stores need the extra [scale].
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from serein.bulk.journal import Journal
from serein.bulk.object_store import fetch, is_url
from serein.defaults import DEFAULT_LIMITS, DEFAULT_PROVIDER, DEFAULT_UNSURE_BELOW, Limits
from serein.engine import engine
from serein.errors import MissingExtraError, SereinError
from serein.inference.multimodal import MultimodalRecognizer
from serein.inference.recognizer import find_model, load

Row = dict[str, Any]

BATCH = 8  # files that a process takes at once
AHEAD = 4  # batches a process that are handed out before they are asked for
COLUMNS = ("duration", "speech", "emotion", "confidence", "valence", "arousal")
WATCH_S = 0.5
DIED = "the process that read it died: it is damaged, or made to do harm"


@dataclass(frozen=True)
class Question:
    """What is asked of every recording."""

    model: str
    unsure_below: float = DEFAULT_UNSURE_BELOW
    max_s: float = DEFAULT_LIMITS.max_s
    provider: str = DEFAULT_PROVIDER

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that tell this question from others."""
        return asdict(self) | {"model": str(Path(find_model(self.model)).resolve())}


def answer_all(
    files: Sequence[str],
    question: Question,
    journal: Journal,
    *,
    jobs: int = 1,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Answer for all files that the journal does not hold.

    Parameters
    ----------
    files : sequence of str
        Recordings: paths, or URLs of an object store.
    question : Question
        What is asked.
    journal : Journal
        Takes the rows: plain values with ``file`` and either ``error`` or an answer.
    jobs : int
        Processes, unless a cluster is chosen (`serein.engine.running_on`); a recording never ends
        more than its own.
    tick : callable
        Told how many files are done, of how many.

    Raises
    ------
    BundleError
        If the model cannot be used.
    MissingExtraError
        If `jobs` is more than 1 and joblib is not installed.
    """
    if jobs > 1 and find_spec("joblib") is None:
        raise MissingExtraError("answering with several processes", "scale")
    waiting = [file for file in files if file not in journal.done]
    done = len(files) - len(waiting)
    tick(done, len(files))
    on_cluster = engine().name == "ray"
    for row in _on_cluster(waiting, question) if on_cluster else _rows(waiting, question, jobs):
        journal.append(row)
        done += 1
        tick(done, len(files))


def answer(question: Question, file: str, parent: int | None = None) -> Row:
    """Answer for one file as plain values; a function of its own, so that it can be sent away."""
    if parent is not None:
        _leave_with(parent)
    judge = _recognizer(question)
    try:
        found = (
            judge.voice.predict(fetch(file, judge.voice.limits.max_bytes))
            if is_url(file)
            else judge.predict(file)
        )
    except SereinError as error:
        return {"file": file, "error": str(error)}
    values = found.to_dict(timeline=False)
    kept = {name: values[name] for name in (*COLUMNS, "probabilities")}
    return {"file": file, "error": None} | kept


def _on_cluster(files: list[str], question: Question) -> Iterator[Row]:
    """Answer on a cluster, in any order; what had no answer is asked for alone."""
    missing = dict.fromkeys(files)
    for ask in (answers, answers_alone):
        for row in ask(partial(answer, question), list(missing)):
            if row["file"] in missing:
                del missing[row["file"]]
                yield row
    yield from ({"file": file, "error": f"{file}: {DIED}"} for file in missing)


@cache
def _leave_with(parent: int) -> None:
    """Watch a parent, once a process: one that is killed cannot tell its children to end."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@cache
def _recognizer(question: Question) -> MultimodalRecognizer:
    """Load what answers, once a process."""
    limits = Limits(max_s=question.max_s)
    voice = load(
        question.model,
        threads=1,
        limits=limits,
        unsure_below=question.unsure_below,
        provider=question.provider,
    )
    return MultimodalRecognizer(voice)


def _rows(files: list[str], question: Question, jobs: int) -> Iterator[Row]:
    """Answer in order; where a process dies, ask for what it may have held one by one."""
    if jobs == 1:
        yield from _one_by_one(files, question)
        return
    done, ahead = 0, jobs * AHEAD * BATCH
    while done < len(files):
        try:
            for row in _side_by_side(files[done:], question, jobs):
                yield row
                done += 1
        except BrokenProcessPool:
            yield from _one_by_one(files[done : done + ahead], question)
            done += ahead


def _side_by_side(files: list[str], question: Question, jobs: int) -> Iterator[Row]:
    from joblib import Parallel, delayed

    work = Parallel(
        n_jobs=jobs, return_as="generator", batch_size=BATCH, pre_dispatch=jobs * AHEAD * BATCH
    )
    return iter(work(delayed(answer)(question, file, os.getpid()) for file in files))


def _one_by_one(files: list[str], question: Question) -> Iterator[Row]:
    """Answer in one process, and in a fresh one after a file that ended it."""
    pool = _fresh()
    try:
        for file in files:
            try:
                yield pool.submit(answer, question, file, os.getpid()).result()
            except BrokenProcessPool:
                pool.shutdown(wait=False)
                pool = _fresh()
                yield {"file": file, "error": f"{file}: {DIED}"}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fresh() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


Batch = dict[str, Any]

TASK_FILES = 8  # files that a task takes
WAVE = 50_000  # files that are handed to Ray at once: its own book-keeping stays small
RETRIES = 1  # of a task that died with its machine, or by a file that kills


def answers(answer: Callable[[str], Row], files: Sequence[str]) -> Iterator[Row]:
    """Answer for files on all machines of the cluster that is connected."""
    for start in range(0, len(files), WAVE):
        yield from _wave(answer, files[start : start + WAVE], TASK_FILES)


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
