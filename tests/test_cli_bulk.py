"""`serein predict --out`: nothing is lost, nothing is answered twice, whatever is killed."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil
import pytest
import soundfile
from typer.testing import CliRunner

import serein
from serein.bulk.predict_all import DIED
from serein.cli import app
from serein.emotions import emotion_name
from serein.errors import SereinError

parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'serein[scale]'")
RATE_HZ = 16_000
COUNT = 36
Row = dict[str, object]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short recordings, each another, and one that is none."""
    here = tmp_path_factory.mktemp("bulk") / "recordings"
    here.mkdir()
    voice = serein.read_audio(Path(__file__).parents[1] / "samples" / "espeak-german.flac")
    for number in range(COUNT):
        part = np.roll(voice, -number * 800)[: 2 * RATE_HZ]
        soundfile.write(here / f"{number:03}.flac", part, RATE_HZ)
    (here / "005b.wav").write_text("not audio")
    return here


def start(folder: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "serein", "predict", str(folder), "--out", str(out), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(process: subprocess.Popen[str], status: int = 1) -> str:
    said, complained = process.communicate(timeout=120)
    assert process.returncode == status, complained
    return said + complained


def table(out: Path) -> list[Row]:
    return parquet.read_table(out).to_pylist()


def journal(out: Path) -> Path:
    return out.with_name(f".{out.name}.journal")


def log(out: Path) -> Path:
    """SQLite's write-ahead log, to which each row is appended."""
    return journal(out).with_name(f"{journal(out).name}-wal")


def predicted(out: Path) -> int:
    """Count the rows that are on disk; the database itself is locked."""
    files = [file for file in (journal(out), log(out)) if file.exists()]
    return len(
        {row for file in files for row in re.findall(rb'"file": "[^"]+"', file.read_bytes())}
    )


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """What a run that nobody disturbs writes."""
    out = tmp_path_factory.mktemp("whole") / "results.parquet"
    said = finish(start(folder, out, "--jobs", "2"))
    assert f"{COUNT} predicted, 1 failed: {out}" in said
    assert sorted(out.parent.iterdir()) == [out]
    return table(out)


def test_a_row_a_recording_as_predict_answers(folder: Path, whole: list[Row]) -> None:
    assert [row["file"] for row in whole] == sorted(str(file) for file in folder.iterdir())
    recognizer = serein.load(threads=1)
    for row in whole[::9]:
        values = recognizer.predict(str(row["file"])).to_dict()
        for name in ("duration", "kind", "speech", "emotion", "confidence", "valence", "arousal"):
            assert row[name] == values[name]
        assert {f"p_{k}": v for k, v in values["probabilities"].items()}.items() <= row.items()
    (bad,) = [row for row in whole if row["error"]]
    assert "005b.wav: cannot be decoded" in str(bad["error"])
    assert bad["emotion"] is None


def test_killed_twice_the_table_is_the_same(folder: Path, whole: list[Row], tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"
    for least in (3, 20):
        process = start(folder, out, "--jobs", "2")
        family = psutil.Process(process.pid)
        wait_until(lambda least=least: predicted(out) >= least)
        below = family.children(recursive=True)
        process.kill()
        process.communicate()
        assert not out.exists()
        with log(out).open("ab") as torn:
            torn.write(b'{"file": "half a li')
        _, alive = psutil.wait_procs(below, timeout=20)
        assert alive == []
    said = finish(start(folder, out, "--jobs", "2"))
    assert "going on: " in said
    assert table(out) == whole
    assert not journal(out).exists()


def test_a_killed_process_costs_no_answer(folder: Path, whole: list[Row], tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"
    process = start(folder, out, "--jobs", "2")
    wait_until(lambda: predicted(out) >= 4)
    workers = [
        child
        for child in psutil.Process(process.pid).children()
        if "resource_tracker" not in " ".join(child.cmdline())
    ]
    workers[-1].kill()
    finish(process)
    rows = table(out)
    assert [row["file"] for row in rows] == [row["file"] for row in whole]
    assert [row for row in rows if DIED not in str(row["error"])] == whole


def test_one_process_and_other_formats(folder: Path, whole: list[Row], tmp_path: Path) -> None:
    lines, commas = tmp_path / "results.jsonl", tmp_path / "results.csv"
    few = folder / "001.flac", folder / "005b.wav"
    for out, jobs in ((lines, "-1"), (commas, "1")):
        command = [sys.executable, "-m", "serein", "predict", *map(str, few), "--out", str(out)]
        assert subprocess.run([*command, "--jobs", jobs], check=False).returncode == 1
    expected = [row for row in whole if Path(str(row["file"])) in few]
    assert [json.loads(line) for line in lines.read_text().splitlines()] == expected
    with commas.open(newline="") as file:
        rows = list(csv.DictReader(file))
    as_text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in expected]
    assert rows == as_text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--json",), "leave --json out"),
        (("--same-speaker",), "leave --same-speaker out"),
        (("--threads", "2"), "leave --threads out"),
        (("--out", "nowhere/r.parquet"), "there is no folder nowhere"),
        (("--out", "r.xlsx"), "unknown format '.xlsx'"),
        (("--out", __file__), "is there already"),
        (("--model", "mutli"), "unknown model"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    folder: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    out = () if "--out" in options else ("--out", str(tmp_path / "r.jsonl"))
    if options[-1] == __file__:
        (tmp_path / "r.csv").touch()
        options = ("--out", str(tmp_path / "r.csv"))
    done = CliRunner().invoke(app, ["predict", str(folder), *out, *options])
    assert done.exit_code == (1 if isinstance(done.exception, SereinError) else 2)
    assert words in " ".join(f"{done.output} {done.exception}".replace("│", " ").split())


def test_the_docs_table_is_the_benchs(load_bench: Callable[[str], ModuleType]) -> None:
    bench, root = load_bench("bulk"), Path(__file__).parents[1]
    found = json.loads((root / "results" / "bulk.json").read_text(encoding="utf-8"))
    page = (root / "docs" / "BULK.md").read_text(encoding="utf-8")
    assert page.split(bench.MARK)[1].strip() == bench.table(found)


def test_why_files_fail_is_printed(tmp_path: Path) -> None:
    table, runner = tmp_path / "table.csv", CliRunner()
    done = runner.invoke(app, ["predict", str(tmp_path / "typo.wav"), "--out", str(table)])
    assert done.exit_code == 1
    assert "typo.wav: there is no such file" in done.stderr
    assert not table.exists()
    for number in range(5):
        (tmp_path / f"{number}.wav").write_text("hello")
    done = runner.invoke(app, ["predict", str(tmp_path), "--out", str(table), "--jobs", "1"])
    assert done.exit_code == 1
    assert done.stderr.count("it is text, not a recording") == 3
    assert table.read_text().count("it is text, not a recording") == 5


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
def test_ctrl_c_says_what_is_kept(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serein", "predict", folder, "--jobs", "1", "--out"]
    work = subprocess.Popen([*command, tmp_path / "table.csv"], stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob(".table.csv.journal")):
        time.sleep(0.05)
    time.sleep(0.5)  # the journal is open by then
    work.send_signal(signal.SIGINT)
    said = work.communicate(timeout=60)[1]
    assert work.returncode == 130
    assert re.search(r"stopped: \d+ of \d+ files are done; the same command goes on", said)
    assert "Traceback" not in said


def test_other_settings_do_not_go_on(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    process = start(folder, out, "--jobs", "1")
    wait_until(lambda: predicted(out) >= 1)
    process.send_signal(signal.SIGSTOP)  # it would be done before the other begins
    assert "another process is writing it" in finish(start(folder, out), status=2)
    process.kill()
    process.communicate()
    said = finish(start(folder, out, "--jobs", "1", "--unsure-below", "0.9"), status=2)
    assert "was begun with other settings (unsure_below)" in said


def test_a_row_a_channel_and_a_row_a_segment(tmp_path: Path) -> None:
    voice = serein.read_audio(Path(__file__).parents[1] / "samples" / "espeak-german.flac")
    sound = np.stack([voice, np.zeros_like(voice)], axis=1)
    calls = tmp_path / "calls"
    calls.mkdir()
    soundfile.write(calls / "a.flac", sound, RATE_HZ)
    chinese = ["--timeline", "--lang", "zh"]
    for options, name in (([], "lanes.parquet"), (chinese, "rows.csv")):
        finish(start(calls, tmp_path / name, "--channels", "each", "--jobs", "1", *options), 0)
    found = serein.load(threads=1).predict(calls / "a.flac", channels="each")
    rows = table(tmp_path / "lanes.parquet")
    assert [(row["channel"], row["emotion"], row["speech"]) for row in rows] == [
        (lane.channel, lane.emotion, lane.speech) for lane in found.lanes
    ]
    assert rows[0]["speech_s"] == pytest.approx(found.lanes[0].speech_s, abs=1e-3)
    with (tmp_path / "rows.csv").open(newline="") as file:
        segments = list(csv.DictReader(file))
    assert [(float(row["start"]), int(row["channel"])) for row in segments] == [
        (round(one.start, 3), one.channel) for one in found.timeline
    ]
    assert segments[0]["emotion"] == emotion_name(str(found.timeline[0].emotion), "zh")
    assert segments[0]["p_anger"]
    assert not segments[1]["p_anger"]
