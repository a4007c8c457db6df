from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from filelock import FileLock
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from serein.errors import MissingExtraError, ProtocolError, ResultsError
from serein.evaluation.cross_validation import Augmented
from serein.evaluation.search import study as study_module
from serein.evaluation.search.search import (
    METHODS,
    SearchResult,
    candidates_of,
    fit_arguments,
    search,
)

SPACE = {"a": {"low": 0.0, "high": 1.0}, "b": {"low": 0.0, "high": 1.0}}


class Bump(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Right on the share of samples that a smooth bump around (0.7, 0.3) says; learns nothing."""

    seen: tuple[list[Any], ...] = ([], [])
    killed_after: int | None = None

    def __init__(self, a: float = 0.1, b: float = 0.1, c: str = "", limit: float = 2.0) -> None:
        self.a = a
        self.b = b
        self.c = c
        self.limit = limit

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Bump:
        if Bump.killed_after is not None:
            Bump.killed_after -= 1
            if Bump.killed_after < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        if self.a > self.limit:
            raise ValueError(f"a of {self.a} is over {self.limit}")
        self.classes_ = np.unique(y)
        Bump.seen[0].append((X, y, groups, sample_weight))
        return self

    def predict(self, X: Any) -> Any:
        Bump.seen[1].append(X)
        quality = np.exp(-3 * ((self.a - 0.7) ** 2 + (self.b - 0.3) ** 2))
        right = X[:, 1] < quality
        return self.classes_[np.where(right, X[:, 0], 1 - X[:, 0]).astype(int)]


def data(speakers: int = 6, each: int = 40) -> tuple[Any, Any, Any]:
    """Columns of X: the class, a place on 0 to 1, the speaker, the row."""
    count = speakers * each
    y, groups = np.arange(count) % 2, np.arange(count) // each
    place = np.random.default_rng(0).permutation(count) / count
    return np.stack([y, place, groups, np.arange(count)], axis=1), y, groups


def run(space: Any = SPACE, estimator: Any = None, **options: Any) -> SearchResult:
    options = {"folds": 3, "trials": 8} | options
    return search(candidates_of(estimator or Bump()), *data(), space, **options)


def comparable(result: SearchResult) -> list[Any]:
    """All rows but for what may differ between two runs."""
    return [{**row, "number": None, "seconds": None} for row in result.table]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    for each in Bump.seen:
        each.clear()


# --- what is tried ---


def test_the_table_has_every_trial():
    calls = []
    result = run(start=({"a": 0.7, "b": 0.3}, {}), progress=lambda *call: calls.append(call))
    assert result.tried == len(result.table) == 8
    assert [row["number"] for row in result.table] == list(range(8))
    assert set(result.table[0]) == {
        *("number", "state", "score", "folds", "seconds", "values", "error"),
    }
    assert result.table[0]["values"] == result.best_values == {"a": 0.7, "b": 0.3}
    assert result.best_score == result.table[0]["score"] == 1.0
    assert result.table[1]["values"] == {}  # the estimator as it stands, a = b = 0.1
    share = np.mean(data()[0][:, 1] < np.exp(-3 * (0.36 + 0.04)))
    assert result.table[1]["score"] == pytest.approx(share, abs=0.02)
    assert all(row["folds"] == 3 and row["state"] == "complete" for row in result.table)
    assert all(row["seconds"] > 0 and row["error"] == "" for row in result.table)
    assert calls == [(done, 8) for done in range(9)]
    assert (result.method, result.left_out, len(result.fingerprint)) == ("bayesian", 0, 64)


def test_the_first_of_equals_is_best():
    result = run({"c": ["x", "y", "z"]}, method="grid")
    assert result.best_values == result.table[0]["values"]


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_table(method: str):
    first, again, other = (run(method=method, random_state=seed) for seed in (0, 0, 1))
    assert comparable(first) == comparable(again)
    values = [{tuple(row["values"].values()) for row in each.table} for each in (first, other)]
    assert len(values[0] & values[1]) <= 4 if method == "grid" else not values[0] & values[1]
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_grid_tries_each_point_once():
    space = {"a": {"low": 0.0, "high": 1.0}, "c": ["x", "y"], "b": {"low": 0.0, "high": 1.0}}
    space["b"] |= {"steps": 3}
    result = run(space, method="grid", trials=100, start=({"a": 0.5, "c": "x", "b": 0.5}, {}))
    points = {tuple(row["values"].values()) for row in result.table}
    assert result.tried == len(points) == 5 * 2 * 3 + 1  # with the estimator as it stands
    assert result.left_out == 0
    assert {point[0] for point in points if point} == {0.0, 0.25, 0.5, 0.75, 1.0}


def test_a_grid_cut_short_says_so_and_goes_on(tmp_path: Path):
    space = {"a": {"low": 0.0, "high": 1.0, "steps": 3}, "c": ["x", "y"]}
    kept: dict[str, Any] = {"method": "grid", "storage": tmp_path / "grid.db", "folds": 2}
    first = run(space, trials=4, **kept)
    assert (first.tried, first.left_out) == (4, 2)
    whole = run(space, trials=100, **kept)
    assert (whole.tried, whole.left_out) == (6, 0)
    assert whole.table[:4] == first.table
    assert len({tuple(row["values"].values()) for row in whole.table}) == 6


def test_random_draws_from_the_whole_space():
    space = {"a": {"low": 1e-3, "high": 1.0, "log": True}, "c": [["x", "y"], "z"]}
    rows = run(space, method="random", trials=60).table
    drawn = np.log10([row["values"]["a"] for row in rows])
    assert np.histogram(drawn, bins=3, range=(-3, 0))[0].min() > 10
    assert {row["values"]["c"] for row in rows} == {("x", "y"), "z"}


def test_whole_numbers_stay_whole():
    rows = run({"a": {"low": 1, "high": 64, "log": True}}, Bump(limit=99), method="random").table
    assert all(isinstance(row["values"]["a"], int) for row in rows)


def test_bayesian_learns_where_random_does_not():
    gain = {"bayesian": [], "random": []}
    for method, gains in gain.items():
        for seed in range(3):
            rows = run(method=method, trials=30, random_state=seed, start=({},)).table
            scores = [row["score"] for row in rows]
            gains.append(np.mean(scores[-10:]) - np.mean(scores[:10]))
    assert min(gain["bayesian"]) > 0.05
    assert np.mean(gain["bayesian"]) > 2 * abs(np.mean(gain["random"]))


def test_halving_stops_the_worse_half_early():
    result = run(method="halving", trials=24, folds=5)
    by_folds: dict[int, list[Any]] = {}
    for row in result.table:
        by_folds.setdefault(row["folds"], []).append(row)
    assert {1, 2, 5} <= set(by_folds) <= {1, 2, 4, 5}  # rungs, and those that passed them all
    for row in result.table:
        assert row["state"] == ("complete" if row["folds"] == 5 else "pruned")
    assert len(by_folds[1]) > 8
    assert len(Bump.seen[0]) == sum(row["folds"] for row in result.table) < 24 * 5 / 2
    best = max(by_folds[5], key=lambda row: row["score"])
    assert result.best_values == best["values"]
    assert result.best_score > np.median([row["score"] for row in by_folds[1]])


# --- how it is judged ---


def test_no_speaker_is_on_both_sides():
    run(folds=4)
    fits, tests = Bump.seen
    assert len(fits) == len(tests) == 8 * 4
    for (X, y, groups, _), test in zip(fits, tests, strict=True):
        assert not set(X[:, 2]) & set(test[:, 2])
        np.testing.assert_array_equal(groups, X[:, 2])
        np.testing.assert_array_equal(y, X[:, 0])
        assert set(X[:, 3]) | set(test[:, 3]) == set(range(240))


def test_arguments_go_by_rows_to_those_that_take_them():
    rows = {"sample_weight": np.arange(240.0) + 1, "label_set": ["a"] * 240}
    run(trials=2, per_sample=rows)
    for X, _, _, weight in Bump.seen[0]:
        np.testing.assert_array_equal(weight, X[:, 3] + 1)
    assert fit_arguments(KNeighborsClassifier(), rows) == {}
    assert set(fit_arguments(make_pipeline(SVC()), rows)) == set(rows)
    neighbours = {"n_neighbors": [1, 3]}
    assert run(neighbours, KNeighborsClassifier(), method="grid", per_sample=rows).tried == 2


def test_copies_stay_with_their_parents():
    X, _, _ = data()
    augmented = Augmented(X[:50] + np.array([0, 0, 0, 1000]), np.arange(50))
    run(trials=1, augmented=augmented)
    for part, _, _, _ in Bump.seen[0]:
        rows = part[:, 3]
        assert set(rows[rows >= 1000] - 1000) == {row for row in rows if row < 50}
    assert all(test[:, 3].max() < 1000 for test in Bump.seen[1])


def test_a_failing_candidate_is_kept_and_the_search_goes_on(capfd: pytest.CaptureFixture[str]):
    loudness = optuna.logging.get_verbosity()
    result = run(method="random", trials=20, estimator=Bump(limit=0.5))
    states = {row["values"]["a"] > 0.5: row["state"] for row in result.table}
    assert states == {True: "failed", False: "complete"}
    for row in result.table:
        if row["state"] == "failed":
            assert row["error"] == f"a of {row['values']['a']} is over 0.5"
            assert (row["score"], row["folds"]) == (None, 0)
    assert result.tried == 20
    assert result.best_values["a"] <= 0.5
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == loudness


def test_if_all_fail_the_first_error_is_raised(tmp_path: Path):
    kept: dict[str, Any] = {"storage": tmp_path / "s.db", "trials": 2, "start": ({"a": 0.25},)}
    for _ in range(2):  # the second run only reads the storage
        with pytest.raises(ValueError, match=r"a of 0\.25 is over -1"):
            run(estimator=Bump(limit=-1), **kept)
    with pytest.raises(ValueError, match="Invalid parameter 'aa'"):
        run({"aa": [1, 2]})


def test_other_errors_end_the_search_and_lose_nothing(tmp_path: Path):
    start = ({"a": 0.5, "b": 0.5},)
    options: dict[str, Any] = {"trials": 4, "folds": 2, "start": start}
    calls: list[Any] = []

    def candidate(values: dict[str, Any]) -> Bump:
        calls.append(values)
        if len(calls) in {1, 4}:
            raise KeyboardInterrupt
        return Bump(**values)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            search(candidate, *data(), SPACE, storage=tmp_path / "s.db", **options)
    resumed = search(candidate, *data(), SPACE, storage=tmp_path / "s.db", **options)
    assert comparable(resumed) == comparable(run(**options))
    assert calls[0] == calls[1]
    assert calls[3] == calls[4]


# --- killed and resumed ---

RESUMED: dict[str, Any] = {"folds": 2, "start": ({"a": 0.5, "b": 0.5}, {})}
TRIALS = {method: 7 for method in METHODS} | {"bayesian": 13}  # it draws at random before the 11th


def be_killed(folder: str) -> None:
    """Be killed, by each method, in the first start trial and again far in the search."""
    run(storage="sqlite://", trials=1)  # imports what the children would each import
    for method, trials in TRIALS.items():
        for fits in (1, 23 if method == "bayesian" else 7):
            child = os.fork()
            if child == 0:
                Bump.killed_after = fits
                storage = Path(folder) / f"{method}.db"
                run(method=method, trials=trials, storage=storage, **RESUMED)
                os._exit(0)
            if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
                raise SystemExit(f"{method} came to its end")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, __file__, str(folder)], check=True, timeout=120)
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_search_loses_no_trial_and_repeats_none(killed: Path, method: str):
    file, options = killed / f"{method}.db", {"method": method, "trials": TRIALS[method]}
    with sqlite3.connect(file) as database:
        states = [state for (state,) in database.execute("SELECT state FROM trials")]
    assert states.count("RUNNING") == 1
    assert states.count("FAIL") == 1
    assert states.count("COMPLETE") + states.count("PRUNED") >= 3
    resumed = run(storage=file, **options, **RESUMED)
    assert comparable(resumed) == comparable(run(**options, **RESUMED))
    assert resumed.tried == TRIALS[method]
    fitted = len(Bump.seen[0])
    assert run(storage=f"sqlite:///{file}", **options, **RESUMED) == resumed
    assert len(Bump.seen[0]) == fitted


@pytest.mark.parametrize("drawn", [0, 1])
def test_a_trial_killed_while_drawing_is_drawn_again(tmp_path: Path, drawn: int):
    file = tmp_path / "s.db"
    run(storage=file, trials=2, folds=2)
    trial = optuna.load_study(study_name="search", storage=f"sqlite:///{file}").ask()
    for name in list(SPACE)[:drawn]:
        trial.suggest_float(name, 0.0, 1.0)
    options = {"trials": 3, "folds": 2}
    assert comparable(run(storage=file, **options)) == comparable(run(**options))


def test_trials_interrupted_do_not_compete_in_halving(tmp_path: Path):
    options: dict[str, Any] = {"method": "halving", "trials": 6}
    file, pruner = tmp_path / "s.db", optuna.pruners.SuccessiveHalvingPruner(1, 2)
    run(storage=file, **options | {"trials": 2})
    url = f"sqlite:///{file}"
    study = optuna.load_study(study_name="search", storage=url, pruner=pruner)
    for _ in range(5):
        trial = study.ask()
        trial.report(1.0, 1)  # better than all, and then killed
        trial.should_prune()
    assert comparable(run(storage=file, **options)) == comparable(run(**options))


def test_in_a_shared_storage_the_living_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of two trials running elsewhere, the one whose heart stopped is run again."""
    monkeypatch.setattr(study_module, "_has_heartbeats", lambda url: True)
    file = tmp_path / "s.db"
    point, other = {"a": 0.5, "b": 0.25}, {"a": 0.25, "b": 0.5}
    run(storage=file, trials=1)
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{file}")
    for given in (point, other):
        study.enqueue_trial(given, user_attrs={"given": given})
        trial = study.ask()
        for name in SPACE:
            trial.suggest_float(name, 0.0, 1.0)
    with sqlite3.connect(file) as database:
        beat = "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (?, datetime('now', ?))"
        database.executemany(beat, [(2, "-1 day"), (3, "-0 second")])
    values = [row["values"] for row in run(storage=file, trials=6).table]
    assert values.count(point) == 1
    assert values.count(other) == 0
    assert len(values) == 6


@pytest.mark.parametrize("suffix", [".db", ".journal"])
def test_a_storage_that_is_no_search_is_refused_and_not_touched(tmp_path: Path, suffix: str):
    """Neither are links followed, nor files believed that others may write."""
    notes, storage = tmp_path / "notes", tmp_path / f"s{suffix}"
    notes.write_text("mine")
    storage.symlink_to(notes)
    with pytest.raises(ResultsError, match="is a link"):
        run(storage=storage, trials=1)
    storage.unlink()
    storage.write_text("not a search")
    with pytest.raises(ResultsError, match="is no search of serein"):
        run(storage=storage, trials=1)
    assert (notes.read_text(), storage.read_text()) == ("mine", "not a search")
    storage.unlink()
    first = run(storage=storage, trials=1)
    assert run(storage=storage, trials=1) == first
    if os.name != "nt":
        assert storage.stat().st_mode & 0o777 == 0o600
        storage.chmod(0o666)
        with pytest.raises(ResultsError, match="others own or may write it"):
            run(storage=storage, trials=1)


@pytest.mark.parametrize("suffix", [".db", ".journal"])
def test_a_storage_serves_one_search_at_a_time(tmp_path: Path, suffix: str):
    file = tmp_path / f"s{suffix}"
    with FileLock(f"{file}.held"), pytest.raises(ResultsError, match="another search is using it"):
        run(storage=file, trials=1)
    assert not file.exists()
    with study_module.held(file):  # a command holds it before its search does
        assert run(storage=file, trials=1).tried == 1


def test_two_searches_share_a_storage_by_name(tmp_path: Path):
    file = tmp_path / "new folder" / "s.db"
    first, other = (run(storage=file, name=name, trials=2) for name in ("one", "two"))
    assert comparable(first) == comparable(other)
    assert run(storage=file, name="one", trials=3).table[:2] == first.table


@pytest.mark.parametrize(
    "changed",
    [
        {"space": {**SPACE, "b": {"low": 0.0, "high": 0.9}}},
        {"space": {"a": SPACE["a"]}},
        {"method": "random"},
        {"folds": 2},
        {"random_state": 1},
        {"about": "another estimator"},
        {"per_sample": {"sample_weight": np.ones(240)}},
        {"augmented": Augmented(np.zeros((1, 4)), np.array([0]))},
    ],
)
def test_a_storage_with_other_settings_is_refused(tmp_path: Path, changed: dict[str, Any]):
    file = tmp_path / "s.db"
    run(storage=file, trials=1)
    with pytest.raises(ValueError, match="a search 'search' of other data or settings: give anoth"):
        run(**{"storage": file, **changed})


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_storage_with_other_data_is_refused(tmp_path: Path, which: int):
    file, arrays = tmp_path / "s.db", list(data())
    run(storage=file, trials=1)
    arrays[which] = arrays[which].copy()
    arrays[which][-1] -= 1
    with pytest.raises(ValueError, match="of other data or settings"):
        search(candidates_of(Bump()), *arrays, SPACE, storage=file, folds=3)


def test_searches_of_version_0_1_are_resumed():
    """Their storages hold this fingerprint, computed with that version."""
    X, y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
    result = search(
        candidates_of(KNeighborsClassifier()),
        *(X, y, np.arange(12) // 4),
        {
            "n_neighbors": {"low": 1, "high": 3},
            "weights": ["uniform", "distance"],
            "p": {"low": 1.0, "high": 2.0, "log": True, "steps": 3},
        },
        **{"method": "random", "trials": 1, "folds": 2, "about": "x"},
        per_sample={"sample_weight": np.ones(12)},
        augmented=Augmented(X[:4], np.arange(4)),
    )
    before = "d9a5bcaeea263522915312cd2a3a90ef6fbe803a27d3910549c9fac58cf8bafe"
    assert result.fingerprint == before


# --- what is refused ---


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"method": "bayes"}, ValueError, "unknown search method 'bayes'; known: bayesian, "),
        ({"random_state": -1}, ValueError, "random_state is -1; allowed: 0 or more"),
        ({"trials": 0}, ValueError, "trials is 0; allowed: 1 or more"),
        ({"folds": 7}, ProtocolError, "7 folds of 6 speakers; allowed: 2 to 6 folds"),
        ({"space": {}}, ValueError, "the search space is"),
        ({"start": ({"aa": 1},)}, ValueError, "start: unknown parameter 'aa'; known: a, b"),
        ({"start": ({"a": 2},)}, ValueError, "start: a is 2; allowed: 0.0 to 1.0"),
        ({"storage": "s.sqlite"}, ValueError, "ending in .db or .journal, or a URL"),
    ],
)
def test_settings_that_are_refused(changed: dict[str, Any], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        run(**changed)
    assert not Bump.seen[0]


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"y": np.zeros(240)}, ValueError, r"y has 1 class \(0.0\); a search needs samples of"),
        ({"y": np.arange(240) == 0}, ProtocolError, "of which its training part has no clip"),
        ({"groups": np.zeros(240)}, ProtocolError, "3 folds of 1 speaker; give 2 speakers or more"),
        ({"groups": np.zeros(239)}, ValueError, "have 240, 240 and 239 rows; need a label and"),
    ],
)
def test_data_that_is_refused(changed: dict[str, Any], error: type[Exception], message: str):
    given = dict(zip(("X", "y", "groups"), data(), strict=True)) | changed
    with pytest.raises(error, match=message):
        search(candidates_of(Bump()), space=SPACE, folds=3, **given)
    assert not Bump.seen[0]


