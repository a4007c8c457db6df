"""evaluate, train and tune as a user runs them: short forms, killed and run again, wrong usage."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import serein
from made_corpus import (
    DATA,
    EPOCHS,
    FOREST,
    NETWORK,
    PITCH_HZ,
    RATE_HZ,
    SPEAKERS,
    TAKES,
    make_voice,
)
from serein import cli
from serein.training.checkpoint import read_state

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CSV corpus of five speakers and two recipes."""
    folder = tmp_path_factory.mktemp("studio")
    rows = [("file", "emotion", "speaker")]
    for speaker in range(SPEAKERS):
        for emotion in PITCH_HZ:
            for take in range(TAKES):
                name = f"{speaker}-{emotion}-{take}.wav"
                soundfile.write(folder / name, make_voice(emotion, speaker, take), RATE_HZ)
                rows.append((name, emotion, f"s{speaker}"))
    with (folder / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (folder / "forest.toml").write_text('name = "forest"\n' + DATA + FOREST)
    (folder / "network.toml").write_text('name = "network"\n' + DATA + NETWORK)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As OMP_NUM_THREADS has it in the processes below."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`serein` with arguments, in this process for speed; gives what it prints."""

    def command(*arguments: str | Path, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["serein", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        assert (end.value.code or 0) == status, said.err
        return said.err if status else said.out

    return command


def killed(*arguments: str | Path, when: Callable[[], bool]) -> None:
    """Run `serein` in a process of its own and kill it as soon as something is so."""
    command = [sys.executable, "-m", "serein", *map(str, arguments)]
    one = {"OMP_NUM_THREADS": "1"}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=os.environ | one, **silent) as process:
        deadline = time.monotonic() + 240
        while not when():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def tried(folder: Path) -> list[tuple[str, ...]]:
    """What trials.csv says of each trial, beside its number and how long it took."""
    kept = ("state", "score", "folds", "model.features", "model.leaf", "error")
    return [tuple(row[name] for name in kept) for row in rows_of(folder / "trials.csv")]


# --- without a recipe ---


def test_evaluate_a_table_with_a_model(run: Run, studio: Path, cache: Path, tmp_path: Path) -> None:
    mine = ("--corpus", "mine.csv", "--data", studio, "--model", "svm")
    text = run("evaluate", *mine, "--cache", cache, "--out", tmp_path)
    assert text.startswith("mine-svm: leave one speaker out\nmine ")
    assert f"{SPEAKERS * 2 * TAKES} clips, {SPEAKERS} speakers" in text
    rows = rows_of(tmp_path / "predictions.csv")
    assert [row["file"] for row in rows] == [row["file"] for row in rows_of(studio / "mine.csv")]
    assert all(abs(float(row["anger"]) + float(row["sadness"]) - 1) < 2e-6 for row in rows)


def write_leaning(studio: Path) -> Path:
    """A recipe of features that every speaker moves by as much as emotions do."""
    generator = np.random.default_rng(0)
    own = {str(speaker): 1.5 * generator.standard_normal() for speaker in range(SPEAKERS)}
    with (studio / "leaning.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "leaning"))
        for row in rows_of(studio / "mine.csv"):
            noise = generator.standard_normal() / 2
            rows.writerow((row["file"], (row["emotion"] == "anger") + own[row["file"][0]] + noise))
    data = '[data]\ncorpora = ["mine.csv"]\nfolder = "."\n[features]\ntable = "leaning.csv"\n'
    target = studio / "leaning.toml"
    target.write_text('name = "leaning"\n' + data + '[model]\nname = "ridge"\n')
    return target


def test_evaluate_adapted_to_the_speaker(
    run: Run, studio: Path, cache: Path, tmp_path: Path
) -> None:
    judge = ("evaluate", write_leaning(studio), "--cache", cache, "--out", tmp_path)
    lines = run(*judge, "--adapt").splitlines()
    words = ["1 other utterance", *(f"{known} other utterances" for known in (2, 5, 10))]
    words += ["all other utterances", "all other utterances, of the same emotion"]
    assert lines[1].startswith("mine ")
    told = [line.split("   ") for line in lines[2:8]]
    assert [end for _, end in told] == [
        f"adapted to the speaker by {how}, without labels" for how in words
    ]
    result = json.loads((tmp_path / "result.json").read_text())
    rows = result["adapted"]
    assert [row["known"] for row in rows] == [1, 2, 5, 10, None, None]
    assert [row["one_emotion"] for row in rows] == [False] * 5 + [True]
    for (start, _), row in zip(told, rows, strict=True):
        low, high = row["uar_interval_95"]
        assert start == f"UAR {row['uar']:.4f} (95 % {low:.3f} to {high:.3f})"

    plain = rows_of(tmp_path / "predictions.csv")
    adapted = rows_of(tmp_path / "predictions-adapted.csv")
    same = ("file", "speaker", "fold", "truth")
    assert [[row[name] for name in same] for row in adapted] == [
        [row[name] for name in same] for row in plain
    ]
    assert [row["anger"] for row in adapted] != [row["anger"] for row in plain]
    right = np.mean([row["answer"] == row["truth"] for row in adapted])
    assert right == pytest.approx(rows[4]["accuracy"])  # by all of whatever emotion
    assert "Speaker adaptation" in (tmp_path / "report.html").read_text()

    assert "adapted to the speaker" not in run(*judge)
    assert not (tmp_path / "predictions-adapted.csv").exists()
    assert "adapted" not in json.loads((tmp_path / "result.json").read_text())
    assert "Speaker adaptation" not in (tmp_path / "report.html").read_text()


def test_without_calibration_there_is_no_adapting(
    run: Run, studio: Path, cache: Path, tmp_path: Path
) -> None:
    text = 'name = "raw"\n' + DATA + '[model]\nname = "ridge"\n[protocol]\ncalibration_folds = 0\n'
    (tmp_path / "raw.toml").write_text(text)
    asked = ("evaluate", tmp_path / "raw.toml", "--data", studio, "--cache", cache)
    said = run(*asked, "--adapt", "--out", tmp_path / "out", status=2)
    assert "raw: to adapt, a recognizer must know how speakers differ" in said
    assert "give protocol.calibration_folds of 2 or more" in said
    assert not (tmp_path / "out").exists()


def test_train_a_table_of_own_emotions_with_a_model(
    run: Run, studio: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serein.experiment import speech

    monkeypatch.setattr(speech, "SOUNDS", 2)
    monkeypatch.setattr(speech, "FEW", 0)  # the detector's sounds would go to other processes
    monkeypatch.setattr("serein.engine._on_cores", None)  # but --jobs 1 holds for all of it
    monkeypatch.chdir(tmp_path)
    own = (studio / "mine.csv").read_text().replace(",sadness,", ",Fed_up,")
    (studio / "own.csv").write_text(own)
    mine = ("--corpus", "own.csv", "--data", studio, "--model", "svm")
    text = run("train", *mine, "--cache", cache, "--jobs", "1")
    assert text.splitlines()[-1] == f"written: {Path('runs') / 'own-svm'}"
    recognizer = serein.load(tmp_path / "runs" / "own-svm")
    assert recognizer.labels == ("anger", "fed up")
    files = sorted(studio.glob("0-*.wav"))
    answers = [recognizer.predict(file) for file in files]
    names = {"anger": "anger", "sadness": "fed up"}
    assert [one.emotion for one in answers] == [names[file.name.split("-")[1]] for file in files]
    assert answers[-1].to_dict()["emotion_zh"] == "fed up"
    assert answers[-1].valence == serein.EMOTIONS["anger"].valence  # the only one with a place


# --- search ---


def test_tune_writes_the_trials_and_a_recipe_and_goes_on(
    run: Run, studio: Path, cache: Path, tmp_path: Path
) -> None:
    search = ("tune", studio / "forest.toml", "--method", "random", "--cache", cache)
    text = run(*search, "--trials", "4", "--out", tmp_path)
    assert "random search: 4 trials, the best 4" in text
    assert "best UAR" in text
    assert text.splitlines()[-1] == f"written: {tmp_path / 'best.toml'}"
    first = tried(tmp_path)
    assert len(first) == len(set(first)) == 4
    assert first[0][3:] == ("", "", "")  # the recipe as it stands
    before = rows_of(tmp_path / "trials.csv")

    assert "random search: 6 trials" in run(*search, "--trials", "6", "--out", tmp_path)
    after = rows_of(tmp_path / "trials.csv")
    assert after[:4] == before  # read, not run again: the seconds are the same
    assert len(set(tried(tmp_path))) == len(after) == 6
    assert "6 trials" in run(*search, "--trials", "6", "--out", tmp_path)
    assert rows_of(tmp_path / "trials.csv") == after

    best = max(after, key=lambda row: float(row["score"]))
    found = tomllib.loads((tmp_path / "best.toml").read_text())
    for name in ("features", "leaf"):
        assert str(found["model"].get(name, "")) == best[f"model.{name}"]
    assert found["model"]["trees"] == 40
    text = run("evaluate", tmp_path / "best.toml", "--cache", cache)
    assert text.startswith("forest: leave one speaker out\n")


def test_a_search_goes_on_only_with_the_same_recipe(
    run: Run, studio: Path, cache: Path, tmp_path: Path
) -> None:
    search = ("--method", "random", "--trials", "1", "--cache", cache, "--out", tmp_path)
    run("tune", studio / "forest.toml", *search)
    other = (studio / "forest.toml").read_text().replace("trees = 40", "trees = 41")
    (studio / "other.toml").write_text(other)
    text = run("tune", studio / "other.toml", *search, status=2)
    assert "the storage holds a search 'forest' of other data or settings" in text


def finished_trials(storage: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{storage}?mode=ro", uri=True)) as base:
            (count,) = base.execute("select count(*) from trials where state = 'COMPLETE'")
            return int(count[0])
    except sqlite3.OperationalError:  # not there yet, or being written
        return 0


def test_a_search_killed_in_the_middle_loses_and_repeats_nothing(
    run: Run, studio: Path, cache: Path, tmp_path: Path
) -> None:
    trials = 10
    search = ("tune", studio / "forest.toml", "--method", "random", "--trials", str(trials))
    run(*search, "--cache", cache, "--out", tmp_path / "whole")
    again = (*search, "--cache", cache, "--out", tmp_path / "killed")
    storage = tmp_path / "killed" / "search.db"
    killed(*again, when=lambda: finished_trials(storage) >= 4)
    assert 4 <= finished_trials(storage) < trials
    run(*again)
    assert len(set(tried(tmp_path / "killed"))) == trials
    assert tried(tmp_path / "killed") == tried(tmp_path / "whole")


# --- a network, killed ---


def test_a_killed_training_goes_on_to_the_same_predictions(
    run: Run, studio: Path, cache: Path, tmp_path: Path
) -> None:
    recipe = studio / "network.toml"
    run("evaluate", recipe, "--cache", cache, "--out", tmp_path / "whole")
    other = tmp_path / "cache"
    shutil.copytree(cache / "features", other / "features")

    def begun() -> list[Path]:
        return list((other / "training").glob("*.safetensors"))

    killed("evaluate", recipe, "--cache", other, "--out", tmp_path / "out", when=begun)
    assert not (tmp_path / "out").exists()
    kept = {epoch["dur"] for file in begun() for epoch in read_state(file)["history"]}
    assert 0 < len(kept) < SPEAKERS * EPOCHS
    run("evaluate", recipe, "--cache", other, "--out", tmp_path / "out")
    curves = rows_of(tmp_path / "out" / "curves.csv")
    assert len(curves) == SPEAKERS * EPOCHS
    assert kept < {float(row["seconds"]) for row in curves}  # gone on with, not begun anew
    texts = {(tmp_path / name / "predictions.csv").read_bytes() for name in ("whole", "out")}
    assert len(texts) == 1


# --- wrong usage ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RECIPE", "--corpus", "mine.csv", "--model", "svm"], "either a recipe file, or both"),
        (["RECIPE", "--model", "svm"], "either a recipe file, or both --corpus and --model"),
        ([], "either a recipe file, or both --corpus and --model"),
        (["--corpus", "mine.csv"], "either a recipe file, or both --corpus and --model"),
        (["--model", "svm"], "either a recipe file, or both --corpus and --model"),
        (["--corpus", "mine.csv", "--model", "swm"], "unknown model 'swm'; known: svm"),
        (["--corpus", "ravdes", "--model", "svm"], "unknown corpus 'ravdes'; known: ravdess"),
        (["gone.toml"], r"gone.toml: cannot be read as a TOML recipe"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "train", "tune"])
def test_wrong_usage_is_one_line(
    run: Run, studio: Path, tmp_path: Path, command: str, arguments: list[str], message: str
) -> None:
    given: list[Any] = [studio / "forest.toml" if one == "RECIPE" else one for one in arguments]
    text = run(command, *given, "--data", studio, "--out", tmp_path / "out", status=2)
    said, hint = text.splitlines()
    assert said.startswith("serein: ")
    assert message in said
    assert hint.startswith("try: serein ")
    assert not (tmp_path / "out").exists()


def test_an_unknown_search_method(run: Run, studio: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    text = run("tune", studio / "forest.toml", "--method", "rando", *out, status=2)
    assert "unknown search method 'rando'; known: random" in text
    assert "trials must be" in run("tune", studio / "forest.toml", "--trials", "0", *out, status=2)
    assert not (tmp_path / "out").exists()
