"""Searches as Optuna studies: in memory or in a storage, resumed after a kill."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from serein.errors import MissingExtraError, ResultsError, SettingError, cannot_write
from serein.private_files import claim

METHODS = ("grid", "random", "halving", "bayesian")
STORAGES = {".db": b"SQLite format 3\0", ".journal": b'{"op_code"'}  # their first bytes
HEARTBEAT_S = 30  # of shared storages; a process silent for four of these is dead


@contextmanager
def open_study(
    storage: str | Path | None,
    name: str,
    fingerprint: str,
    names: Sequence[str],
    *,
    resume: bool = True,
) -> Iterator[Any]:
    """Open a new search or one begun before; if `resume`, interrupted trials are re-enqueued."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("search", "train") from error

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    opened: Any = None
    try:
        opened = _open_storage(storage)
        study = optuna.create_study(
            storage=opened, study_name=name, direction="maximize", load_if_exists=True
        )
        _check_same_search(study, {"fingerprint": fingerprint, "names": list(names)})
        if resume:
            requeue_interrupted(study, storage)
        yield study
    finally:
        optuna.logging.set_verbosity(verbosity)
        if hasattr(opened, "engine"):
            opened.remove_session()
            opened.engine.dispose()


@contextmanager
def held(storage: str | Path | None) -> Iterator[None]:
    """Keep other processes out of a storage that is a file, which serves one search at a time."""
    place = str(storage or "").removeprefix("sqlite:///")
    if "://" in place or Path(place).suffix not in STORAGES:
        yield
        return
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise MissingExtraError("search", "train") from error
    try:
        lock = FileLock(f"{place}.held", timeout=0, is_singleton=True)  # .lock is Optuna's
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise ResultsError(
            f"{place}: another search is using it: wait for that, or give another --out or storage"
        ) from error
    except OSError as error:
        raise cannot_write(Path(f"{place}.held"), error) from error
    try:
        yield
    finally:
        lock.release()


def check_shared_storage(storage: str | Path | None) -> None:
    """Refuse a storage that several processes cannot share."""
    place = str(storage)
    if storage is None or not (place.endswith(".journal") or _has_heartbeats(place)):
        raise SettingError(
            f"storage is {storage!r}; a search in several processes needs one that they share: a "
            "file ending in .journal, or a URL such as postgresql://…"
        )


def requeue_interrupted(study: Any, storage: str | Path | None) -> None:
    """Re-enqueue interrupted trials, and only then mark them failed, so that none is ever lost."""
    from optuna.trial import TrialState

    failed = [trial for trial in _in_state(study, "FAIL") if "error" not in trial.user_attrs]
    dead = [] if _has_heartbeats(str(storage)) else _in_state(study, "RUNNING")
    for trial in failed + dead:
        _requeue(study, trial)
    for trial in dead:
        study.tell(trial.number, state=TrialState.FAIL)


def make_sampler(study: Any, method: str, random_state: int, before: int | None = None) -> Any:
    """Make the sampler of the next trial, seeded by how many trials came before."""
    import optuna

    if before is None:
        before = len(finished_trials(study)) + len(_in_state(study, "RUNNING"))
    seed = int(np.random.SeedSequence([random_state, before]).generate_state(1)[0])
    if method != "bayesian":
        return optuna.samplers.RandomSampler(seed)
    with _ignore_experimental():
        # Groups: a start that leaves names out must not end the joint choice of all names.
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)


