"""Which clips a trial is about: folders are recognised, and draws are even."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from command_line import run
from serein.analysis.clips import draw_clips, find_corpus, named_apart, perhaps_known
from serein.audio.read import RATE_HZ
from serein.corpora import Corpus, Utterance
from serein.corpora.corpus import place_of
from serein.errors import CorpusError
from serein.experiment.data import read_corpora
from serein.experiment.recipe import Data, Recipe

SPEAKERS = 8


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Eight people, four emotions, two sentences."""
    rows = [
        Utterance(Path(f"{speaker}-{emotion}-{text}.wav"), "made", f"made-{speaker}", emotion)
        for speaker in range(SPEAKERS)
        for emotion in ("anger", "happiness", "neutral", "sadness")
        for text in ("one", "two")
    ]
    return Corpus("made", tuple(rows))


@pytest.mark.parametrize("count", [1, 8, 20, 40, 64, 100])
def test_every_speaker_and_emotion_is_drawn(corpus: Corpus, count: int) -> None:
    drawn = draw_clips(corpus.utterances, count, 0)
    assert len(drawn) == min(max(count, SPEAKERS), len(corpus))
    assert {clip.speaker for clip in drawn} == set(corpus.speakers)
    assert {clip.emotion for clip in drawn} == set(corpus.emotions)
    for of in ("speaker", "emotion"):
        times = [
            sum(getattr(clip, of) == name for clip in drawn) for name in getattr(corpus, f"{of}s")
        ]
        assert max(times) - min(times) <= 2
    assert drawn == draw_clips(corpus.utterances, count, 0)
    assert count > 50 or drawn != draw_clips(corpus.utterances, count, 1)


def test_a_rare_emotion_of_one_speaker_is_drawn(corpus: Corpus) -> None:
    rare = [replace(clip, emotion="fear") for clip in corpus.utterances[-2:]]
    drawn = draw_clips([*corpus.utterances[:-2], *rare], 8, 0)
    assert "fear" in {clip.emotion for clip in drawn}


def table(folder: Path, name: str = "index.csv", rows: str = "x.wav,calm,ann") -> Path:
    soundfile.write(folder / "x.wav", np.zeros(1600), RATE_HZ)
    path = folder / name
    path.write_text(f"file,emotion,speaker\n{rows}\n")
    return path


def test_a_table_in_the_folder_is_the_corpus(tmp_path: Path) -> None:
    path = table(tmp_path)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for found in (find_corpus(tmp_path), find_corpus(path), find_corpus(tmp_path, "index.csv")):
        assert found.speakers == ("index-ann",)
    elsewhere = tmp_path / "tables"
    elsewhere.mkdir()
    moved = path.rename(elsewhere / "calls.csv")
    assert find_corpus(tmp_path, str(moved)).speakers == ("calls-ann",)


def test_a_table_of_recordings_trained_on_is_told(tmp_path: Path) -> None:
    rows = [("03a01Fa", "x-a"), ("08b02Wd", "x-b"), ("call", "x-c")]
    clips = [Utterance(tmp_path / f"{file}.wav", "x", who, "calm") for file, who in rows]
    trained_on = {"emodb-03", "emodb-16"}
    assert named_apart(clips, trained_on)
    (note,) = perhaps_known(clips, trained_on, "multi")
    assert note.startswith("1 of 3 files named like recordings of emodb on which multi was")
    assert perhaps_known(clips[1:], trained_on, "multi") == []
    assert not named_apart(clips, {"x-d"})
    official = [replace(clip, corpus="emodb") for clip in clips]
    assert not named_apart(official, trained_on)


def test_file_names_tell_a_known_corpus(tmp_path: Path) -> None:
    for name in ("03a01Fa", "08b02Wd", "16b10Lb"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(1600), RATE_HZ)
    soundfile.write(tmp_path / "stray.wav", np.zeros(1600), RATE_HZ)
    assert find_corpus(tmp_path).name == find_corpus(tmp_path, "emodb").name == "emodb"
    soundfile.write(tmp_path / "03-01-05-01-01-01-12.wav", np.zeros(1600), RATE_HZ)
    with pytest.raises(
        CorpusError, match="could be any of ravdess, emodb; say which with --corpus"
    ):
        find_corpus(tmp_path)


def test_what_is_no_corpus_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is not named like a known corpus; say which"):
        find_corpus(tmp_path)
    with pytest.raises(CorpusError, match="gone is not a folder"):
        find_corpus(tmp_path / "gone")
    with pytest.raises(CorpusError, match=r"unknown corpus 'emo-db'; known: emodb.*or name a CSV"):
        find_corpus(tmp_path, "emo-db")
    table(tmp_path)
    table(tmp_path, "again.csv")
    with pytest.raises(CorpusError, match=r"any of again\.csv, index\.csv; say which"):
        find_corpus(tmp_path)


def test_a_table_is_found_in_the_folder_or_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    by_path, data = f"{tmp_path.name}/index.csv", Path(tmp_path.name)
    assert place_of(by_path, data) == Path(by_path) == place_of("index.csv", data)
    recipe = Recipe("mine", data=Data(corpora=(by_path,)))
    (found,) = read_corpora(recipe, data)
    assert found.speakers == find_corpus(data, by_path).speakers == ("index-ann",)
    assert run("corpus", by_path, data).stdout.startswith("index: 1 ")
    for name in ("emodb", by_path):
        said = run("corpus", name, "nope", status=2).stderr
        assert "nope is not a folder" in said
        assert "ffmpeg" not in said
