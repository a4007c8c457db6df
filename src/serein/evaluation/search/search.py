"""Search for the settings of an estimator, judged on speakers that it has not heard.

Grid, random, halving and Bayesian search (Optuna). With a storage, a search that was killed goes on
where it stopped: no trial is lost and none counts twice. The sampler is seeded anew for every trial
from `random_state` and the number of trials tried, so a killed and resumed search tries the same
values, with the same scores, as one never killed (one process; the same versions of all packages).
Side by side, a Bayesian search knows less when it chooses, and the order of trials may differ.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from serein.engine import each, parallel
from serein.errors import unknown_name
from serein.evaluation.cross_validation import Augmented, fit_part
from serein.evaluation.metrics import uar
from serein.evaluation.protocol import Fold, check_folds, speaker_k_fold
from serein.evaluation.search.space import Space, grid, read_space, read_values
from serein.evaluation.search.study import (
    METHODS,
    check_shared,
    counted,
    opened,
    put_all,
    put_next,
    recover,
    sampler,
    waiting,
)

__all__ = ["METHODS", "Candidate", "SearchResult", "search", "settable", "taken"]

Candidate = Callable[[dict[str, Any]], Any]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SearchResult:
    """What a search tried and found.

    Attributes
    ----------
    best_values : dict
        Values of the best trial; names that it left out keep the candidate's own default.
    best_score : float
        Its UAR over the folds, 0 to 1. The best of many is flattered: judge it on other speakers.
    table : list of dict
        A row a trial: ``number``, ``state`` (complete, pruned or failed), ``score`` (UAR over the
        folds that were run, None if failed), ``folds`` (how many were), ``seconds``, ``values``
        (dict) and ``error`` (text, empty unless failed).
    tried : int
        Rows of the table.
    left_out : int
        Points of the grid that were not tried; 0 for other methods.
    method : str
        One of `METHODS`.
    fingerprint : str
        SHA-256 of data and settings.
    """

    best_values: dict[str, Any]
    best_score: float
    table: list[dict[str, Any]]
    tried: int
    left_out: int
    method: str
    fingerprint: str


def settable(estimator: Any) -> Candidate:
    """Make candidates of an estimator by setting its parameters."""
    return lambda values: clone(estimator).set_params(**values)


def taken(estimator: Any, per_sample: Mapping[str, npt.ArrayLike]) -> dict[str, npt.ArrayLike]:
    """Keep the arguments that an estimator's `fit` takes, by name or as any keyword."""
    parameters = inspect.signature(estimator.fit).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return dict(per_sample)
    return {name: values for name, values in per_sample.items() if name in parameters}


