"""Leaks shown beside the honest score, nested search, and what an evaluation writes down."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serein.corpora import Corpus, Utterance
from serein.errors import ProtocolError, RecipeError
from serein.evaluation.result_file import read_record
from serein.evaluation.search.tuned import Tuned
from serein.experiment.evaluate import evaluate, write_evaluation
from serein.experiment.leakage import check_leaks
from serein.experiment.prepare import Prepared, make_classifier
from serein.experiment.recipe_file import make_recipe
from serein.experiment.splits import make_folds
from serein.models.calibration import TemperatureScaled

EMOTIONS = ("anger", "calm", "fear")
SPEAKERS, TAKES, COLUMNS = 8, 5, 20


def prepared(protocol: dict[str, Any] | None = None, **table: Any) -> Prepared:
    """Vectors of speakers whose voices tell them apart far better than their emotions do."""
    rows = [
        Utterance(
            Path(f"{who}-{emotion}-{take}.wav"),
            *("made", f"made-{who}", emotion),
            gender=("female", "male")[who % 2],
            text=f"sentence {take % 2}",
        )
        for who in range(SPEAKERS)
        for emotion in EMOTIONS
        for take in range(TAKES)
    ]
    corpus = Corpus("made", tuple(rows))
    generator = np.random.default_rng(0)
    own = generator.normal(0, 1, (SPEAKERS * len(EMOTIONS), COLUMNS)).repeat(TAKES, axis=0)
    shared = generator.normal(0, 0.6, (len(EMOTIONS), COLUMNS))
    common = np.tile(shared.repeat(TAKES, axis=0), (SPEAKERS, 1))
    X = own + common + generator.normal(0, 1.5, (len(rows), COLUMNS))
    recipe = make_recipe(
        {
            "name": "made",
            "data": {"corpora": ["made.csv"]},
            "features": {"sets": ["mfcc"], "functionals": ["mean"]},
            "model": {"name": "svm"},
            "protocol": {"split": "speaker_k_fold", "folds": 4} | (protocol or {}),
        }
        | table,
        "test",
        Path(),
    )
    folds, words = make_folds(recipe.protocol, corpus)
    return Prepared(recipe, corpus, (corpus,), folds, words, None, X.astype(np.float32))


def test_each_leak_flatters_more():
    rows = check_leaks(prepared())
    honest, at_random, copies = (row["uar"] for row in rows)
    assert [row["split"] for row in rows] == [
        "speaker-independent",
        "random split",
        "augmentation before the split",
    ]
    assert honest + 0.05 < at_random < copies
    assert copies > 0.9
    assert rows[0]["leaks"] == []
    assert "in training and test" in rows[1]["leaks"][0]
    assert any("copies" in leak for leak in rows[2]["leaks"])
    assert rows[0]["protocol"] == "4 folds of unseen speakers"
    assert rows[2]["inflation"] == pytest.approx(copies - honest)


def test_a_recipe_that_allows_leaks_cannot_be_checked():
    data = prepared({"split": "random_k_fold", "speaker_overlap": "allow"})
    with pytest.raises(ProtocolError, match="allows leaks itself"):
        check_leaks(data)
    assert "NOT SPEAKER-INDEPENDENT" in evaluate(data).result.title


def test_a_random_split_has_to_be_allowed():
    with pytest.raises(ProtocolError, match='speaker_overlap = "allow" runs it'):
        prepared({"split": "random_k_fold"})


def nested(**search: Any) -> Prepared:
    settings = {"nested": True, "trials": 4, "folds": 3, "method": "random"}
    space = {"space": {"model.C": {"low": 0.001, "high": 100.0, "log": True}}}
    return prepared({"calibration_folds": 2}, search=settings | space | search)


def test_nested_search_says_what_was_chosen_on_what():
    data = nested()
    model = make_classifier(data)
    assert isinstance(model, Tuned)
    evaluation = evaluate(data)
    assert all(isinstance(member, Tuned) for member, _ in evaluation.fitted.members)
    assert all(
        isinstance(member.estimator_, TemperatureScaled) for member, _ in evaluation.fitted.members
    )
    rows = evaluation.to_dict()["chosen"]
    assert [row["fold"] for row in rows] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert {row["what"] for row in rows[::2]} <= {"model.C", "nothing"}
    assert {row["what"] for row in rows[1::2]} == {"temperature"}
    assert "4 trials in 3 inner folds of the training speakers" in rows[0]["on"]
    assert rows[1]["on"] == "2 inner folds of the training speakers"


def test_nested_search_never_sees_the_test_speakers(monkeypatch: pytest.MonkeyPatch):
    heard: list[set[str]] = []
    real = Tuned.fit

    def spy(self: Tuned, X: Any, y: Any, groups: Any = None, **more: Any) -> Tuned:
        heard.append(set(groups))
        return real(self, X, y, groups=groups, **more)

    monkeypatch.setattr(Tuned, "fit", spy)
    data = nested(trials=1)
    monkeypatch.setattr(spy, "__signature__", None, raising=False)
    evaluation = evaluate(data)
    names = np.array(data.speakers)
    for (_, test), known in zip(evaluation.fitted.members, heard, strict=True):
        assert known.isdisjoint(names[test])


def test_a_search_of_nothing_is_refused():
    with pytest.raises(RecipeError, match=r"search\.nested"):
        prepared(
            model={"name": "voting"},
            search={"nested": True},
        )


def test_an_evaluation_says_all_there_is(tmp_path: Path):
    data = prepared()
    evaluation = evaluate(data)
    document = json.loads(write_evaluation(evaluation, tmp_path).read_text())
    assert document["corpora"][0]["clips"] == len(data.corpus)
    assert len(document["by_speaker"]) == SPEAKERS
    assert document["left_out"] == []
    assert document["importance"] == []
    found = read_record(tmp_path).result
    assert set(found.about["gender"]) == {"female", "male"}
    assert set(found.about["text"]) == {"sentence 0", "sentence 1"}
    assert found.scores()["uar"] == pytest.approx(document["uar"])


def test_other_models_have_another_fingerprint():
    one = evaluate(prepared())
    same = evaluate(prepared())
    other = evaluate(prepared(model={"name": "svm", "C": 0.01}))
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_training_on_one_corpus_and_testing_on_another():
    data = prepared()
    rows = [
        replace(clip, corpus="other", speaker=f"other-{clip.speaker}", path=Path(f"o-{clip.path}"))
        if number >= 60
        else clip
        for number, clip in enumerate(data.corpus)
    ]
    corpus = Corpus("made", tuple(rows))
    protocol = replace(data.recipe.protocol, split="train_and_test", test=("other",), named={})
    folds, words = make_folds(protocol, corpus)
    recipe = replace(data.recipe, protocol=protocol)
    result = evaluate(Prepared(recipe, corpus, (corpus,), folds, words, None, data.X)).result
    assert result.protocol == "trained on made, tested on other, 3 common emotions"
    assert set(result.about["corpus"]) == {"other"}
    assert len(result.truth) == len(rows) - 60
