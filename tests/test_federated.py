"""The federated example averages as it should, and results/federated.md says what was measured."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "federated"
FLOWER = Path(os.environ.get("SEREIN_FLOWER") or ROOT / ".venv-flower/bin/python")


@pytest.fixture(scope="module")
def bench(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("federated")


@pytest.fixture(scope="module")
def network(bench: ModuleType) -> ModuleType:
    return sys.modules[bench.Clips.__module__]


@pytest.fixture
def clients(bench: ModuleType) -> list:
    """Three speakers of unlike size and voice, of whom one lacks an emotion."""
    random = np.random.default_rng(0)
    found = []
    for number, clips in enumerate((12, 30, 21)):
        y = np.arange(clips) % (2 if number == 1 else 3)
        X = random.normal(number, 1 + number, (clips, 5)) + 3 * np.eye(3, 5)[y]
        found.append(bench.Clips(X, y, ["anger", "fear", "joy"]))
    return found


def test_sums_of_clients_give_the_scale_of_all(network: ModuleType, clients: list) -> None:
    scale = network.Scale.of(map(network.sums, clients))
    X, y = (np.concatenate([getattr(one, name) for one in clients]) for name in ("X", "y"))
    np.testing.assert_allclose(scale.mean, X.mean(axis=0))
    np.testing.assert_allclose(scale.deviation, X.std(axis=0))
    np.testing.assert_allclose(scale.emotion, len(y) / 3 / np.bincount(y))


def test_a_feature_that_never_changes_is_not_divided_by_nothing(
    network: ModuleType, clients: list
) -> None:
    still = [replace(one, X=np.full_like(one.X, 0.1)) for one in clients]
    assert (network.Scale.of(map(network.sums, still)).deviation == 1).all()


def test_the_gradient_is_the_slope(network: ModuleType, clients: list) -> None:
    X, y = clients[0].X, clients[0].y
    emotion = np.array([0.5, 1.0, 2.0])
    scale = network.Scale(np.zeros(5), np.ones(5), emotion)
    weights = network.first_weights(5, 3, network.Settings(hidden=4))

    def loss() -> float:
        likely = network.likely(weights, scale, X)[np.arange(len(y)), y]
        return -float(np.mean(emotion[y] * np.log(likely)))

    for array, slope in zip(weights, network.gradient(weights, X, y, emotion), strict=True):
        place = np.unravel_index(np.abs(slope).argmax(), slope.shape)
        array[place] += 1e-5
        above = loss()
        array[place] -= 2e-5
        measured = (above - loss()) / 2e-5
        array[place] += 1e-5
        assert measured == pytest.approx(slope[place], rel=1e-5)


def test_one_step_each_averaged_is_one_step_in_one_place(bench: ModuleType, clients: list) -> None:
    settings = bench.Settings(rounds=3, batch=1000)
    apart = bench.apart(bench.averaged(clients, settings), bench.in_one_place(clients, settings))
    assert apart < 1e-12


def test_averaging_learns_what_no_client_knows_alone(bench: ModuleType, clients: list) -> None:
    settings = bench.Settings(rounds=30)
    everyone = bench.together(clients)
    answers = bench.averaged(clients, settings).answers(everyone.X)
    alone = bench.in_one_place([clients[1]], settings).answers(everyone.X)
    assert list(answers) == [1, 2, 5, 10, 20, 30]
    assert bench.uar(everyone.y, answers[30]) > 0.8
    assert bench.uar(everyone.y, alone[30]) < 0.67
    assert not (alone[30] == 2).any()  # it never heard joy


def test_weights_come_back_from_disk(bench: ModuleType, clients: list, tmp_path: Path) -> None:
    settings = bench.Settings(rounds=3)
    history = bench.averaged(clients, settings)
    history.write(tmp_path / "federated.npz")
    back = bench.History.read(tmp_path / "federated.npz", settings)
    assert list(back.weights) == [1, 2, 3]
    assert bench.apart(history, back) == 0


def test_test_speakers_are_no_clients(bench: ModuleType, clients: list, tmp_path: Path) -> None:
    speakers = dict(zip(("a", "b", "c"), clients, strict=True))
    folds = list(bench.deal("speakers", speakers))
    bench.write(folds[1].clients | folds[1].unseen, folds[1].unseen, tmp_path)
    names = {
        part: [file.stem for file in sorted((tmp_path / part).iterdir())]
        for part in ("clients", "unseen")
    }
    assert names == {"clients": ["a", "c"], "unseen": ["b"]}
    assert {name for fold in folds for name in fold.unseen} == set(speakers)


def test_the_document_is_the_results(bench: ModuleType, tmp_path: Path) -> None:
    text = (ROOT / "results" / "federated.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "results" / "federated.json").read_text())
    document = tmp_path / "federated.md"
    document.write_text(text, encoding="utf-8")
    bench.write_document(document, found)
    assert document.read_text(encoding="utf-8") == text
    assert {(row["corpus"], row["way"]) for row in found["rows"]} == {
        (corpus, way) for corpus in bench.CORPORA for way in (*bench.WAYS, "difference")
    }
    assert all(row["low"] <= row["uar"] <= row["high"] for row in found["rows"])
    assert all(row["apart"] < 1e-9 for row in found["rows"])


def test_flower_is_pinned_whole_and_no_dependency_of_serein() -> None:
    lines = (EXAMPLE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert {"flwr", "ray", "numpy"} <= {pin.split("==")[0] for pin in pins}
    for file in ("pyproject.toml", "constraints.txt"):
        assert "flwr" not in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.slow
def test_flower_averages_as_the_loop_does(bench: ModuleType, clients: list, tmp_path: Path) -> None:
    if not FLOWER.exists():
        pytest.skip(f"Flower is not at {FLOWER}: `make federated` sets it up, or set SEREIN_FLOWER")
    settings = bench.Settings(rounds=2)
    (tmp_path / "settings.json").write_text(json.dumps({"rounds": 2}))
    speakers = dict(zip(("a", "b", "c"), clients, strict=True))
    bench.write(speakers, [], tmp_path)
    bench.run_flower(FLOWER, tmp_path)
    flower = bench.History.read(tmp_path / "federated.npz", settings)
    read = [bench.Clips.read(tmp_path / "clients" / f"{name}.npz") for name in speakers]
    assert bench.apart(flower, bench.averaged(read, settings)) < 1e-12


@pytest.mark.slow
def test_a_client_that_fails_stops_flower(bench: ModuleType, tmp_path: Path) -> None:
    if not FLOWER.exists():
        pytest.skip(f"Flower is not at {FLOWER}: `make federated` sets it up, or set SEREIN_FLOWER")
    (tmp_path / "clients").mkdir()
    for name in "ab":
        (tmp_path / "clients" / f"{name}.npz").write_bytes(b"no zip")
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(SystemExit, match="Flower failed"):
        bench.run_flower(FLOWER, tmp_path)
    assert "a client failed" in (tmp_path / "flower.txt").read_text(encoding="utf-8")


def test_without_flower_the_bench_says_what_to_do(bench: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"make federated.*--flower"):
        bench.run_flower(tmp_path / "python", tmp_path)


def test_the_example_opens_no_pickle_and_names_no_other_host() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in EXAMPLE.glob("*.py"))
    assert "allow_pickle=False" in text
    assert 'os.environ["FLWR_TELEMETRY_ENABLED"] = "0"' in text
    assert "http" not in text


def test_an_unknown_speaker_is_named_beside_those_there_are(
    bench: ModuleType, tmp_path: Path, corpora_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["speakers.py", "emodb", "--leave-out", "emodb-99", "--data", str(corpora_dir)]
    monkeypatch.setattr(sys, "argv", [*words, "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"emodb-99; allowed are emodb-03, .*two have to stay"):
        sys.modules[bench.describe.__module__].main()
