"""Results on disk: what is written is read back, what is damaged or of another time refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serein.errors import ProtocolError
from serein.evaluation.result import Result
from serein.evaluation.result_file import read_record, write_record


def made(**changes: Any) -> Result:
    truth = np.array([0, 1, 1, 0])
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875], [0.25, 0.75]])
    who, fold = np.array(["ann", "ann", "bob", "bob"]), np.array([0, 0, 1, 1])
    about = {
        "file": np.array(["1.wav", 'a "b",c.wav', "3.wav", "4.wav"]),
        "corpus": np.array(["one"] * 4),
        "gender": np.array(["female", "female", "", ""]),
    }
    result = Result("two folds", ("calm", "joy"), truth, probabilities, who, fold, about)
    return Result(**(vars(result) | changes))


def test_a_result_is_read_back(tmp_path: Path):
    result = made(leaks=("a leak",))
    written = write_record(result, {"name": "mine"} | result.scores(), tmp_path / "new")
    found = read_record(written)
    assert found.name == "mine"
    assert found.result.title == result.title
    assert found.result.labels == result.labels
    for column in ("truth", "probabilities", "speakers", "fold"):
        np.testing.assert_array_equal(getattr(found.result, column), getattr(result, column))
    assert {name: list(column) for name, column in found.result.about.items()} == {
        name: list(column) for name, column in result.about.items()
    }
    assert found.result.scores() == json.loads(json.dumps(result.scores()))
    assert found.document["uar"] == result.scores()["uar"] == 0.5


def test_names_that_a_spreadsheet_would_run_are_defused_and_come_back(tmp_path: Path):
    who = np.array(["=1+1", "=1+1", "@bob", "@bob"])
    written = write_record(made(speakers=who), {"name": "mine"}, tmp_path)
    text = (tmp_path / "predictions.csv").read_text()
    assert ",'=1+1," in text
    assert ",=1+1," not in text
    assert list(read_record(written).result.speakers) == list(who)


def test_scores_have_their_intervals():
    scores = made().scores()
    assert {name for name in scores if name.endswith("_interval_95")} >= {
        "uar_interval_95",
        "auc_macro_interval_95",
        "log_loss_interval_95",
    }
    low, high = scores["by_class"]["joy"]["recall_interval_95"]
    assert 0 <= low <= scores["by_class"]["joy"]["recall"] <= high <= 1


def test_a_single_speaker_has_no_interval():
    scores = made(speakers=np.array(["ann"] * 4)).scores()
    assert scores["uar_interval_95"] is None
    assert scores["by_class"]["calm"]["f1_interval_95"] is None


def test_a_class_that_a_fold_lacks_is_in_no_mean():
    part = made().subset(np.array([0, 3]))
    assert part.scores()["uar"] == 0.5
    assert list(part.scores()["by_class"]) == ["calm"]
    assert part.scores()["auc_macro"] is None


def test_each_speaker_by_itself():
    found = made().by_speaker()
    assert found["ann"]["uar"] == 0.5
    low, high = found["bob"]["accuracy_interval_95"]
    assert low < found["bob"]["accuracy"] == 0.5 < high


def damaged(tmp_path: Path, name: str, change: Any) -> Path:
    write_record(made(), {"name": "mine"}, tmp_path)
    file = tmp_path / name
    file.write_text(change(file.read_text()))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("result.json", lambda text: text[:-20], "holds no result.json that can be read"),
        ("result.json", lambda text: "[1]", "does not say it is a serein-result"),
        (
            "result.json",
            lambda text: text.replace('"version": 2', '"version": 1'),
            "is of version 1; this serein reads version 2: evaluate the recipe again",
        ),
        ("result.json", lambda text: text.replace('"labels"', '"lables"'), "missing or damaged"),
        ("predictions.csv", lambda text: text.split("\n")[0], r"missing or damaged \(no row\)"),
        ("predictions.csv", lambda text: text.replace("0.750000", "nan"), "not finite"),
        ("predictions.csv", lambda text: text.replace("calm,joy", "calm,fun"), "damaged"),
        ("predictions.csv", lambda text: text.replace("ann,0", "ann,x"), "damaged"),
    ],
)
def test_what_is_damaged_is_refused(tmp_path: Path, name: str, change: Any, message: str):
    with pytest.raises(ProtocolError, match=message):
        read_record(damaged(tmp_path, name, change))


def test_no_result_at_all(tmp_path: Path):
    with pytest.raises(ProtocolError, match="`serein evaluate RECIPE --out DIR` writes one"):
        read_record(tmp_path)
