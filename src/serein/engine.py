"""Where loops run: on this machine's cores (joblib), or on a cluster (Ray).

A loop is written once, with `each`. Who starts the work chooses where: ``with running_on("ray")``.
Locally, joblib's own `joblib.parallel_config` chooses among its backends. More than one process
needs the extra [scale]. joblib's Ray backend is not used: its pool does not survive a lost machine.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from itertools import chain
from math import ceil, inf
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from serein.errors import EngineError, MissingExtraError, SettingError, unknown_name

Item = TypeVar("Item")
Result = TypeVar("Result")

ENGINES = ("local", "ray")
AHEAD = 4  # items a core that are handed out before they are asked for
BATCH = 8  # items that a process takes at once, where items may end their process
RETRIES = 3  # of such an item on a cluster: its machine may have died rather than its process
WATCH_S = 0.5
CGROUP = "/sys/fs/cgroup"
QUOTA_FILES = (
    (f"{CGROUP}/cpu.max",),
    (f"{CGROUP}/cpu/cpu.cfs_quota_us", f"{CGROUP}/cpu/cpu.cfs_period_us"),
)


def usable_cores() -> int:
    """Count the cores that this process may use, by its affinity and the quota of its cgroup."""
    known = getattr(os, "sched_getaffinity", None)
    cores = len(known(0)) if known else os.cpu_count() or 1
    return max(1, ceil(min(cores, _quota())))


def _quota() -> float:
    """Read the quota of a container, in cores, of cgroups of version 2 or 1; inf without one."""
    for files in QUOTA_FILES:
        with suppress(OSError, ValueError, ZeroDivisionError):
            words = " ".join(Path(file).read_text(encoding="ascii") for file in files).split()
            quota, period = float(words[0]), float(words[1])  # "max 100000" has none
            if quota > 0:
                return quota / period
    return inf


@dataclass(frozen=True)
class Engine:
    """Where loops run."""

    name: str = "local"
    jobs: int | None = None


HERE = Engine()
_current: ContextVar[Engine] = ContextVar("engine", default=HERE)


def engine() -> Engine:
    """Return the engine on which loops run at present."""
    return _current.get()


def parallel(jobs: int = 1) -> bool:
    """Tell whether a loop that asks for so many processes runs in more than this one."""
    return engine().name == "ray" or (engine().jobs or jobs) != 1


def check_jobs(jobs: int | None) -> int | None:
    """Return a number of processes, -1 for all cores.

    Raises: SettingError if it is 0, or less than -1.
    """
    if jobs is not None and jobs < 1 and jobs != -1:
        raise SettingError(f"jobs is {jobs}; allowed: 1 or more, or -1 for all cores")
    return jobs


@contextmanager
def running_on(
    name: str = "local", *, address: str | None = None, jobs: int | None = None
) -> Iterator[None]:
    """Run loops on an engine."""
    if name not in ENGINES:
        raise EngineError(unknown_name("engine", name, ENGINES))
    if name == "local" and address is not None:
        raise EngineError(f"address {address} is of a cluster: say --engine ray with it")
    if name == "ray" and jobs is not None:
        raise EngineError("a cluster knows how many processes it runs: leave --jobs out")
    if name == "local":
        with _chosen(Engine(name, check_jobs(jobs))):
            yield
        return
    with _ray(address), _chosen(Engine(name)):
        yield


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Have torch compute with so many threads: the whole process, as torch knows no other way."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def each(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    jobs: int = 1,
    lost: Callable[[Item], Result] | None = None,
) -> Iterator[Result]:
    """Call a function with each item, on the engine that is chosen.

    What a lost machine of a cluster was at is done again on another.

    Parameters
    ----------
    function : callable
        Of one item; it is sent to where it runs, with all it holds.
    items : iterable
        Read no further ahead than the engine is busy; all at once where `lost` is given.
    jobs : int
        Processes, where nobody chose; -1 is all cores.
    lost : callable, optional
        Gives the result of an item that ends the process it is worked on in. The work is then
        always done in other processes, and such an item costs no other its result.

    Yields
    ------
    object
        The results, in the order of the items.

    Raises
    ------
    SettingError
        If `jobs` is 0, or less than -1.
    MissingExtraError
        If joblib is needed and not installed.
    """
    jobs = engine().jobs or check_jobs(jobs) or 1
    if engine().name == "ray":
        return _on_ray(function, items, lost)
    if lost is not None:
        return _surviving(function, list(items), jobs, lost)
    if jobs == 1:
        return map(function, items)
    return _on_cores(function, items, jobs)


@contextmanager
def _chosen(chosen: Engine) -> Iterator[None]:
    before = _current.set(chosen)
    try:
        yield
    finally:
        _current.reset(before)


def _on_cores(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int, **options: int
) -> Iterator[Result]:
    if find_spec("joblib") is None:
        raise MissingExtraError("working with several processes", "scale")
    from joblib import Parallel, delayed
    from joblib.externals.loky.backend import resource_tracker

    _start_quietly(resource_tracker)
    # One that grew, by loading torch for one, is replaced, and nothing is lost.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
    work, guarded = Parallel(n_jobs=jobs, return_as="generator", **options), _guard(function)
    return iter(work(delayed(guarded)(item) for item in items))


def _surviving(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int,
    lost: Callable[[Item], Result],
) -> Iterator[Result]:
    """Work in order; where a process dies, do what it may have held one by one."""
    if jobs == 1:
        yield from _one_by_one(function, items, lost)
        return
    done, ahead = 0, (jobs if jobs > 0 else usable_cores()) * AHEAD * BATCH
    while done < len(items):
        try:
            chunk = {"batch_size": BATCH, "pre_dispatch": ahead}
            for result in _on_cores(function, items[done:], jobs, **chunk):
                yield result
                done += 1
        except BrokenExecutor:
            yield from _one_by_one(function, items[done : done + ahead], lost)
            done += ahead


def _one_by_one(
    function: Callable[[Item], Result], items: Sequence[Item], lost: Callable[[Item], Result]
) -> Iterator[Result]:
    """Work in one other process, and in a fresh one after an item that ended it."""
    pool, guarded = _fresh_process(), _guard(function)
    try:
        for item in items:
            try:
                yield pool.submit(guarded, item).result()
            except BrokenExecutor:
                pool.shutdown(wait=False)
                pool = _fresh_process()
                yield lost(item)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fresh_process() -> Executor:
    from concurrent.futures import ProcessPoolExecutor  # slow to load, and few commands need it
    from multiprocessing import get_context, resource_tracker

    _start_quietly(resource_tracker)
    ignored = (signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the parent knows: it ends them
    context = get_context("spawn")
    return ProcessPoolExecutor(1, context, initializer=signal.signal, initargs=ignored)


def _start_quietly(tracker: ModuleType) -> None:
    """Start what removes the semaphores of a killed process, which nobody needs to be told."""
    if os.name != "posix":
        return
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [before, "ignore:resource_tracker"]))
    try:
        tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _guard(function: Callable[[Item], Result]) -> Callable[[Item], Result]:
    return partial(_guarded, os.getpid(), platform.node(), warnings.formatwarning, function)


def _guarded(
    parent: int,
    machine: str,
    as_text: Callable[..., str],
    function: Callable[[Item], Result],
    item: Item,
) -> Result:
    """Work on an item in a process that ends with its parent, and writes warnings as it does."""
    _end_with(parent, machine)
    warnings.formatwarning = as_text
    return function(item)


@cache
def _end_with(parent: int, machine: str) -> None:
    """Watch a parent, once a process: one that is killed cannot tell its children to end.

    It may be dead already, before the first item is worked on.
    """
    if os.getpid() == parent or platform.node() != machine:  # a thread of it, or elsewhere
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _on_ray(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    lost: Callable[[Item], Result] | None,
) -> Iterator[Result]:
    import ray

    call: Any = ray.remote(max_retries=-1 if lost is None else RETRIES)(_call)
    sent = ray.put(function)  # once a machine, not once an item
    resources: Any = ray.cluster_resources  # Ray carries no types here
    ahead = AHEAD * max(1, int(resources().get("CPU", 1)))
    waiting: deque[tuple[Any, Item]] = deque()
    for item in chain(items, [_END] * ahead):
        if item is not _END:
            waiting.append((call.remote(sent, item), item))
        if waiting and (item is _END or len(waiting) > ahead):
            yield _result(*waiting.popleft(), lost)


_END: Any = object()


def _call(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


def _result(promise: Any, item: Any, lost: Callable[[Any], Any] | None) -> Any:
    """Wait for a result; an error of the function is raised as it was there."""
    import ray

    try:
        return ray.get(promise)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except _deaths():
        if lost is None:
            raise
        return lost(item)


def _deaths() -> tuple[type[Exception], ...]:
    """Name the errors of a process that ended on every try, be it by the memory that it took."""
    from ray import exceptions as ray

    return ray.WorkerCrashedError, ray.NodeDiedError, ray.OutOfMemoryError, ray.ObjectLostError


@contextmanager
def _ray(address: str | None) -> Iterator[None]:
    if find_spec("ray") is None:
        raise MissingExtraError("working on a cluster", "scale")
    import ray

    here = Path.cwd()  # of which relative paths speak, on every machine

    def go_here() -> None:
        with suppress(OSError):
            os.chdir(here)

    try:
        ray.init(
            address=address,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"worker_process_setup_hook": go_here},
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise EngineError(f"no Ray cluster answers at {address}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
