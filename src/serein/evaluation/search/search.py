"""Hyperparameter search of an estimator, scored on unseen speakers.

Grid, random, halving and Bayesian search (Optuna). With a storage, a search that was killed
resumes: no trial is lost and none counts twice. The sampler is seeded anew for every trial from
`random_state` and the number of trials tried, so a killed and resumed search tries the same values,
with the same scores, as one never killed (one process; the same versions of all packages). In
parallel, a Bayesian search knows fewer scores when it chooses, and the order of trials may differ.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from serein.engine import each, parallel
from serein.errors import SettingError, check_name, check_range
from serein.evaluation.cross_validation import Augmented, fit_part
from serein.evaluation.metrics import uar
from serein.evaluation.protocol import Fold, check_folds, speaker_k_fold
from serein.evaluation.search.space import Space, grid, read_space, read_values
from serein.evaluation.search.study import (
    METHODS,
    check_shared_storage,
    enqueue_all,
    enqueue_next,
    finished_trials,
    halving_stops,
    held,
    make_sampler,
    open_study,
    queued_trials,
    requeue_interrupted,
)

__all__ = ["METHODS", "Candidate", "SearchResult", "candidates_of", "fit_arguments", "search"]

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
        Its UAR over the folds, 0 to 1. The best of many is optimistic: evaluate it on others.
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


def candidates_of(estimator: Any) -> Candidate:
    """Make candidates of an estimator by setting its parameters."""
    return lambda values: clone(estimator).set_params(**values)


def fit_arguments(
    estimator: Any, per_sample: Mapping[str, npt.ArrayLike]
) -> dict[str, npt.ArrayLike]:
    """Keep the arguments that an estimator's `fit` takes, by name or as any keyword."""
    parameters = inspect.signature(estimator.fit).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
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
    """Try settings in speaker-grouped folds and find those of the best UAR.

    Parameters
    ----------
    candidate : callable
        From a dict of values to an unfitted classifier; `candidates_of` makes one.
    X : array_like
        Shape (samples, features).
    y, groups : array_like
        Shape (samples,), label and speaker; no speaker is both in training and in test.
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
        Values tried first. Names left out keep the candidate's default, so ``({},)`` tries the
        candidate as it is.
    storage : str or path, optional
        A file ending in ``.db`` or ``.journal``, or a storage URL of Optuna; in memory if not
        given. A file serves one process at a time; a database may be shared by several, which may
        then run a few trials more than `trials`. Where `serein.engine.running_on` runs trials in
        parallel, they share a ``.journal``, which every machine must see, or a database.
    name : str
        Name of the search in its storage.
    about : str
        What else the scores depend on, such as the candidate's fixed settings, in words; a search
        about something else is not resumed.
    random_state : int
        Seed of the folds and of the choices, from 0.
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
    SettingError
        If a setting is not allowed, the storage holds another search of that name, or every trial
        failed (the first trial's error).
    MissingExtraError
        If Optuna is not installed.
    """
    check_name("search method", method, METHODS)
    check_range("trials", trials, 1, inf)
    check_range("random_state", random_state, 0, inf)
    spans = read_space(space)
    fixed = [read_values(spans, values, "start") for values in start]
    points = grid(spans, random_state=random_state) if method == "grid" else []
    fixed += [point for point in points if point not in fixed]
    task = _task(X, y, groups, folds, random_state, per_sample or {}, augmented)
    fingerprint = _fingerprint(
        task,
        space={key: span.plain() for key, span in spans.items()},
        settings=[method, folds, random_state, about],
    )
    failures: list[ValueError] = []
    total = min(trials, len(fixed)) if method == "grid" else trials
    trial = _Trial(candidate, spans, task, method, random_state, failures)
    in_parallel = parallel()
    if in_parallel:
        check_shared_storage(storage)
    with held(storage), open_study(storage, name, fingerprint, list(spans)) as study:
        if in_parallel:
            worker = _Worker(replace(trial, failures=[]), fingerprint, name, storage)
            _run_in_parallel(study, worker, fixed, total, progress)
        while (done := len(finished_trials(study))) < total and enqueue_next(study, fixed, method):
            progress(done, total)
            trial.run(study)
        progress(done, total)
        table = [_row(each_trial, spans) for each_trial in finished_trials(study)]
    tried = {json.dumps(row.pop("labels")) for row in table}
    left_out = sum(json.dumps(point) not in tried for point in points)
    return _result(table, left_out, method, fingerprint, failures)


