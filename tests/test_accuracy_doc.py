"""docs/ACCURACY.md and results/accuracy.md say what the answers in results/accuracy say."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from made_results import made_result
from serein.evaluation.comparison import compare, holm
from serein.evaluation.result import Result
from serein.evaluation.result_file import write_predictions
from serein.experiment.checks import complete
from serein.experiment.recipe import Augmentation

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "accuracy.json"
DOCUMENTS = ("docs/ACCURACY.md", "results/accuracy.md")
EMOTIONS = ("anger", "fear", "neutral", "sadness")


@pytest.fixture(scope="module")
def bench(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("accuracy")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        pytest.skip("results/accuracy.json is not there: `make accuracy` measures it")
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_documents_show_the_results(
    bench: ModuleType, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    copy_documents(tmp_path)
    bench.write_documents(tmp_path, rows)
    for name in DOCUMENTS:
        assert (tmp_path / name).read_text(encoding="utf-8") == text_of(name), name


def test_every_uar_is_that_of_the_answers(bench: ModuleType, rows: list[dict[str, Any]]) -> None:
    listed = {(row["case"], row["system"], *bench.state_of(row)): row for row in rows}
    assert len(listed) == len(rows) == len(bench.CASES) * len(bench.SYSTEMS) * len(bench.STATES)
    for case in bench.CASES:
        for system in bench.SYSTEMS:
            for ending, state in bench.STATES.items():
                row = listed[case.key, system, state["adapted"], state["one_emotion"]]
                answers = read(RESULTS.with_suffix("") / f"{case.slug}-{system}{ending}.csv")
                truth, said = ([one[name] for one in answers] for name in ("truth", "answer"))
                assert row["uar"] == round(balanced_accuracy_score(truth, said), 4)
                assert row["clips"] == len(answers)
                assert row["low"] <= row["uar"] <= row["high"]


def test_all_else_can_be_computed_again(bench: ModuleType, rows: list[dict[str, Any]]) -> None:
    (case,) = [case for case in bench.CASES if case.key == "emodb"]
    again = [bench.rounded(row) for row in bench.case_rows(RESULTS.with_suffix(""), case)]
    kept = [row for row in rows if row["case"] == case.key]
    assert again == [{key: row[key] for key in row if key != "p_holm"} for row in kept]
    tested = [row for row in rows if "p_holm" in row]
    assert len(tested) == 2 * len(bench.CASES)
    adjusted = holm([row["p"] for row in tested])
    assert np.allclose([row["p_holm"] for row in tested], adjusted, atol=1e-3)


def test_the_answers_are_of_the_recipes_as_they_are(
    bench: ModuleType, rows: list[dict[str, Any]]
) -> None:
    assert rows
    folder = RESULTS.with_suffix("")
    assert all(bench.is_done(folder, *one) for one in bench.wanted([]))


def test_no_speaker_is_in_two_folds(bench: ModuleType, rows: list[dict[str, Any]]) -> None:
    assert rows
    for case in bench.CASES:
        answers = read(RESULTS.with_suffix("") / f"{case.slug}-recipe.csv")
        speakers = {(one["speaker"], one["fold"]) for one in answers}
        assert len(speakers) == len({speaker for speaker, _ in speakers})


def test_the_cases(bench: ModuleType) -> None:
    assert [case.key for case in bench.CASES] == [
        *("ravdess", "emodb", "nemo"),
        *("emodb+ravdess to nemo", "emodb+nemo to ravdess", "ravdess+nemo to emodb"),
    ]
    across = bench.CASES[3]
    assert across.slug == "emodb-ravdess-to-nemo"
    assert across.title == "EmoDB + RAVDESS → nEMO"
    assert list(bench.STATES) == [
        *("", "-adapted-1", "-adapted-2", "-adapted-5", "-adapted-10", "-adapted"),
        "-adapted-one-emotion",
    ]


def test_the_probe_differs_in_what_is_said_and_in_nothing_else(bench: ModuleType) -> None:
    for case in bench.CASES:
        recipe, probe = (bench.recipe_of(case, system) for system in ("recipe", "probe"))
        across = bool(case.learnt)
        assert complete(probe, case.key) == probe
        assert recipe.protocol.test == ((case.tested,) if across else ())
        assert set(recipe.data.corpora) == set(case.corpora)
        assert probe.protocol == recipe.protocol
        assert probe.protocol.calibration_folds == (3 if across else 5)
        assert probe.encoder.layers == (2, 3, 4)
        assert probe.encoder.trim == (case.key != "ravdess")
        assert (probe.model.name, probe.model.settings["C"]) == (
            "logistic",
            0.005 if across else 0.02,
        )
        assert probe.balance.method == ("corpora" if across else "none")
        assert probe.augmentation == Augmentation()
        same = ("encoder", "model", "balance", "augmentation")
        assert replace(probe, **{name: getattr(recipe, name) for name in same}) == recipe


def test_rows_are_computed_from_the_files_alone(bench: ModuleType, tmp_path: Path) -> None:
    better, worse = made(skill=2.0), made(skill=0.5)
    case = bench.CASES[1]
    keep(bench, tmp_path, case, {"recipe": better, "probe": worse})
    rows = bench.measured(tmp_path)
    assert [bench.state_of(row) for row in rows[::2]] == [
        (state["adapted"], state["one_emotion"]) for state in bench.STATES.values()
    ]
    row, probe = rows[:2]
    low, high = better.scores()["uar_interval_95"]
    assert (row["low"], row["high"]) == (round(low, 4), round(high, 4))
    assert row["uar"] == round(better.scores()["uar"], 4)
    found = compare(worse, better)
    assert (row["over_probe"], row["p"]) == (round(found.difference, 4), round(found.p_value, 4))
    assert row["over_probe_low"] == round(found.interval_95[0], 4)
    assert row["p_holm"] == round(min(1.0, 2 * found.p_value), 4)  # a stranger, and adapted
    assert sum("p_holm" in row for row in rows) == 2
    assert (row["classes"], row["clips"], row["speakers"]) == (4, 72, 6)
    assert row["protocol"] == "made up"
    assert not {"p", "over_probe"} & set(probe)


def test_a_recipe_alone_has_a_row_without_comparison(bench: ModuleType, tmp_path: Path) -> None:
    keep(bench, tmp_path, bench.CASES[0], {"recipe": made()})
    rows = bench.measured(tmp_path)
    assert len(rows) == len(bench.STATES)
    assert not any("p" in row for row in rows)
    assert "|  |" in bench.markdown(rows)


def test_other_clips_are_refused(bench: ModuleType, tmp_path: Path) -> None:
    case = bench.CASES[0]
    keep(bench, tmp_path, case, {"recipe": made(), "probe": made(clips=8)})
    with pytest.raises(SystemExit, match="other clips or folds"):
        bench.measured(tmp_path)


def test_a_changed_recipe_is_measured_anew(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = bench.CASES[1]
    assert not bench.is_done(tmp_path, case, "recipe")
    keep(bench, tmp_path, case, {"recipe": made()})
    assert bench.is_done(tmp_path, case, "recipe")
    changed = replace(bench.recipe_of(case, "recipe"), augmentation=Augmentation())
    with monkeypatch.context() as other:
        other.setattr(bench, "recipe_of", lambda case, system: changed)
        assert not bench.is_done(tmp_path, case, "recipe")
    (tmp_path / "emodb-recipe-adapted-5.csv").unlink()
    assert not bench.is_done(tmp_path, case, "recipe")


def test_names_choose_cases_and_systems(bench: ModuleType) -> None:
    assert len(bench.wanted([])) == 12
    assert [system for _, system in bench.wanted(["emodb-ravdess-to-nemo"])] == ["recipe", "probe"]
    assert [(case.key, one) for case, one in bench.wanted(["nemo-probe"])] == [("nemo", "probe")]


def test_tables_go_between_the_marks(bench: ModuleType, tmp_path: Path) -> None:
    copy_documents(tmp_path)
    results = tmp_path / "accuracy"
    results.mkdir()
    systems = {"recipe": made(skill=2.0), "probe": made(skill=0.5)}
    for case in bench.CASES[:4]:
        keep(bench, results, case, systems)
    rows = bench.measured(results)
    for _ in range(2):  # the second time over the first
        bench.write_documents(tmp_path, rows)
    texts = {name: (tmp_path / name).read_text(encoding="utf-8") for name in DOCUMENTS}
    score = f"{rows[0]['uar']:.3f} ({rows[0]['low']:.3f} to {rows[0]['high']:.3f})"
    gain = f"{rows[0]['over_probe']:+.3f} ("
    whole = texts.pop("results/accuracy.md")
    assert f"| {score} | {gain}" in whole
    lines = whole.splitlines()
    assert sum(line.startswith("| EmoDB + RAVDESS → nEMO") for line in lines) == 2
    assert "| EmoDB + RAVDESS → nEMO" in texts["docs/ACCURACY.md"]
    assert "- EmoDB: made up." in lines
    for name, text in texts.items():
        assert outside(text) == outside(text_of(name))


def test_commands_and_places_exist() -> None:
    text = text_of("docs/ACCURACY.md")
    makefile = text_of("Makefile")
    for target in re.findall(r"`make (\w+)`", text):
        assert f"\n{target}: " in makefile
    for path in re.findall(r"`((?:src|bench|recipes|results)/[\w./]*)`", text):
        assert (ROOT / path).exists() or path.startswith("results/accuracy"), path
    for command, option in re.findall(r"^serein (\w+) \w+ (--[\w-]+)", text, re.M):
        told = subprocess.run(
            [sys.executable, "-m", "serein", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={"COLUMNS": "200", "NO_COLOR": "1"},
        )
        assert option in told.stdout


def made(*, skill: float = 1.0, clips: int = 12) -> Result:
    """Answers of six speakers, rounded as they will be read."""
    result = made_result(EMOTIONS, speakers=6, clips=clips, skill=skill)
    return replace(result, protocol="made up")


def keep(bench: ModuleType, folder: Path, case: Any, systems: dict[str, Result]) -> None:
    """Write results as a run does."""
    for system, result in systems.items():
        name = bench.stem(case, system)
        write_predictions(result, folder / f"{name}.csv")
        for ending in list(bench.STATES)[1:]:
            bench.write_answers(result, folder / f"{name}{ending}.csv")
        mark = bench.fingerprint(bench.recipe_of(case, system))
        bench.write_told(folder, name, {"recipe": mark, "protocol": result.title})


def read(place: Path) -> list[dict[str, str]]:
    with place.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def copy_documents(folder: Path) -> None:
    for name in DOCUMENTS:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


def outside(text: str) -> str:
    """What stands outside the tables."""
    for mark in ("<!-- make accuracy -->", "<!-- known -->"):
        text = re.sub(f"{mark}.*{mark}", mark, text, flags=re.S)
    return text
