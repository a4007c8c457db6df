"""Where loops run: on this machine's cores (joblib), or on a cluster (Ray).

A loop is written once, with `each`. Who starts the work chooses where: ``with running_on("ray")``.
Locally, joblib's own `joblib.parallel_config` chooses among its backends. More than one process
needs the extra [scale].
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from serein.errors import EngineError, MissingExtraError, unknown_name

Item = TypeVar("Item")
Result = TypeVar("Result")

ENGINES = ("local", "ray")
AHEAD = 4  # items a core that are handed out before they are asked for


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
        with _chosen(Engine(name, jobs)):
            yield
        return
    with _ray(address), _chosen(Engine(name)):
        yield


def each(
    function: Callable[[Item], Result], items: Iterable[Item], *, jobs: int = 1
) -> Iterator[Result]:
    """Call a function with each item, on the engine that is chosen.

    What a lost machine of a cluster was at is done again on another.

    Parameters
    ----------
    function : callable
        Of one item; it is sent to where it runs, with all it holds.
    items : iterable
        Read no further ahead than the engine is busy.
    jobs : int
        Processes, where nobody chose; -1 is all cores.

    Yields
    ------
    object
        The results, in the order of the items.

    Raises
    ------
    MissingExtraError
        If joblib is needed and not installed.
    """
    jobs = engine().jobs or jobs
    if engine().name == "ray":
        return _on_ray(function, items)
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
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int
) -> Iterator[Result]:
    if find_spec("joblib") is None:
        raise MissingExtraError("working with several processes", "scale")
    from joblib import Parallel, delayed

    work = Parallel(n_jobs=jobs, return_as="generator")
    return iter(work(delayed(function)(item) for item in items))


def _on_ray(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    import ray

    call: Any = ray.remote(max_retries=-1)(_call)
    sent = ray.put(function)  # once a machine, not once an item
    resources: Any = ray.cluster_resources  # Ray carries no types here
    ahead = AHEAD * max(1, int(resources().get("CPU", 1)))
    waiting: deque[Any] = deque()
    for item in chain(items, [_END] * ahead):
        if item is not _END:
            waiting.append(call.remote(sent, item))
        if waiting and (item is _END or len(waiting) > ahead):
            yield _got(waiting.popleft())


_END: Any = object()


def _call(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


def _got(answer: Any) -> Any:
    """Wait for an answer; an error of the function is raised as it was there."""
    import ray

    try:
        return ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error


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
