"""Every recording, whatever is beside it: folders of all sorts, standard input, names."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import serein
from made_folder import RATE_HZ, as_nobody, bad_kinds, encoded, fill, good_kinds
from made_videos import VOICE
from serein.audio.read import ChunkReader
from serein.cli import app
from serein.errors import AudioError
from serein.untrusted import printable

pytest.importorskip("av", reason="PyAV is not installed: pip install 'serein[media]'")
ROOT = Path(__file__).parents[1]


def run(*arguments: str | Path, given: bytes = b"", status: int = 0) -> tuple[str, str]:
    """Run `serein` in a process of its own: bytes in, texts out."""
    done = subprocess.run(
        [sys.executable, "-m", "serein", *map(os.fspath, arguments)],
        input=given,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    said = done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in said
    assert done.returncode == status, said
    return done.stdout.decode(), said


def test_of_a_mixed_folder_all_good_ones_are_answered_and_each_bad_one_has_its_reason(
    tmp_path: Path,
) -> None:
    good, bad = 200, 56  # each kind many times, or twice
    reasons = fill(tmp_path / "mixed", good, bad)
    out = tmp_path / "table.csv"
    said, warned = run("predict", tmp_path / "mixed", "--out", out, "--jobs", "1", status=1)
    assert said.endswith(f"{good} predicted, {bad} failed: {out}\n")
    assert "files not read: " in warned
    assert "libmpg123" not in warned
    with out.open(encoding="utf-8", newline="") as table:
        rows = {row["file"]: row for row in csv.DictReader(table)}
    assert len(rows) == good + bad
    assert sum(bool(row["emotion"] or row["speech"] == "False") for row in rows.values()) == good
    for path, reason in reasons.items():
        assert reason in rows[str(path)]["error"], path


def test_the_commands_that_print_count_what_they_do_not_read(tmp_path: Path) -> None:
    voice = encoded(serein.read_audio(VOICE), "FLAC")
    (tmp_path / "a.flac").write_bytes(voice)
    for name in ("b.txt", "c.txt", "d.jpg", "Thumbs.db", ".hidden"):
        (tmp_path / name).write_text("x")
    (tmp_path / "e.wav").symlink_to(tmp_path / "gone.wav")
    done = CliRunner().invoke(app, ["predict", str(tmp_path)])
    assert done.exit_code == 1
    assert "a.flac" in done.stdout
    assert f"{tmp_path}: 4 files not read: 2 .txt, 1 .jpg, 1 dangling link\n" in done.stderr
    done = CliRunner().invoke(app, ["predict", str(tmp_path), "--json"])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(row["file"]).name for row in rows if "error" in row] == [
        *("b.txt", "c.txt", "d.jpg", "e.wav"),
    ]
    assert "is not read: of type .txt" in rows[1]["error"]
    table = tmp_path.parent / f"{tmp_path.name}.csv"
    done = CliRunner().invoke(app, ["features", str(tmp_path), "--out", str(table)])
    assert done.exit_code == 1
    assert "4 files not read" in done.stderr
    assert table.read_text().count("a.flac") == 1


def test_in_python_each_is_an_error_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(encoded(serein.read_audio(VOICE), "FLAC"))
    (tmp_path / "b.txt").write_text("x")
    (good, _), (bad, error) = serein.load().predict_all([tmp_path])
    assert (good.name, bad.name) == ("a.flac", "b.txt")
    assert isinstance(error, AudioError)


@pytest.mark.skipif(sys.platform != "linux", reason="rights as POSIX has them")
def test_a_closed_folder_costs_the_others_nothing() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "a.flac").write_bytes(encoded(serein.read_audio(VOICE), "FLAC"))
        (folder / "closed").mkdir(mode=0o700)
        if os.geteuid() != 0:
            (folder / "closed").chmod(0)
        done: list[Any] = []
        as_nobody(lambda: done.append(CliRunner().invoke(app, ["predict", place])))
        assert done[0].exit_code == 1
        assert "a.flac" in done[0].stdout
        assert "1 file not read: 1 closed folder (cannot be listed: Permission" in done[0].stderr


def test_every_kind_that_is_read_is_read_by_read_audio_too() -> None:
    voice = serein.read_audio(VOICE)[:RATE_HZ]
    for ending, content in good_kinds(voice).items():
        assert serein.read_audio(content).size == pytest.approx(RATE_HZ, abs=3000), ending
    for ending, (content, reason) in bad_kinds(voice).items():
        if ending.endswith((".wav", ".flac", ".m4a")):
            with pytest.raises(AudioError, match=reason):
                serein.read_audio(content)


def test_standard_input_is_a_recording(tmp_path: Path) -> None:
    line, _ = run("predict", VOICE)
    said, _ = run("predict", "-", given=VOICE.read_bytes())
    assert said.split("   ")[1:] == line.split("   ")[1:]
    assert said.startswith("-   ")
    runner = CliRunner()
    for command in (
        ["features", "-", "--out", str(tmp_path / "f.csv")],
        ["denoise", "-", str(tmp_path / "clean.wav")],
        ["plot", "-", "--out", str(tmp_path / "p.png")],
    ):
        done = runner.invoke(app, command, input=VOICE.read_bytes())
        assert done.exit_code == 0, (command, done.output)
        assert Path(command[-1]).stat().st_size > 1000
    done = runner.invoke(app, ["listen", "--file", "-"], input=VOICE.read_bytes())
    assert done.exit_code == 0, done.output
    assert "neutral" in done.output
    _, said = run("predict", "-", given=b"", status=1)
    assert said.startswith("serein: -: is empty (0 bytes); copy or record it again\n")
    _, said = run("plot", "-", given=b"", status=2)
    assert "name the picture with --out" in said


def test_an_empty_path_is_not_the_working_folder() -> None:
    _, said = run("predict", "", status=1)
    assert said.startswith("serein: the path is empty: name a recording, or a folder of them\n")


@pytest.mark.parametrize("command", ["denoise", "plot", "explain"])
def test_no_command_writes_over_what_it_reads(tmp_path: Path, command: str) -> None:
    ending = ".flac" if command == "denoise" else ".png"
    path, link = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    path.write_bytes(VOICE.read_bytes())
    link.symlink_to(path)
    for target in (path, link):
        out = [str(target)] if command == "denoise" else ["--out", str(target)]
        done = CliRunner().invoke(app, [command, str(path), *out])
        assert done.exit_code != 0
        assert "is the recording itself; name another file to write" in str(done.exception)
    assert path.read_bytes() == VOICE.read_bytes()


NAMES = ("Gr\udcfcn", "line\nbreak", "\x1b[31mred", "right\u202eleft")


@pytest.mark.parametrize("command", ["predict", "features"])
def test_an_address_is_named_as_one(tmp_path: Path, command: str) -> None:
    out = ["--out", str(tmp_path / "t.csv")] if command == "features" else []
    done = CliRunner().invoke(app, [command, "https://example.org/a.wav", *out])
    assert "https://example.org/a.wav: is an address" in done.stderr


@pytest.mark.parametrize("form", ["eaf", "csv", "vtt"])
def test_a_format_on_standard_output_is_the_file(tmp_path: Path, form: str) -> None:
    named = tmp_path / "zero\u200bwidth.flac"
    named.write_bytes(VOICE.read_bytes())
    runner = CliRunner()
    printed = runner.invoke(app, ["predict", str(named), "--format", form])
    runner.invoke(app, ["predict", str(named), "--format", form, "--out", str(tmp_path / "out")])
    (file,) = (tmp_path / "out").iterdir()
    dated = rb'DATE="[^"]*"'
    assert re.sub(dated, b"", printed.stdout_bytes) == re.sub(dated, b"", file.read_bytes())
    assert "\\u200b" in file.name


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there alone")
def test_every_writer_takes_every_name(tmp_path: Path) -> None:
    signal, folder, runner = serein.read_audio(VOICE)[:RATE_HZ], tmp_path / "named", CliRunner()
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.flac").write_bytes(encoded(signal, "FLAC"))
    for command in (["predict", "--jobs", "1"], ["features", "--set", "zero_crossing_rate"]):
        for ending in ("csv", "parquet", "jsonl" if command[0] == "predict" else "npz"):
            out = ["--out", str(tmp_path / f"{command[0]}.{ending}")]
            done = runner.invoke(app, [*command, str(folder), *out])
            assert done.exit_code == 0, (command, done.output, done.exception)
    for form in ("json", "csv", "srt", "eaf", "rttm", "labelstudio", "audformat"):
        out = ["--format", form, "--out", str(tmp_path / form)]
        done = runner.invoke(app, ["predict", str(folder), *out])
        assert done.exit_code == 0, (form, done.output, done.exception)
        count = 2 if form == "audformat" else len(NAMES)  # of which all are in one table
        assert len(list((tmp_path / form).iterdir())) == count
    path = folder / f"{''.join(NAMES)}.flac"
    path.write_bytes(encoded(signal, "FLAC"))
    for command, ending in (("plot", ".png"), ("explain", ".explained.png")):
        done = runner.invoke(app, [command, str(path)])
        assert done.exit_code == 0, (command, done.output, done.exception)
        assert (folder / f"{printable(path.stem)}{ending}").is_file()
    done = runner.invoke(app, ["predict", str(path), "--json"])
    assert json.loads(done.stdout)["file"] == str(path)


def test_float_samples_that_were_never_scaled_meet_one_rule(tmp_path: Path) -> None:
    loud = serein.read_audio(VOICE) * 32768
    soundfile.write(tmp_path / "loud.wav", loud, RATE_HZ, subtype="FLOAT")
    for source in (tmp_path / "loud.wav", (tmp_path / "loud.wav").read_bytes()):
        with pytest.raises(AudioError, match="full scale is 1: these look like integer samples"):
            serein.read_audio(source)
    with pytest.raises(AudioError, match="full scale is 1: these look like integer samples"):
        serein.read_audio(loud, rate=RATE_HZ)
    with pytest.raises(AudioError, match="full scale is 1"):
        ChunkReader(RATE_HZ).push(loud.astype(np.float64))
