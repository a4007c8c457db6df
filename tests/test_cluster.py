"""A real Ray cluster of two machines on loopback; one of them is killed in the middle."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sklearn.naive_bayes import GaussianNB

import serein
from serein.engine import each, running_on
from serein.evaluation.cross_validation import cross_validate
from serein.evaluation.protocol import leave_one_speaker_out
from serein.evaluation.search.search import candidates_of, search
from serein.features.extractor import FeatureExtractor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="pip install 'serein[scale]'"),
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),  # Ray's, of itself
]

COUNT = 48
RATE_HZ = 16_000
BUCKET = "s3://recordings"
DEADLINE_S = 120
Row = dict[str, Any]


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """An object store that speaks S3, and how it is reached."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module")
def cluster(store: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two raylets, each a machine to Ray."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.items():
            patch.setenv(name, value)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # the token of the user's own home is not ours
        patch.setenv("OMP_NUM_THREADS", "1")
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        patch.chdir(elsewhere)
        leave_out_of_jsonschema(elsewhere, patch)
        from ray.cluster_utils import Cluster

        quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": quick}
        made = Cluster(initialize_head=True, head_node_args=head)
        made.second = made.add_node(num_cpus=1)
        made.wait_for_nodes()
        yield made
        made.shutdown()


def leave_out_of_jsonschema(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Spare each process of Ray the grammar of addresses that jsonschema reads: two seconds."""
    name = "rfc3987_syntax"
    (folder / f"{name}.py").write_text("raise ImportError")
    patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    patch.setitem(sys.modules, name, None)


@pytest.fixture(scope="module")
def connected(cluster: Any) -> Iterator[None]:
    """Loops run on the cluster, in the same processes for one test and the next."""
    with running_on("ray", address=cluster.address):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short recordings, each another, and one that is none."""
    here = tmp_path_factory.mktemp("cluster") / "recordings"
    here.mkdir()
    voice = serein.read_audio(Path(__file__).parents[1] / "samples" / "espeak-german.flac")
    for number in range(COUNT):
        soundfile.write(here / f"{number:03}.flac", np.roll(voice, -800 * number)[:24_000], RATE_HZ)
    (here / "005b.wav").write_text("not audio")
    return here


@pytest.fixture(scope="module")
def alone(folder: Path) -> list[Row]:
    """What one process answers."""
    return answers(folder, folder.parent / "alone.jsonl", "--jobs", "1")


def clips() -> tuple[Any, list[str], list[str]]:
    """Vectors of two emotions, four speakers."""
    generator = np.random.default_rng(0)
    labels = [str(label) for label in np.tile(["anger", "sadness"], 40)]
    X = generator.normal(size=(80, 3)).astype(np.float32)
    X[:, 0] += np.where(np.array(labels) == "anger", 1, 0)
    return X, labels, [str(speaker) for speaker in np.repeat(range(4), 20)]


def start(folder: Path | str, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "serein", "predict", str(folder), "--out", str(out), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], out: Path, status: int = 1) -> list[Row]:
    _, complained = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == status, complained
    return [json.loads(line) for line in out.read_text().splitlines()]


def answers(folder: Path | str, out: Path, *options: str, status: int = 1) -> list[Row]:
    return finish(start(folder, out, *options), out, status)


def rows_of(journal: Path) -> set[bytes]:
    """Find the rows that a journal holds; the database itself is locked."""
    files = [file for file in (journal, journal.with_name(f"{journal.name}-wal")) if file.exists()]
    return {row for file in files for row in re.findall(rb'"file": "[^"]+"', file.read_bytes())}


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_recordings_in_an_object_store(
    cluster: Any, store: dict[str, str], folder: Path, alone: list[Row], tmp_path: Path
) -> None:
    """The same recordings, below an s3:// URL."""
    import fsspec

    s3 = fsspec.filesystem("s3")
    s3.mkdir("recordings")
    for file in sorted(folder.iterdir())[:12]:
        s3.put(str(file), f"{BUCKET}/calls/{file.name}")
    options = ("--engine", "ray", "--address", cluster.address)
    rows = answers(f"{BUCKET}/calls", tmp_path / "s3.jsonl", *options)
    assert [row["file"] for row in rows] == [
        f"{BUCKET}/calls/{Path(row['file']).name}" for row in alone[:12]
    ]
    for row, local in zip(rows, alone, strict=False):
        if local["error"] is None:
            assert row | {"file": ""} == local | {"file": ""}
        else:
            assert f"{BUCKET}/calls/005b.wav: cannot be decoded" in row["error"]
    gone = start(f"{BUCKET}/nothing", tmp_path / "none.jsonl", "--jobs", "1")
    assert "no recording there" in gone.communicate(timeout=DEADLINE_S)[1]
    assert not (tmp_path / "none.jsonl").exists()
    s3.rm(f"{BUCKET}/calls", recursive=True)


@pytest.mark.usefixtures("connected")
def test_loops_give_what_they_give_at_home(folder: Path, tmp_path: Path) -> None:
    def loops(storage: Path | None) -> dict[str, Any]:
        X, y, speakers = clips()
        fitted = cross_validate(
            GaussianNB(), X, y, speakers, leave_one_speaker_out(speakers), protocol="by speaker"
        )
        found = search(
            candidates_of(GaussianNB()), X, y, speakers, {"var_smoothing": [1e-9, 1e-3, 1e-1, 1.0]},
            method="grid", trials=4, folds=2, storage=storage,
        )  # fmt: skip
        extractor = FeatureExtractor(["mfcc"], functionals=["mean"], cache=False)
        return {
            "order": list(each(lambda number: 10 * number, range(6))),
            "folds": fitted.predict(X).probabilities.tolist(),
            "trials": sorted((row["values"]["var_smoothing"], row["score"]) for row in found.table),
            "features": extractor.transform(sorted(folder.glob("00*.flac"))[:3]).tolist(),
        }

    def seven(number: int) -> None:
        raise ValueError(f"not {number}")

    there = loops(tmp_path / "shared.journal")
    with pytest.raises(ValueError, match="not 7"):
        list(each(seven, [7]))
    with running_on("local"):
        assert there == loops(None)


@pytest.mark.usefixtures("connected")
def test_an_item_that_kills_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serein.engine.RETRIES", 1)  # a new process for each takes seconds

    def deadly(file: str) -> str:
        if file == "b":
            os._exit(1)
        return file

    files = [f"{number}" for number in range(12)] + ["b"]
    rows = list(each(deadly, files, lost=lambda file: f"{file} ended its process"))
    assert rows == [*files[:-1], "b ended its process"]


def test_one_machine_dies_and_every_file_is_answered_once(
    cluster: Any, folder: Path, alone: list[Row], tmp_path: Path
) -> None:
    out = tmp_path / "results.jsonl"
    journal = out.with_name(f".{out.name}.journal")
    process = start(folder, out, "--engine", "ray", "--address", cluster.address)
    wait_until(lambda: len(rows_of(journal)) > 10)
    cluster.remove_node(cluster.second, allow_graceful=False)
    assert process.poll() is None, "it ended before the machine died"
    assert finish(process, out) == alone


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--engine", "spark"), "unknown engine 'spark'"),
        (("--address", "127.0.0.1:1"), "say --engine ray with it"),
    ],
)
def test_what_cannot_be_is_said(
    folder: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    process = start(folder, tmp_path / "r.jsonl", *options)
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 2
    assert words in complained