def test_without_optuna_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'serein\[train\]'"):
        run()


# --- real recordings ---


@pytest.mark.slow
def test_bayesian_search_beats_the_default_on_emodb(corpora_dir: Path, tmp_path: Path):
    from serein.corpora import Corpus
    from serein.features.extractor import FeatureExtractor

    if not (corpora_dir / "emodb").is_dir():
        pytest.skip(f"emodb corpus not found at {corpora_dir}; set SEREIN_CORPORA")
    corpus = Corpus.load("emodb", corpora_dir)
    X = FeatureExtractor(["mfcc"], cache=tmp_path).transform(corpus.paths)
    result = search(
        candidates_of(make_pipeline(StandardScaler(), SVC())),
        X,
        [each.emotion for each in corpus],
        [each.speaker for each in corpus],
        {
            "svc__C": {"low": 0.01, "high": 1000.0, "log": True},
            "svc__gamma": {"low": 1e-5, "high": 1.0, "log": True},
        },
        trials=15,
        start=({},),
    )
    default = result.table[0]
    assert default["values"] == {}
    assert result.best_score > default["score"] + 0.01
    assert result.tried == 15
    print(f"default {default['score']:.4f}, best {result.best_score:.4f}, {result.best_values}")


if __name__ == "__main__":
    be_killed(sys.argv[1])
