"""The commands on sound alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

import serein
from command_line import run, run_process
from serein.features.feature_sets import SETS

SAMPLES = Path(__file__).parents[1] / "samples"
VOICE = SAMPLES / "espeak-german.flac"
RATE_HZ = 16_000


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_features_gives_a_row_a_file(tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    run_process("features", SAMPLES, "--set", "mfcc,formants", "--out", out, "--cache", tmp_path)
    rows = rows_of(out)
    assert [Path(row["file"]).name for row in rows] == sorted(
        file.name for file in SAMPLES.glob("*.flac")
    )
    assert {"mfcc_1_mean", "f1_hz_p80"} <= set(rows[0])
    assert float(rows[0]["f1_hz_mean"]) > 200


def test_features_gives_a_row_a_frame(tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    command = ["features", VOICE, "--set", "f0,formants", "--frames", "--out", out]
    run(*command, "--cache", tmp_path)
    rows = rows_of(out)
    assert list(rows[0])[:5] == ["file", "time_s", "f0_hz", "voicing", "f1_hz"]
    assert len(rows) == 1 + serein.read_audio(VOICE).size // 160
    assert float(rows[100]["time_s"]) == pytest.approx(1.0)
    f0_hz = np.array([float(row["f0_hz"]) for row in rows])
    assert 0.2 < np.mean(f0_hz == 0) < 0.8
    assert 60 < np.median(f0_hz[f0_hz > 0]) < 300


def test_features_of_a_file_named_twice_are_two_rows(tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    run("features", VOICE, VOICE, "--set", "mfcc", "--out", out, "--cache", tmp_path)
    first, second = rows_of(out)
    assert first == second


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_features_writes_other_tables(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"x.{ending}"
    assert f"written: {out}" in run("features", VOICE, "--out", out, "--cache", tmp_path).stdout
    assert out.stat().st_size > 1000


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("not audio")
    soundfile.write(tmp_path / "good.wav", serein.read_audio(VOICE), RATE_HZ)
    out = tmp_path / "x.csv"
    done = run("features", tmp_path, tmp_path / "gone.wav", "--out", out, status=1)
    assert "bad.wav: cannot be decoded" in done.stderr
    assert "gone.wav: there is no such file" in done.stderr
    assert [Path(row["file"]).name for row in rows_of(out)] == ["good.wav"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "mfc", "--out", "x.csv"], "unknown feature set 'mfc'; known: mfcc"),
        (["--out", "x.xls"], "unknown format '.xls'"),
        (["--out", "nowhere/x.csv"], "there is no folder nowhere"),
        (["--frames", "--out", "x.csv"], "expert describes whole recordings"),
    ],
)
def test_wrong_usage_of_features_is_status_2(options: list[str], message: str) -> None:
    assert message in run("features", VOICE, *options, status=2).stderr


def test_denoise_takes_noise_out(tmp_path: Path) -> None:
    voice = serein.read_audio(VOICE)
    hiss = 0.02 * np.random.default_rng(0).standard_normal(voice.size)
    soundfile.write(tmp_path / "in.wav", voice + hiss, RATE_HZ, subtype="FLOAT")
    for method in ("wiener", "spectral_subtraction"):
        run("denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--method", method)
        cleaned = serein.read_audio(tmp_path / "out.wav")
        assert cleaned.size == voice.size
        assert np.std(cleaned - voice) < 0.6 * np.std(hiss)


def test_denoise_with_a_reference(tmp_path: Path) -> None:
    voice = serein.read_audio(VOICE)
    hum = 0.1 * np.random.default_rng(0).standard_normal(voice.size)
    heard = np.convolve(hum, [0.5, 0.3, -0.2])[: voice.size]
    soundfile.write(tmp_path / "in.wav", voice + heard, RATE_HZ, subtype="FLOAT")
    soundfile.write(tmp_path / "hum.wav", hum, RATE_HZ, subtype="FLOAT")
    run("denoise", tmp_path / "in.wav", tmp_path / "o.flac", "--reference", tmp_path / "hum.wav")
    later = slice(RATE_HZ, None)
    left = serein.read_audio(tmp_path / "o.flac") - voice
    assert np.std(left[later]) < 0.3 * np.std(heard[later])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([VOICE, "x.mp3"], "name the cleaned recording .wav or .flac"),
        ([VOICE, "nowhere/x.wav"], "there is no folder nowhere"),
        ([VOICE, "x.wav", "--method", "wienr"], "unknown denoising method 'wienr'; known: wiener"),
        ([VOICE, "x.wav", "--reference", SAMPLES / "silence.flac"], "reference has"),
        (["gone.wav", "x.wav"], "there is no such file"),
    ],
)
def test_wrong_usage_of_denoise_is_status_2(arguments: list[str | Path], message: str) -> None:
    assert message in run("denoise", *arguments, status=2).stderr


@pytest.mark.parametrize("name", ["espeak-german-two-voices-with-pause", "silence"])
def test_plot_draws_one_png(tmp_path: Path, name: str) -> None:
    out = tmp_path / "x.png"
    run("plot", SAMPLES / f"{name}.flac", "--out", out)
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "there is no folder" in run("plot", VOICE, "--out", "nowhere/x.png", status=2).stderr


def test_every_set_can_be_asked_for(tmp_path: Path) -> None:
    names = ",".join(SETS)
    out = tmp_path / "x.csv"
    run("features", VOICE, "--set", names, "--out", out, "--cache", tmp_path)
    (row,) = rows_of(out)
    assert all(np.isfinite(float(value)) for key, value in row.items() if key != "file")
