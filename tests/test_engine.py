from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from serein import engine as engine_module
from serein.bulk.object_store import fetch, list_objects
from serein.engine import each, parallel, running_on, usable_cores
from serein.errors import AudioError, EngineError, SettingError
from serein.evaluation.cross_validation import cross_validate
from serein.evaluation.protocol import leave_one_speaker_out
from serein.evaluation.search.search import candidates_of, search
from serein.recordings import is_url


def process_and_square(number: int) -> tuple[int, int]:
    return os.getpid(), number * number


def clips() -> tuple[Any, list[str], list[str]]:
    generator = np.random.default_rng(0)
    labels = [str(label) for label in np.tile(["anger", "sadness"], 40)]
    X = generator.normal(size=(80, 3)).astype(np.float32)
    X[:, 0] += np.where(np.array(labels) == "anger", 1, 0)
    return X, labels, [str(speaker) for speaker in np.repeat(range(4), 20)]


def test_the_order_is_that_of_the_items_wherever_they_run() -> None:
    here = list(each(process_and_square, range(9)))
    assert {process for process, _ in here} == {os.getpid()}
    with running_on("local", jobs=2):
        assert parallel()
        there = list(each(process_and_square, range(9)))
    assert not parallel()
    assert [square for _, square in there] == [square for _, square in here]
    assert os.getpid() not in {process for process, _ in there}


GROWS = """
import sys
import time
from serein.engine import each

def grown(number):
    if number > 1:
        sys.kept = b"x" * 320_000_000  # as a module stays
    time.sleep(0.6)
    return number

print(list(each(grown, range(8), jobs=2)))
"""


def test_a_worker_that_grew_is_replaced_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "grows.py").write_text(GROWS)
    done = subprocess.run(
        [sys.executable, tmp_path / "grows.py"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{[*range(8)]}\n"
    assert done.stderr == ""


def test_folds_side_by_side_give_the_same_answers() -> None:
    X, y, speakers = clips()
    folds = leave_one_speaker_out(speakers)

    def judged() -> Any:
        fitted = cross_validate(GaussianNB(), X, y, speakers, folds, protocol="by speaker")
        return fitted.predict(X).probabilities

    alone = judged()
    with running_on("local", jobs=2):
        assert np.array_equal(judged(), alone)


@pytest.mark.parametrize("method", ["random", "grid"])
def test_trials_side_by_side_try_the_same_values(method: str, tmp_path: Path) -> None:
    X, y, speakers = clips()
    span: dict[str, Any] = {"random": {"low": 1e-9, "high": 1.0, "log": True}}
    space = {"var_smoothing": span.get(method, [1e-9, 1e-3, 1e-1, 1.0])}

    def table(storage: Path | None) -> list[tuple[float, float]]:
        found = search(
            candidates_of(GaussianNB()), X, y, speakers, space,
            method=method, trials=6, folds=2, storage=storage,
        )  # fmt: skip
        return sorted((row["values"]["var_smoothing"], row["score"]) for row in found.table)

    alone = table(None)
    assert len({value for value, _ in alone}) == len(alone)
    with running_on("local", jobs=2):
        assert table(tmp_path / "shared.journal") == alone
        with pytest.raises(ValueError, match="one that they share"):
            table(tmp_path / "own.db")
    assert table(tmp_path / "shared.journal") == alone


def as_a_line(message: Warning | str, *_: object, **__: object) -> str:
    return f"line: {message}\n"


def test_other_processes_write_warnings_as_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", as_a_line)
    sent = engine_module._guard(process_and_square)
    monkeypatch.setattr(warnings, "formatwarning", None)
    assert sent(3) == (os.getpid(), 9)
    assert warnings.formatwarning is as_a_line


def test_engines_that_cannot_be() -> None:
    with pytest.raises(EngineError, match="unknown engine 'dask'"), running_on("dask"):
        pass
    for jobs in (0, -5):
        with pytest.raises(SettingError, match=f"jobs is {jobs}; allowed: 1 or more, or -1"):
            each(abs, [1], jobs=jobs)
        with pytest.raises(SettingError, match=f"jobs is {jobs}"), running_on(jobs=jobs):
            pass
    with pytest.raises(EngineError, match="leave --jobs out"), running_on("ray", jobs=2):
        pass
    with pytest.raises(EngineError, match="say --engine ray"), running_on(address="a:1"):
        pass


def test_objects_are_told_from_paths_and_read(tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="pip install 'serein[scale]'")
    assert is_url("s3://bucket/a.wav")
    assert not is_url("folder/a.wav")
    assert not is_url(r"C:\a.wav")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "notes.txt").write_text("nothing")
    url = tmp_path.as_uri()
    assert list_objects(url) == [f"{url}/a.wav"]
    assert fetch(f"{url}/a.wav", 4).read() == b"RIFF"
    with pytest.raises(AudioError, match="has 4 bytes; allowed: 3"):
        fetch(f"{url}/a.wav", 3)
    with pytest.raises(AudioError, match="nothing is there"):
        fetch(f"{url}/b.wav", 4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no recording there"):
        list_objects(f"{url}/empty")
    with pytest.raises(AudioError, match="strange://x: cannot be read"):
        list_objects("strange://x")


def test_no_more_workers_than_cores_that_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(engine_module, "QUOTA_FILES", ((str(tmp_path / "gone"),), (str(quota),)))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5, 7}, raising=False)
    assert usable_cores() == 4
    for text, cores in (("150000 100000", 2), ("max 100000", 4), ("1000 100000", 1), ("x", 4)):
        quota.write_text(text)
        assert usable_cores() == cores, text
    quota.write_text("-1\n100000\n")  # as of cgroups of version 1, without a quota
    assert usable_cores() == 4


ENDLESS = """
import sys, time
from serein.engine import each, running_on
def work(seconds):
    time.sleep(seconds)
    return seconds
if __name__ == "__main__":
    with running_on("local", jobs=2):
        for _ in each(work, [0.1] * 1000, lost=len if sys.argv[1] == "lost" else None):
            print("works", flush=True)
"""


def session_of(process: subprocess.Popen[str]) -> list[str]:
    """Name what still runs in the session that a process began."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = status.read_text().rsplit(")", 1)
        except OSError:  # it has just ended
            continue
        if int(fields.split()[3]) == process.pid and fields.split()[0] != "Z":
            found.append(name)
    return found


LATE = """
import platform, sys, time
from serein.engine import _end_with
_end_with(int(sys.argv[1]), platform.node())
time.sleep(60)
"""


def test_a_worker_ends_whose_parent_died_before_its_first_item() -> None:
    parent = subprocess.Popen([sys.executable, "-c", ""])
    parent.wait()
    worker = subprocess.run([sys.executable, "-c", LATE, str(parent.pid)], timeout=30, check=False)
    assert worker.returncode == 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize(
    ("way", "number"),
    [("plain", signal.SIGTERM), ("plain", signal.SIGKILL), ("lost", signal.SIGTERM)],
)
def test_a_killed_job_leaves_no_worker_and_no_warning(
    way: str, number: signal.Signals, tmp_path: Path
) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    log = tmp_path / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, str(script), way],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    assert process.stdout.readline() == "works\n"
    process.send_signal(number)
    process.stdout.close()
    assert process.wait(10) == -number
    end = time.monotonic() + 10
    while session_of(process) and time.monotonic() < end:
        time.sleep(0.05)
    assert session_of(process) == []
    assert log.read_text() == ""
