"""Searches as Optuna keeps them: in memory or in a storage, and gone on with after a kill."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from serein.errors import MissingExtraError

METHODS = ("grid", "random", "halving", "bayesian")
HEARTBEAT_S = 30  # of storages that processes share; silent for four of these is dead


@contextmanager
def opened(
    storage: str | Path | None,
    name: str,
    fingerprint: str,
    names: Sequence[str],
    method: str,
    *,
    helps: bool = False,
) -> Iterator[Any]:
    """Open a search, new or begun before; what a killed process was at is put up again."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("search", "train") from error

    loudness = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kept: Any = None
    try:
        kept = _kept(storage)
        study = optuna.create_study(
            storage=kept,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            pruner=_halving() if method == "halving" else optuna.pruners.NopPruner(),
        )
        _refuse_other(study, {"fingerprint": fingerprint, "names": list(names)})
        if not helps:
            recover(study, storage)
        yield study
    finally:
        optuna.logging.set_verbosity(loudness)
        if hasattr(kept, "engine"):
            kept.remove_session()
            kept.engine.dispose()


def check_shared(storage: str | Path | None) -> None:
    """Refuse a storage that several processes cannot share."""
    place = str(storage)
    if storage is None or not (place.endswith(".journal") or _has_heartbeats(place)):
        raise ValueError(
            f"storage is {storage!r}; a search in several processes needs one that they share: a "
            "file ending in .journal, or a URL such as postgresql://…"
        )


def recover(study: Any, storage: str | Path | None) -> None:
    """Put up again what was broken off; then, not before, call it failed: it is never lost."""
    from optuna.trial import TrialState

    broken = [trial for trial in _in(study, "FAIL") if "error" not in trial.user_attrs]
    dead = [] if _has_heartbeats(str(storage)) else _in(study, "RUNNING")
    for trial in broken + dead:
        _put_up_again(study, trial)
    for trial in dead:
        study.tell(trial.number, state=TrialState.FAIL)


def sampler(study: Any, method: str, random_state: int, before: int | None = None) -> Any:
    """Make the sampler of the next trial, seeded by how many trials came before."""
    import optuna

    if before is None:
        before = len(counted(study)) + len(_in(study, "RUNNING"))
    seed = int(np.random.SeedSequence([random_state, before]).generate_state(1)[0])
    if method != "bayesian":
        return optuna.samplers.RandomSampler(seed)
    with _experiments_allowed():
        # Groups: a start that leaves names out must not end the joint choice of all names.
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)


def counted(study: Any) -> list[Any]:
    """Return the trials that count: finished, not broken off."""
    failed = [trial for trial in _in(study, "FAIL") if "error" in trial.user_attrs]
    return sorted(_in(study, "COMPLETE", "PRUNED") + failed, key=lambda trial: trial.number)


def put_next(study: Any, fixed: Sequence[dict[str, Any]], method: str) -> bool:
    """Put up the first of the fixed points that was not tried yet.

    One at a time, so that a trial broken off is the next one again, and the order stays.
    """
    if waiting(study):
        return True
    seen = [_point(trial) for trial in counted(study) + _in(study, "RUNNING")]
    for point in fixed:
        if point not in seen:
            study.enqueue_trial(point, user_attrs={"given": point})
            return True
    return method != "grid"


def put_all(study: Any, fixed: Sequence[dict[str, Any]]) -> None:
    """Put up all fixed points that were not tried yet, for several processes to take."""
    seen = [_point(trial) for trial in counted(study) + waiting(study)]
    for point in fixed:
        if point not in seen:
            study.enqueue_trial(point, user_attrs={"given": point})


def waiting(study: Any) -> list[Any]:
    """Return the trials that are put up and not begun."""
    return _in(study, "WAITING")


@contextmanager
def _experiments_allowed() -> Iterator[None]:
    """Silence Optuna where it says that an interface may change; the tests would notice."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _in(study: Any, *states: str) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in states]


def _point(trial: Any) -> dict[str, Any]:
    """Return what a trial tries: what it was given or, if the sampler chose, what it drew."""
    point: dict[str, Any] = trial.user_attrs.get("given", trial.params)
    return point


def _kept(storage: str | Path | None) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if storage is None:
        return None
    url = str(storage)
    if "://" not in url:
        if not url.endswith((".db", ".journal")):
            raise ValueError(
                f"storage is {url!r}; allowed: a file ending in .db or .journal, or a URL such as "
                "sqlite:///search.db or postgresql://…"
            )
        Path(url).parent.mkdir(parents=True, exist_ok=True)
        if url.endswith(".journal"):
            return JournalStorage(JournalFileBackend(url))
        url = f"sqlite:///{url}"
    if not _has_heartbeats(url):
        return RDBStorage(url)
    with _experiments_allowed():
        return RDBStorage(
            url,
            heartbeat_interval=HEARTBEAT_S,
            grace_period=4 * HEARTBEAT_S,
            heartbeat_stale_trial_callback=_put_up_again,
        )


def _has_heartbeats(url: str) -> bool:
    """Whether such a storage tells who is alive; of others, one command at a time has the use."""
    return "://" in url and not url.startswith("sqlite:")


def _refuse_other(study: Any, search: dict[str, Any]) -> None:
    found = study.user_attrs.get("search")
    if found is None and not study.get_trials(deepcopy=False):
        study.set_user_attr("search", search)
    elif found != search:
        raise ValueError(
            f"the storage holds a search {study.study_name!r} of other data or settings: give "
            "another name, or another storage"
        )


def _put_up_again(study: Any, trial: Any) -> None:
    """Let a broken-off trial be run again, unless a later one does so already.

    A trial that had drawn only a part of its values, or none, needs nothing: the sampler, seeded by
    the number of trials tried, draws the same again.
    """
    point = _point(trial)
    later = [each for each in study.get_trials(deepcopy=False) if each.number > trial.number]
    whole = "given" in trial.user_attrs or set(point) == set(study.user_attrs["search"]["names"])
    if whole and point not in [_point(each) for each in later]:
        study.enqueue_trial(point, user_attrs={"given": point})


def _halving() -> Any:
    from optuna.pruners import SuccessiveHalvingPruner

    class Halving(SuccessiveHalvingPruner):
        """Successive halving that does not let broken-off trials compete with their own rerun."""

        def prune(self, study: Any, trial: Any) -> bool:
            living: Any = _Living(study)
            return super().prune(living, trial)

    return Halving(min_resource=1, reduction_factor=2)


class _Living:
    """A study without its failed trials."""

    def __init__(self, study: Any) -> None:
        self.study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self.study, name)

    def get_trials(self, deepcopy: bool = True) -> list[Any]:
        trials = self.study.get_trials(deepcopy=deepcopy)
        return [trial for trial in trials if trial.state.name != "FAIL"]
