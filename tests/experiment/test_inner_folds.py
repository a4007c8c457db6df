"""Folds inside training are checked against the speakers before any recording is opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serein.corpora import Corpus, Utterance
from serein.errors import ProtocolError
from serein.experiment.inner_folds import check_inner_folds, check_search_folds
from serein.experiment.recipe import Data, Model, Protocol, Recipe, Search
from serein.experiment.recipe_file import short_recipe
from serein.experiment.splits import make_folds
from serein.training.plan import Training

EMOTIONS = ("anger", "calm")


def corpus(speakers: int, *, lonely: bool = False) -> Corpus:
    """Speakers who say two emotions twice, or each one of its own."""
    rows = [
        Utterance(Path(f"{speaker}-{emotion}-{take}.wav"), "my", f"my-{speaker}", emotion)
        for speaker in range(speakers)
        for emotion in EMOTIONS
        for take in range(2)
    ]
    if lonely:
        rows = [replace(row, emotion=f"own {row.speaker[-1]}") for row in rows]
    return Corpus("my", tuple(rows))


def recipe(model: str = "svm", *, folds: int = 0, patience: int = 0, nested: int = 0) -> Recipe:
    return Recipe(
        "small",
        Data(("my.csv",)),
        model=Model(model),
        training=Training(patience=patience),
        protocol=Protocol(calibration_folds=folds),
        search=Search(folds=nested or 5, nested=nested > 0),
    )


@pytest.mark.parametrize(
    ("wanted", "speakers", "message"),
    [
        (recipe(folds=5), 2, r"fold 0 trains on one speaker, my-1, .*calibration_folds = 0 under"),
        (recipe("cnn", patience=3), 2, r"fold 0: early stopping needs .*patience under \[train"),
        (
            recipe("cnn", patience=3, folds=2),
            3,
            r"fold 0, in protocol.calibration_folds: early stopping needs at least 2 speakers",
        ),
        (
            recipe(nested=5),
            4,
            r"fold 0 has 3 speaker\(s\), for search.folds = 5 .*set folds to 2 to 3 under \[search",
        ),
        (recipe(nested=2), 2, r"fold 0 has 1 .*search.folds = 2 .*: add speakers"),
    ],
)
def test_what_does_not_fit_is_refused(wanted: Recipe, speakers: int, message: str):
    rows = corpus(speakers)
    with pytest.raises(ProtocolError, match=message):
        check_inner_folds(wanted, rows, make_folds(wanted.protocol, rows)[0])


@pytest.mark.parametrize(
    ("wanted", "speakers"),
    [
        (recipe(), 2),
        (recipe(folds=5), 3),
        (recipe("svm", patience=3), 2),  # which has no epochs
        (recipe("cnn", patience=3, folds=2), 5),
    ],
)
def test_what_fits_is_let_through(wanted: Recipe, speakers: int):
    rows = corpus(speakers)
    check_inner_folds(wanted, rows, make_folds(wanted.protocol, rows)[0])


def test_a_search_needs_speakers_of_each_emotion():
    check_search_folds(recipe(), corpus(5))
    with pytest.raises(ProtocolError, match=r"the search has 3 speaker.*folds to 2 to 3"):
        check_search_folds(recipe(), corpus(3))
    with pytest.raises(ProtocolError, match=r"the search, in search.folds: .* cannot be made"):
        check_search_folds(recipe(), corpus(5, lonely=True))
    halves = replace(recipe("cnn", patience=1), search=Search(folds=2))
    with pytest.raises(ProtocolError, match=r"the search, in search.folds: early stopping needs"):
        check_search_folds(halves, corpus(2))


def test_the_short_recipe_of_a_corpus_of_two_speakers_fits():
    assert short_recipe("tess", "svm").protocol.calibration_folds == 0
    assert short_recipe("savee", "svm").protocol.calibration_folds == 5
    assert short_recipe("savee", "svm").search.folds == 4


@pytest.mark.parametrize(("speakers", "inner", "search"), [(2, 0, 2), (3, 5, 3), (6, 5, 5)])
def test_the_short_recipe_of_an_own_table_fits_its_speakers(
    tmp_path: Path, speakers: int, inner: int, search: int
):
    rows = [f"{one}.wav,anna {one % speakers},anger" for one in range(12)]
    (tmp_path / "own.csv").write_text("\n".join(["file,speaker,emotion", *rows]))
    made = short_recipe("own.csv", "svm", data=tmp_path)
    assert (made.protocol.calibration_folds, made.search.folds) == (inner, search)