def search(
    candidate: Candidate,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    space: Mapping[str, Any],
    *,
    method: str = "bayesian",
    trials: int = 30,
    folds: int = 5,
    start: Sequence[Mapping[str, Any]] = (),
    storage: str | Path | None = None,
    name: str = "search",
    about: str = "",
    random_state: int = 0,
    per_sample: Mapping[str, npt.ArrayLike] | None = None,
    augmented: Augmented | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SearchResult:
    """Try settings in speaker-grouped folds and say which gave the best UAR.

    Parameters
    ----------
    candidate : callable
        From a dict of values to an unfitted classifier; `settable` makes one.
    X : array_like
        Shape (samples, features).
    y, groups : array_like
        Shape (samples,), label and speaker; no speaker is ever on both sides.
    space : mapping
        As `serein.evaluation.search.space.read_space` takes it.
    method : str
        One of `METHODS`. ``halving`` stops a trial early that, after 1, 2, 4, … folds, is not in
        the better half of those that came as far.
    trials : int
        How many in all, earlier ones in the storage included; a grid may have fewer.
    folds : int
        Folds of speakers.
    start : sequence of mappings
        Values tried first. Names left out keep the candidate's default, so ``({},)`` puts the
        candidate as it stands into the table.
    storage : str or path, optional
        A file ending in ``.db`` or ``.journal``, or a storage URL of Optuna; in memory if not
        given. A file serves one search at a time; a database may be shared by several, which may
        then run a few trials more than `trials`. Where `serein.engine.running_on` runs trials side
        by side, they share a ``.journal``, which every machine must see, or a database.
    name : str
        Name of the search in its storage.
    about : str
        What else the scores depend on, such as the candidate's fixed settings, in words; a search
        about something else is not gone on with.
    random_state : int
        Seed of the deal into folds and of the choices, from 0.
    per_sample : mapping of array_like, optional
        More arguments of `fit`, a row a sample; left out where the candidate does not take them.
    augmented : Augmented, optional
        Augmented data; it joins the training part that its parent is in.
    progress : callable
        Called with (trials done, trials in all).

    Returns
    -------
    SearchResult
        The table of all trials and the best.

    Raises
    ------
    ProtocolError
        If the speakers do not allow the folds.
    ValueError
        If a setting is not allowed, the storage holds another search of that name, or every trial
        failed (the first trial's error).
    MissingExtraError
        If Optuna is not installed.
    """
    if method not in METHODS:
        raise ValueError(unknown_name("search method", method, METHODS))
    if trials < 1:
        raise ValueError(f"trials is {trials}; need at least 1")
    if random_state < 0:
        raise ValueError(f"random_state is {random_state}; need a whole number from 0")
    spans = read_space(space)
    fixed = [read_values(spans, values, "start") for values in start]
    points = grid(spans, random_state=random_state) if method == "grid" else []
    fixed += [point for point in points if point not in fixed]
    task = _task(X, y, groups, folds, random_state, per_sample or {}, augmented)
    fingerprint = _fingerprint(
        task,
        space={key: [type(span).__name__, span.plain()] for key, span in spans.items()},
        settings=[method, folds, random_state, about],
    )
    failures: list[ValueError] = []
    total = min(trials, len(fixed)) if method == "grid" else trials
    if side_by_side := parallel():
        check_shared(storage)
    with opened(storage, name, fingerprint, list(spans), method) as study:
        if side_by_side:
            one = _OneTrial(
                candidate, spans, task, method, random_state, fingerprint, name, storage
            )
            _run_side_by_side(study, one, fixed, total, progress)
        while (done := len(counted(study))) < total and put_next(study, fixed, method):
            progress(done, total)
            study.sampler = sampler(study, method, random_state)
            objective = _objective(candidate, spans, task, failures)
            study.optimize(objective, n_trials=1, catch=(ValueError,))
        progress(done, total)
        table = [_row(trial, spans) for trial in counted(study)]
    tried = {json.dumps(row.pop("labels")) for row in table}
    left_out = sum(json.dumps(point) not in tried for point in points)
    return _result(table, left_out, method, fingerprint, failures)


@dataclass(frozen=True)
class _OneTrial:
    """Runs one trial of a search in a process of its own, which opens the storage itself."""

    candidate: Candidate
    space: Space
    task: _Task
    method: str
    random_state: int
    fingerprint: str
    name: str
    storage: str | Path | None

    def __call__(self, before: int) -> None:
        names, storage = list(self.space), self.storage
        with opened(storage, self.name, self.fingerprint, names, self.method, helps=True) as study:
            if self.method == "grid" and not waiting(study):
                return
            study.sampler = sampler(study, self.method, self.random_state, before)
            objective = _objective(self.candidate, self.space, self.task, [])
            study.optimize(objective, n_trials=1, catch=(ValueError,))


def _run_side_by_side(
    study: Any,
    one: _OneTrial,
    fixed: list[dict[str, Any]],
    total: int,
    progress: Callable[[int, int], None],
) -> None:
    """Run the trials that are left on the engine; what a lost machine was at is put up again."""
    begun = len(counted(study))
    if begun < total:
        put_all(study, fixed)
    progress(begun, total)
    for done, _ in enumerate(each(one, range(begun, total)), start=begun + 1):
        progress(done, total)
    recover(study, one.storage)


@dataclass(frozen=True)
class _Task:
    """The data of a search, and how a candidate is scored on it."""

    X: Array
    labels: Array
    truth: npt.NDArray[np.intp]
    speakers: Array
    folds: list[Fold]
    per_sample: Mapping[str, npt.ArrayLike]
    augmented: Augmented | None

    def scores(self, estimator: Any) -> Iterator[float]:
        """Yield, after each fold, the UAR pooled over the folds so far."""
        answer = np.full(len(self.truth), -1)
        y, given = self.labels[self.truth], taken(estimator, self.per_sample)
        for train, test in self.folds:
            fitted = fit_part(
                estimator,
                self.X,
                y,
                self.speakers,
                train,
                per_sample=given,
                augmented=self.augmented,
            )
            answer[test] = np.searchsorted(self.labels, fitted.predict(self.X[test]))
            done = answer >= 0
            yield uar(self.truth[done], answer[done])


def _task(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    folds: int,
    random_state: int,
    per_sample: Mapping[str, npt.ArrayLike],
    augmented: Augmented | None,
) -> _Task:
    """Check the data and deal the folds, before any time is spent."""
    vectors, speakers = np.asarray(X), np.asarray(groups)
    labels, truth = np.unique(np.asarray(y), return_inverse=True)
    if not len(vectors) == len(truth) == len(speakers):
        raise ValueError(
            f"X, y and groups have {len(vectors)}, {len(truth)} and {len(speakers)} rows; need a "
            "label and a speaker for each sample"
        )
    if len(labels) < 2:
        raise ValueError(f"y has 1 class ({labels[0]}); a search needs samples of at least 2")
    names = labels.astype(str)
    dealt = speaker_k_fold(
        speakers.tolist(), names[truth].tolist(), folds=folds, random_state=random_state
    )
    check_folds(dealt, speakers, truth, names)
    return _Task(vectors, labels, truth, speakers, dealt, per_sample, augmented)


def _fingerprint(task: _Task, **settings: Any) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    arrays = {"X": task.X, "labels": task.labels, "y": task.truth, "groups": task.speakers}
    if task.augmented:
        arrays |= {"copies": task.augmented.X, "parents": task.augmented.parent}
    for name, values in sorted({**arrays, **task.per_sample}.items()):
        array = np.asarray(values)
        content = repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + content)
    return digest.hexdigest()