@dataclass(frozen=True)
class _Trial:
    """Runs one trial of a search: asks for values, and scores the candidate fold by fold."""

    candidate: Candidate
    space: Space
    task: _Task
    method: str
    random_state: int
    failures: list[ValueError]

    def run(self, study: Any, before: int | None = None) -> None:
        study.sampler = make_sampler(study, self.method, self.random_state, before)
        study.optimize(self._objective, n_trials=1, catch=(ValueError,))

    def _objective(self, trial: Any) -> float:
        from optuna import TrialPruned

        names = trial.user_attrs.get("given", self.space)
        values = {name: self.space[name].ask(name, trial) for name in self.space if name in names}
        score = 0.0
        try:
            for step, score in enumerate(self.task.scores(self.candidate(values)), start=1):
                trial.report(score, step)
                last = step == len(self.task.folds)
                if (
                    self.method == "halving"
                    and not last
                    and halving_stops(trial.study, step, score)
                ):
                    raise TrialPruned
        except ValueError as error:
            trial.set_user_attr("error", str(error) or type(error).__name__)
            self.failures.append(error)
            raise
        return score


@dataclass(frozen=True)
class _Worker:
    """Runs one trial in a process of its own, which opens the storage itself."""

    trial: _Trial
    fingerprint: str
    name: str
    storage: str | Path | None

    def __call__(self, before: int) -> None:
        names = list(self.trial.space)
        with open_study(self.storage, self.name, self.fingerprint, names, resume=False) as study:
            if self.trial.method != "grid" or queued_trials(study):
                self.trial.run(study, before)


def _run_in_parallel(
    study: Any,
    worker: _Worker,
    fixed: list[dict[str, Any]],
    total: int,
    progress: Callable[[int, int], None],
) -> None:
    """Run the trials that are left on the engine; those of a lost machine are re-enqueued."""
    begun = len(finished_trials(study))
    if begun < total:
        enqueue_all(study, fixed)
    progress(begun, total)
    for done, _ in enumerate(each(worker, range(begun, total)), start=begun + 1):
        progress(done, total)
    requeue_interrupted(study, worker.storage)


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
        prediction = np.full(len(self.truth), -1)
        y, given = self.labels[self.truth], fit_arguments(estimator, self.per_sample)
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
            prediction[test] = np.searchsorted(self.labels, fitted.predict(self.X[test]))
            done = prediction >= 0
            yield uar(self.truth[done], prediction[done])


def _task(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    folds: int,
    random_state: int,
    per_sample: Mapping[str, npt.ArrayLike],
    augmented: Augmented | None,
) -> _Task:
    """Check the data and make the folds, before any time is spent."""
    vectors, speakers = np.asarray(X), np.asarray(groups)
    labels, truth = np.unique(np.asarray(y), return_inverse=True)
    if not len(vectors) == len(truth) == len(speakers):
        raise SettingError(
            f"X, y and groups have {len(vectors)}, {len(truth)} and {len(speakers)} rows; need a "
            "label and a speaker for each sample"
        )
    if len(labels) < 2:
        raise SettingError(f"y has 1 class ({labels[0]}); a search needs samples of at least 2")
    names = labels.astype(str)
    split = speaker_k_fold(
        speakers.tolist(), names[truth].tolist(), folds=folds, random_state=random_state
    )
    check_folds(split, speakers, truth, names)
    return _Task(vectors, labels, truth, speakers, split, per_sample, augmented)


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
        raise failures[0] if failures else SettingError(table[0]["error"])
    best = max(complete, key=lambda row: row["score"])  # the first of equals
    return SearchResult(
        best["values"], best["score"], table, len(table), left_out, method, fingerprint
    )
