"""The command stress, on a few recordings and two bundled models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import typer
from click.testing import Result
from typer.testing import CliRunner

from serein.cli.stress import stress
from serein.errors import BadFilesError, BundleError, CorpusError, ProtocolError, SereinError

SAMPLES = Path(__file__).parents[1] / "samples"
VOICES = ("english-fast-high", "english-slow-low", "german", "mandarin")
EMOTIONS = ("anger", "calm", "sadness", "anger")
FEW = ("--conditions", "gain -20 dB,telephone,babble 20 dB")

app = typer.Typer()
app.command()(stress)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("robots")
    lines = ["file,emotion,speaker,gender"]
    for number, (voice, emotion) in enumerate(zip(VOICES, EMOTIONS, strict=True)):
        sound = (SAMPLES / f"espeak-{voice}.flac").read_bytes()
        (folder / f"{voice}.flac").write_bytes(sound)
        lines.append(f"{voice}.flac,{emotion},robot{number},{'female' if number % 2 else 'male'}")
    (folder / "robots.csv").write_text("\n".join(lines))
    return folder


def run(data: Path, *options: str, model: str = "emodb") -> Result:
    cache = str(data / "cache")
    return CliRunner().invoke(app, [model, "--data", str(data), "--cache", cache, *options])


def test_tables_are_printed(data: Path) -> None:
    done = run(data, *FEW, "--merge", "calm=neutral")
    assert done.exit_code == 0, done.output
    assert "emodb on robots: 4 clips, 4 speakers not known to the model by name" in done.output
    for words in ("Robustness", "clean", "background noise", "babble 20 dB", "unchanged", "%"):
        assert words in done.output
    assert "gender: 2 of 2 with fewer than 10 clips are not tested" in done.output
    assert "no language is known: there is nothing to compare" in done.output
    assert "note: emodb may also predict boredom, disgust, fear, happiness" in done.output
    assert all(len(line) <= 80 for line in done.output.split("speaker: ")[0].splitlines()[:-1])


def test_groups_that_are_large_enough_are_printed(data: Path, tmp_path: Path) -> None:
    rows = ["file,emotion,speaker,gender,text"]
    for number in range(24):
        voice, emotion = VOICES[number % 4], EMOTIONS[number % 4]
        target = tmp_path / f"{number}.flac"
        sound, rate = soundfile.read(data / f"{voice}.flac")
        soundfile.write(target, sound[number:], rate)  # no duplicate of another speaker's
        gender = "female" if number % 2 else "male"
        rows.append(f"{target.name},{emotion},robot{number},{gender},all say the same")
    (tmp_path / "many.csv").write_text("\n".join(rows))
    done = run(tmp_path, "--conditions", "gain -20 dB", "--merge", "calm=neutral")
    assert done.exit_code == 0, done.output
    assert "Fairness" in done.output
    assert "female" in done.output
    assert "chance: permutation of speakers; one comparison" in done.output
    assert "of every clip the sentence is all say the same" in done.output


def test_json_and_files_say_the_same(data: Path, tmp_path: Path) -> None:
    done = run(data, *FEW, "--json", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed == json.loads((tmp_path / "out" / "stress.json").read_text())
    assert list(printed["conditions"]) == ["babble 20 dB", "telephone", "gain -20 dB"]
    assert printed["clips"] == 3  # calm is no word of this model
    assert any("1 of calm (see --merge)" in note for note in printed["notes"])
    assert "written:" in done.stderr
    assert (tmp_path / "out" / "stress-predictions.csv").is_file()


def test_speakers_heard_in_training_are_refused_unless_allowed(data: Path, tmp_path: Path) -> None:
    table = (data / "robots.csv").read_text().replace("speaker,", "speaker,corpus,")
    for number in range(4):
        table = table.replace(f"robot{number}", f"1{number},emodb")
    (tmp_path / "table.csv").write_text(table)
    options = ("--corpus", str(tmp_path / "table.csv"), "--conditions", "telephone")
    refused = run(tmp_path, *options)
    assert isinstance(refused.exception, CorpusError)  # the recordings are elsewhere
    for voice in VOICES:
        (tmp_path / f"{voice}.flac").write_bytes((data / f"{voice}.flac").read_bytes())
    refused = run(tmp_path, *options)
    assert isinstance(refused.exception, ProtocolError)
    assert "3 speakers (emodb-10, emodb-12, emodb-13)" in str(refused.exception)
    allowed = run(tmp_path, *options, "--speaker-overlap", "allow")
    assert allowed.output.lstrip().count("NOT SPEAKER-INDEPENDENT, OPTIMISTIC: emodb on emodb") == 1


def with_rows(data: Path, folder: Path, *rows: str) -> Path:
    """The robots, the German one in another kind of file too, and more rows in their table."""
    for file in data.glob("*.flac"):
        (folder / file.name).write_bytes(file.read_bytes())
    sound, rate = soundfile.read(data / "german.flac", dtype="int16")
    soundfile.write(folder / "german.wav", sound, rate)
    (folder / "bad.wav").write_bytes(b"RIFF but no more")
    table = (data / "robots.csv").read_text()
    (folder / "robots.csv").write_text("\n".join([table, *rows]))
    return folder


def test_a_duplicate_is_judged_once_and_counted(data: Path, tmp_path: Path) -> None:
    twice = with_rows(data, tmp_path, "german.wav,sadness,robot2,male")
    done = run(twice, "--conditions", "gain -20 dB")
    assert done.exit_code == 0, done.output
    assert "emodb on robots: 3 clips, 3 speakers not known to the model by name" in done.output
    words = "1 duplicate of other recordings of the same speaker and emotion"
    assert f"note: left out: {words}" in done.output


def test_a_duplicate_with_other_labels_is_refused(data: Path, tmp_path: Path) -> None:
    twice = with_rows(data, tmp_path, "german.wav,anger,robot3,male")
    refused = run(twice, "--conditions", "gain -20 dB")
    assert isinstance(refused.exception, BadFilesError)
    assert "under more than one speaker and emotion: keep one" in str(refused.exception)
    allowed = run(twice, "--conditions", "gain -20 dB", "--speaker-overlap", "allow")
    assert "emodb on robots: 4 clips" in allowed.output


def test_a_table_is_found_in_the_folder_in_whatever_form(data: Path, tmp_path: Path) -> None:
    table = with_rows(data, tmp_path) / "robots.csv"
    cells = table.read_text().replace(",", ";")
    table.unlink()
    for name, text in (("A.CSV", f"sep=;\r\n{cells}"), ("a.tsv", cells.replace(";", "\t"))):
        (tmp_path / name).write_text(text)
        done = run(tmp_path, "--conditions", "gain -20 dB")
        assert done.exit_code == 0, done.output
        (tmp_path / name).unlink()


def test_bad_recordings_are_all_named_and_can_be_left_out(data: Path, tmp_path: Path) -> None:
    (tmp_path / "gone.wav").write_bytes(b"")
    bad = with_rows(data, tmp_path, "bad.wav,anger,robot3,", "gone.wav,anger,robot3,")
    refused = run(bad, "--conditions", "gain -20 dB")
    assert str(refused.exception).startswith("2 of 5 recordings cannot be used: ")
    done = run(bad, "--conditions", "gain -20 dB", "--skip-bad")
    assert done.exit_code == 0, done.output
    for name in ("bad.wav", "gone.wav"):
        assert f"note: left out, as it cannot be used: {tmp_path / name}: " in done.output
    only = ["--speaker-overlap", "allow", "--corpus"]
    for name in ("bad.wav", "lost.wav"):
        (tmp_path / "none.csv").write_text(f"file,emotion,speaker\n{name},anger,a\n")
        assert isinstance(run(bad, *only, "none.csv", "--skip-bad").exception, BadFilesError)


def test_missing_recordings_can_be_left_out(data: Path, tmp_path: Path) -> None:
    lacking = with_rows(data, tmp_path, "lost.wav,anger,robot3,")
    refused = run(lacking, "--conditions", "gain -20 dB")
    assert "1 of its files not found in " in str(refused.exception)
    done = run(lacking, "--conditions", "gain -20 dB", "--skip-bad")
    assert f"note: left out, as it cannot be used: {tmp_path / 'lost.wav'}: is not" in done.output


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["--conditions", "nois"], SereinError, "unknown condition 'nois'"),
        (["--conditions", "babble telephone"], SereinError, "; separate several with commas"),
        (["--merge", "calm"], SereinError, "need OLD=NEW, for instance calm=neutral"),
        (["--merge", "clam=neutral"], CorpusError, "unknown emotion 'clam'; known: calm"),
        (["--corpus", "emo-db"], CorpusError, "unknown corpus 'emo-db'; known: emodb"),
        (["--corpus", "gone.csv"], CorpusError, "cannot read the table"),
        (["--corpus", "gone.TSV"], CorpusError, "cannot read the table"),
    ],
)
def test_wrong_usage_says_what_to_do(
    data: Path, options: list[str], error: type[SereinError], message: str
) -> None:
    done = run(data, *options)
    assert isinstance(done.exception, error)
    assert message in str(done.exception)


def test_unknown_models_and_folders_are_refused(data: Path) -> None:
    assert isinstance(run(data, model="nobody").exception, BundleError)
    assert isinstance(run(data / "gone").exception, CorpusError)
    assert run(data, "--speaker-overlap", "perhaps").exit_code == 2
    assert run(data, "--clips", "-1").exit_code == 2