def _objective(
    candidate: Candidate, space: Space, task: _Task, failures: list[ValueError]
) -> Callable[[Any], float]:
    from optuna import TrialPruned

    def objective(trial: Any) -> float:
        names = trial.user_attrs.get("given", space)
        values = {name: space[name].ask(name, trial) for name in space if name in names}
        score = 0.0
        try:
            for step, score in enumerate(task.scores(candidate(values)), start=1):
                trial.report(score, step)
                if step < len(task.folds) and trial.should_prune():
                    raise TrialPruned
        except ValueError as error:
            trial.set_user_attr("error", str(error) or type(error).__name__)
            failures.append(error)
            raise
        return score

    return objective


def _row(trial: Any, space: Space) -> dict[str, Any]:
    steps = trial.intermediate_values
    failed = trial.state.name == "FAIL"
    labels = {name: trial.params[name] for name in space if name in trial.params}
    return {
        "number": trial.number,
        "state": {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name],
        "score": None if failed else steps[max(steps)],
        "folds": len(steps),
        "seconds": trial.duration.total_seconds(),
        "values": {name: space[name].value(label) for name, label in labels.items()},
        "error": trial.user_attrs.get("error", ""),
        "labels": labels,
    }


def _result(
    table: list[dict[str, Any]],
    left_out: int,
    method: str,
    fingerprint: str,
    failures: list[ValueError],
) -> SearchResult:
    complete = [row for row in table if row["state"] == "complete"]
    if not complete:  # a storage keeps the message only
        raise failures[0] if failures else ValueError(table[0]["error"])
    best = max(complete, key=lambda row: row["score"])  # the first of equals
    return SearchResult(
        best["values"], best["score"], table, len(table), left_out, method, fingerprint
    )