def halving_stops(study: Any, step: int, score: float) -> bool:
    """Successive halving: whether a trial ends at 1, 2, 4, … folds, not being in the better half.

    Optuna's ``SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)``, with one difference:
    trials that failed or were interrupted do not compete. There, an interrupted trial competes with
    its own rerun, so that a resumed search stops other trials than one that was never killed.
    """
    if step & (step - 1):
        return False
    others = _in_state(study, "COMPLETE", "PRUNED", "RUNNING")
    scores = sorted(
        trial.intermediate_values[step] for trial in others if step in trial.intermediate_values
    )
    return score < scores[-max(1, len(scores) // 2)]


def finished_trials(study: Any) -> list[Any]:
    """Return the trials that were finished, also by an error of theirs, and not interrupted."""
    failed = [trial for trial in _in_state(study, "FAIL") if "error" in trial.user_attrs]
    found = _in_state(study, "COMPLETE", "PRUNED") + failed
    return sorted(found, key=lambda trial: trial.number)


def queued_trials(study: Any) -> list[Any]:
    """Return the trials that are enqueued and not begun."""
    return _in_state(study, "WAITING")


def enqueue_next(study: Any, fixed: Sequence[dict[str, Any]], method: str) -> bool:
    """Enqueue the first fixed point that was not tried; say whether there is a trial to run.

    One at a time, so that an interrupted trial is the next one again, and the order stays.
    """
    if queued_trials(study):
        return True
    known = [_point(trial) for trial in finished_trials(study) + _in_state(study, "RUNNING")]
    return bool(_enqueue(study, fixed, known, limit=1)) or method != "grid"


def enqueue_all(study: Any, fixed: Sequence[dict[str, Any]]) -> None:
    """Enqueue all fixed points that were not tried, for several processes."""
    known = [_point(trial) for trial in finished_trials(study) + queued_trials(study)]
    _enqueue(study, fixed, known)


def _enqueue(
    study: Any, fixed: Sequence[dict[str, Any]], known: list[Any], limit: int | None = None
) -> list[dict[str, Any]]:
    new = [point for point in fixed if point not in known][:limit]
    for point in new:
        study.enqueue_trial(point, user_attrs={"given": point})
    return new


@contextmanager
def _ignore_experimental() -> Iterator[None]:
    """Silence Optuna where it says that an interface may change; the tests would notice."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _in_state(study: Any, *states: str) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in states]


def _point(trial: Any) -> dict[str, Any]:
    """Return the values of a trial: those it was given or, if the sampler chose, those drawn."""
    point: dict[str, Any] = trial.user_attrs.get("given", trial.params)
    return point


def _open_storage(storage: str | Path | None) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if storage is None:
        return None
    url = str(storage)
    if "://" not in url:
        if Path(url).suffix not in STORAGES:
            raise SettingError(
                f"storage is {url!r}; allowed: a file ending in .db or .journal, or a URL such as "
                "sqlite:///search.db or postgresql://…"
            )
        _claim(Path(url))
        if url.endswith(".journal"):
            return JournalStorage(JournalFileBackend(url))
        url = f"sqlite:///{url}"
    if not _has_heartbeats(url):
        return RDBStorage(url)
    with _ignore_experimental():
        return RDBStorage(
            url,
            heartbeat_interval=HEARTBEAT_S,
            grace_period=4 * HEARTBEAT_S,
            heartbeat_stale_trial_callback=_requeue,
        )


def _claim(file: Path) -> None:
    """Make the file of a storage; one that is there has to be one, and this user's."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        claim(file, "search", lambda head: head.startswith(STORAGES[file.suffix]))
    except OSError as error:
        raise cannot_write(file, error) from error


def _has_heartbeats(url: str) -> bool:
    """Whether a storage knows which processes are alive; others serve one command at a time."""
    return "://" in url and not url.startswith("sqlite:")


def _check_same_search(study: Any, search: dict[str, Any]) -> None:
    found = study.user_attrs.get("search")
    if found is None and not study.get_trials(deepcopy=False):
        study.set_user_attr("search", search)
    elif found != search:
        raise SettingError(
            f"the storage holds a search {study.study_name!r} of other data or settings: give "
            "another name, or another storage"
        )


def _requeue(study: Any, trial: Any) -> None:
    """Re-enqueue an interrupted trial, unless a later one has its values.

    A trial that had drawn only a part of its values, or none, needs nothing: the sampler, seeded by
    the number of trials tried, draws the same again.
    """
    point = _point(trial)
    later = [other for other in study.get_trials(deepcopy=False) if other.number > trial.number]
    whole = "given" in trial.user_attrs or set(point) == set(study.user_attrs["search"]["names"])
    if whole and point not in [_point(other) for other in later]:
        study.enqueue_trial(point, user_attrs={"given": point})
