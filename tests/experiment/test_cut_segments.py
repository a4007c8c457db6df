"""Long recordings become corpora: what is predicted into a format is cut out of it again."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serein.corpora.corpus import Corpus
from serein.corpora.segments import read_segments
from serein.errors import CorpusError, ResultsError
from serein.experiment.cut_segments import NUMBERED, TABLE, cut_segments
from serein.experiment.data import read_corpora
from serein.experiment.recipe import Data, Recipe
from serein.features.feature_cache import list_cache
from serein.inference.formats import FORMATS, audformat_files
from serein.inference.prediction import Lane, Prediction, Segment
from serein.inference.timeline import make_segment

RATE = 16_000
CUTS = [(0.5, 1.75, "anger", 1), (2.0, 2.9, "happiness", 2), (3.125, 4.0, "sadness", 1)]


def labelled(start: float, end: float, emotion: str, speaker: int) -> Segment:
    likely = dict.fromkeys(("anger", "happiness", "sadness"), 0.1) | {emotion: 0.8}
    return replace(make_segment((start, end), likely), speaker=speaker)


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A recording whose sample values are their own times."""
    folder = tmp_path / "calls"
    folder.mkdir()
    ramp = (np.arange(5 * RATE) // 4).astype(np.int16)
    soundfile.write(folder / "Anruf 1.flac", ramp, RATE)
    return folder


@pytest.fixture
def prediction() -> Prediction:
    timeline = (*(labelled(*cut) for cut in CUTS), make_segment((4.0, 5.0), {}))
    lanes = tuple(Lane(**vars(labelled(0, 5, "happiness", who)), speech_s=1.0) for who in (1, 2))
    whole = vars(make_segment((0.0, 5.0), {"happiness": 1.0}))
    return Prediction(**whole, file="Anruf 1.flac", model="m", timeline=timeline, lanes=lanes)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of audformat's own way to read
@pytest.mark.parametrize("form", ["csv", "textgrid", "eaf", "labelstudio", "audformat"])
@pytest.mark.parametrize("chinese", [False, True])
def test_what_was_predicted_is_cut(
    calls: Path, prediction: Prediction, form: str, chinese: bool, tmp_path: Path
) -> None:
    place = tmp_path / "grids"
    place.mkdir()
    if form == "audformat":
        for name, content in audformat_files([prediction], chinese).items():
            (place / name).write_bytes(content)
    else:
        suffix = FORMATS[form].suffix
        (place / f"Anruf 1{suffix}").write_bytes(FORMATS[form].write(prediction, chinese))
    table, left_out = cut_segments(place, calls, tmp_path / "cut")
    assert not left_out
    corpus = Corpus.from_csv(table)
    assert sorted(one.emotion for one in corpus) == ["anger", "happiness", "sadness"]
    assert len(corpus.speakers) == 2
    assert all("Anruf 1 " in speaker for speaker in corpus.speakers)
    for one in corpus:
        start, end = next((s, e) for s, e, emotion, _ in CUTS if emotion == one.emotion)
        sound, rate = soundfile.read(one.path, dtype="int16")
        assert (rate, len(sound)) == (RATE, round((end - start) * RATE))
        assert abs(int(sound[0]) - round(start * RATE) // 4) <= 1


ROWS = "file,start,end,emotion,speaker\nAnruf 1.flac,1,2,angry,Ann\nAnruf 1,2,3,Fed up,Bo\n"


def test_a_name_is_a_person_and_own_emotions_are_kept(calls: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(ROWS + "Anruf 1.flac,3,4,no speech,Bo\n")
    made, left_out = cut_segments(table, calls, tmp_path / "cut")
    assert left_out == {"no speech": 1}
    with made.open(newline="") as file:
        assert [(row["emotion"], row["speaker"]) for row in csv.DictReader(file)] == [
            ("anger", "Ann"),
            ("fed up", "Bo"),
        ]
    assert Corpus.from_csv(made).validate().ok
    with pytest.raises(ResultsError, match="holds files already"):
        cut_segments(table, calls, tmp_path / "cut")


def test_own_emotions_of_a_tier_are_kept_and_words_are_not(tmp_path: Path) -> None:
    pympi = pytest.importorskip("pympi")
    grid = pympi.Praat.TextGrid(xmin=0.0, xmax=4.0)
    tiers = {"Ann": ["anger", "fed up"], "words": ["joy", "to", "the"], "emotion of Bo": ["xyz"]}
    for name, labels in tiers.items():
        tier = grid.add_tier(name)
        for number, label in enumerate(labels):
            tier.add_interval(number, number + 1, label)
    grid.to_file(str(tmp_path / "Anruf 1.TextGrid"))
    found, left_out = read_segments(tmp_path)
    assert {(one.emotion, one.speaker) for one in found if one.speaker != "words"} == {
        ("anger", "Ann"),
        ("fed up", "Ann"),
        ("xyz", "emotion of Bo"),
    }
    assert left_out == {"to": 1, "the": 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", ROWS),
        ("a.tsv", ROWS.replace(",", "\t")),
        (
            "a.csv",
            ROWS.replace(",", ";").replace(";1;2;", ";1,0;2,0;"),
        ),  # as in German
    ],
)
def test_a_recipe_takes_segments_as_they_are(
    calls: Path, tmp_path: Path, name: str, text: str
) -> None:
    (calls / name).write_text(text)
    recipe = Recipe("r", Data((name,), folder=str(calls)))
    (corpus,) = read_corpora(recipe, cache=tmp_path)
    assert [(one.emotion, one.speaker) for one in corpus] == [
        ("anger", "a-Ann"),
        ("fed up", "a-Bo"),
    ]
    written = corpus.paths[0].stat().st_mtime_ns
    (again,) = read_corpora(recipe, cache=tmp_path)
    assert again.paths[0].stat().st_mtime_ns == written  # not cut twice
    assert len(list_cache(tmp_path)["segments"]) == 3
    (calls / name).write_text(text.replace("angry", "joy"))
    (changed,) = read_corpora(recipe, cache=tmp_path)
    assert changed.emotions == ("happiness", "fed up")
    (calls / name).write_text(text.replace("angry", "no speech"))
    for _ in "cut", "cut before":
        with pytest.warns(UserWarning, match=r"1 segment\(s\) left out.* no speech \(1\)"):
            (left,) = read_corpora(recipe, cache=tmp_path)
        assert left.emotions == ("fed up",)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "file,start,end\nx,1,2\n", "no column 'emotion'"),
        ("a.csv", "file,start,end,emotion\nAnruf 1,1,2,unsure\n", "no segment of it"),
        (
            "a.csv",
            "file,start,end,emotion\nAnruf 1,2,1,joy\n",
            "Anruf 1 lasts from 2.0 to 1.0 s",
        ),
        ("a.csv", "file,start,end,emotion\nAnruf 1,x,1,joy\n", "line 2: start is 'x' and end '1'"),
        ("a.csv", "file,start,end,emotion\nAnruf 2,1,2,joy\n", "has no recording 'Anruf 2'"),
        ("a.csv", "file,start,end,emotion\nAnruf 1,4,7,joy\n", "is it another recording"),
        ("a.json", "[{", "cannot be read"),
        ("a.json", json.dumps([{"data": {"audio": "x"}}]), "no segment of it"),
        ("a.TextGrid", "nonsense", "cannot be read"),
        ("a.eaf", "<nonsense/>", "no segment of it|cannot be read"),
        ("a.txt", "x", "no annotation"),
    ],
)
def test_what_cannot_be_cut(
    calls: Path, tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=words):
        cut_segments(tmp_path / name, calls, tmp_path / "cut")
    assert not (tmp_path / "cut" / TABLE).exists()


def test_annotations_win_over_predictions(tmp_path: Path) -> None:
    def done(label: str) -> list[dict[str, object]]:
        value = {"start": 1, "end": 2, "labels": [label]}
        return [{"result": [{"id": "a", "type": "labels", "value": value}]}]

    task = {"data": {"audio": "/data/upload/3/call%201.wav"}, "predictions": done("happiness")}
    place = tmp_path / "export.json"
    place.write_text(json.dumps([task | {"annotations": done("anger")}]))
    (found,), _ = read_segments(place)
    assert (found.emotion, found.file) == ("anger", "/data/upload/3/call 1.wav")


def test_names_for_one_recording_alone_are_told_from_those_of_people() -> None:
    alone = [
        "1",
        "speaker 2",
        "SPEAKER_00",
        "left",
        "right speaker 1",
        "channel 1 speaker 2",
        "声道 3",
        "voice",
    ]
    people = ["S01", "Ses01F", "Ann", "03a", "speaker Ann", "lefty"]
    assert [name for name in alone + people if NUMBERED.fullmatch(name)] == alone
