"""The command line as a user meets it: what it prints, exit status, no traceback."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import serein
from command_line import run, run_process
from serein.emotions import circumplex

ROOT = Path(__file__).parents[1]
VOICE = ROOT / "samples" / "espeak-german.flac"
RATE_HZ = 16_000
IN_VAIN = ("recipes/emodb.toml", "--data", "samples", "--out", "README.md")


def test_one_file_one_line() -> None:
    answer = serein.load().predict(VOICE)
    line = f"{VOICE}   {answer.emotion} {answer.confidence:.2f}   ({answer.duration:.1f} s)\n"
    assert run_process("predict", VOICE).stdout == line


def test_chinese_names() -> None:
    answer = serein.load().predict(VOICE)
    chinese = serein.EMOTIONS[str(answer.emotion)].chinese
    assert chinese in run("predict", VOICE, "--lang", "zh").stdout


def test_json_is_one_object_a_line() -> None:
    lines = run("predict", ROOT / "samples", "--json").stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert len(answers) == len(list((ROOT / "samples").glob("*.flac")))
    by_name = {Path(answer["file"]).name: answer for answer in answers}
    assert by_name["silence.flac"]["emotion"] is None
    assert by_name["pink-noise.flac"]["speech"] is False
    assert by_name["silence.flac"]["valence"] is by_name["silence.flac"]["arousal"] is None
    spoken = by_name[VOICE.name]
    assert spoken["emotion"] in spoken["probabilities"]
    assert spoken["confidence"] == max(spoken["probabilities"].values())
    keys = ["file", "model", "duration", "utterances_known", "kind", "speech", "emotion"]
    keys += ["emotion_zh", "confidence", "probabilities", "valence", "arousal", "experimental"]
    assert list(spoken) == keys
    assert spoken["experimental"] == ["valence", "arousal"]
    valence, arousal = circumplex(spoken["probabilities"])
    assert spoken["valence"] == pytest.approx(valence, abs=1e-3)
    assert spoken["arousal"] == pytest.approx(arousal, abs=1e-3)


@pytest.mark.parametrize(
    ("lang", "valence", "arousal"), [("en", "valence", "arousal"), ("zh", "效价", "唤醒度")]
)
def test_affect_ends_the_line(lang: str, valence: str, arousal: str) -> None:
    answer = serein.load().predict(VOICE)
    (plain,) = run("predict", VOICE, "--lang", lang).stdout.splitlines()
    ending = f"   {valence} {answer.valence:+.2f} {arousal} {answer.arousal:+.2f}\n"
    assert run("predict", VOICE, "--lang", lang, "--affect").stdout == plain + ending


def test_affect_ends_every_row_that_has_speech(tmp_path: Path) -> None:
    pause = np.zeros(14 * RATE_HZ, np.float32)
    soundfile.write(tmp_path / "call.wav", np.append(serein.read_audio(VOICE), pause), RATE_HZ)
    answer = serein.load().predict(tmp_path / "call.wav")
    rows = run("predict", tmp_path / "call.wav", "--timeline", "--affect").stdout.splitlines()
    assert {segment.speech for segment in answer.timeline} == {True, False}
    for row, segment in zip(rows, answer.timeline, strict=True):
        if segment.speech:
            ending = f"valence {segment.valence:+.2f} arousal {segment.arousal:+.2f}"
        else:
            ending = "no speech"
        assert row.endswith(f"   {ending}")


def test_help_says_that_affect_is_derived() -> None:
    text = run("predict", "--help").stdout
    assert "derived from the probabilities" in " ".join(text.replace("│", " ").split())


def test_timeline_is_one_row_a_segment(tmp_path: Path) -> None:
    signal = np.resize(serein.read_audio(VOICE), 20 * RATE_HZ)
    soundfile.write(tmp_path / "call.wav", signal, RATE_HZ)
    answer = serein.load().predict(tmp_path / "call.wav")
    rows = run("predict", tmp_path / "call.wav", "--timeline").stdout.splitlines()
    assert len(rows) == len(answer.timeline)
    for row, segment in zip(rows, answer.timeline, strict=True):
        _, start, end, emotion, confidence = row.split()
        assert float(start) == pytest.approx(segment.start, abs=0.01)
        assert float(end) == pytest.approx(segment.end, abs=0.01)
        assert emotion == segment.emotion
        assert float(confidence) == pytest.approx(segment.confidence, abs=0.01)
    listed = json.loads(run("predict", tmp_path / "call.wav", "--timeline", "--json").stdout)
    assert [row["start"] for row in listed["timeline"]] == [
        round(segment.start, 3) for segment in answer.timeline
    ]


def write_bad_files(folder: Path) -> dict[str, str]:
    """Write what users drop by mistake; say what the message must hold."""
    voice = serein.read_audio(VOICE)
    soundfile.write(folder / "good.wav", voice, RATE_HZ)
    wave = (folder / "good.wav").read_bytes()
    (folder / "empty.wav").touch()
    (folder / "truncated.wav").write_bytes(wave[: len(wave) // 2])
    (folder / "zero-length.wav").write_bytes(wave[:40] + bytes(4))
    (folder / "text.wav").write_text("Dear diary, today I was happy.")
    soundfile.write(folder / "one-sample.wav", voice[:1], RATE_HZ)
    soundfile.write(folder / "twelve.wav", np.stack([voice] * 12, axis=1), RATE_HZ)
    soundfile.write(folder / "slow.wav", voice[:3000], 300)
    soundfile.write(folder / "fast.wav", voice, 1_000_000)
    broken = voice.copy()
    broken[100] = np.nan
    soundfile.write(folder / "nan.wav", broken, RATE_HZ, subtype="FLOAT")
    return {
        "empty.wav": "is empty",
        "truncated.wav": "is truncated",
        "zero-length.wav": "need at least 0.1 s",
        "text.wav": "need WAV, FLAC",
        "one-sample.wav": "is 1 sample",
        "twelve.wav": "has 12 channels; need 1 to 8",
        "slow.wav": "300 Hz; need 4000",
        "fast.wav": "1000000 Hz; need 4000",
        "nan.wav": "NaN",
        "missing.wav": "no such file",
    }


def test_bad_files_are_named_and_the_others_answered(tmp_path: Path) -> None:
    wanted = write_bad_files(tmp_path)
    done = run_process("predict", tmp_path, tmp_path / "missing.wav", status=1)
    assert len(done.stdout.splitlines()) == 1
    assert "good.wav" in done.stdout
    errors = [line for line in done.stderr.splitlines() if not line.startswith("try: ")]
    assert len(errors) == len(wanted)
    for name, words in wanted.items():
        assert any(name in line and words in line for line in errors), name


def test_bad_files_in_json(tmp_path: Path) -> None:
    wanted = write_bad_files(tmp_path)
    done = run("predict", tmp_path, tmp_path / "missing.wav", "--json", status=1)
    rows = {Path(row["file"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == {*wanted, "good.wav"}
    for name, words in wanted.items():
        assert words in rows[name]["error"]


def test_one_bad_file_among_a_hundred(tmp_path: Path) -> None:
    voice = serein.read_audio(VOICE)[:RATE_HZ]
    for number in range(100):
        soundfile.write(tmp_path / f"{number:03}.wav", voice, RATE_HZ)
    (tmp_path / "042.wav").write_bytes(b"RIFF")
    done = run("predict", tmp_path, status=1)
    assert len(done.stdout.splitlines()) == 99
    assert "042.wav" in done.stderr


def test_wrong_extension_is_read_by_content(tmp_path: Path) -> None:
    (tmp_path / "voice.mp3").write_bytes(VOICE.read_bytes())
    assert "voice.mp3" in run("predict", tmp_path / "voice.mp3").stdout


def test_a_folder_without_audio(tmp_path: Path) -> None:
    assert "no recording in this folder" in run("predict", tmp_path, status=1).stderr


def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    name = bytes(tmp_path) + b"/\xff\xfe.flac"
    with open(name, "wb") as file:  # noqa: PTH123
        file.write(VOICE.read_bytes())
    assert len(run_process("predict", tmp_path).stdout.splitlines()) == 1


def test_a_recording_over_the_limit() -> None:
    done = run("predict", VOICE, "--max-seconds", "1", status=1)
    assert "longer than 1 s" in done.stderr
    assert "(--max-seconds of predict)" in done.stderr
    assert "-segment_time 1 part" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "to_type"),
    [
        (["corpus", "nope.csv", "."], "try: ls ."),
        (["corpus", "emodb", "samples"], "try: serein corpus --help"),
        (["explain", "samples/silence.flac"], "try: serein plot RECORDING"),
    ],
)
def test_what_to_try_is_not_what_failed(arguments: list[str], to_type: str) -> None:
    assert run(*arguments, status=2).stderr.splitlines()[-1] == to_type


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict"], "Missing argument"),
        (["predict", "x.wav", "--loud"], "No such option"),
        (
            ["predict", "x.wav", "--model", "mutli"],
            "unknown model 'mutli'; known: multi, emodb, open",
        ),
        (["predict", "x.wav", "--lang", "fr"], "Invalid value"),
        (["predict", "x.wav", "--hop", "5"], "would leave gaps between windows of 4.0 s"),
        (["predict", "samples", "--jobs", "2"], "--jobs is for a table: add --out FILE"),
        (["predict", "samples", "--address", "a:1"], "--address is for a table: add --out FILE"),
        (["predict", "samples", "--jobs", "0", "--out", "x.csv"], "--jobs is 0; allowed: 1 or"),
        (["features", "samples", "--jobs", "-5", "--out", "x.csv"], "--jobs is -5; allowed: 1 or"),
        (["recognise"], "No such command"),
        (["train", "nowhere.toml", "--out", "x"], "cannot be read as a TOML recipe"),
        (["evaluate", "recipes/emodb.toml", "--data", "nowhere"], "nowhere is not a folder"),
        (["corpus", "emo-db", "."], "emodb"),
        (["predict", "samples", "--emotions", "foo"], "unknown emotion 'foo'"),
        (["predict", "samples", "--out", "x.txt"], "unknown format '.txt'"),
        (["evaluate"], "give either a recipe file"),
        (["evaluate", "README.md"], "cannot be read as a TOML recipe"),
        (["evaluate", "--corpus", "emodb", "--model", "nope"], "unknown model 'nope'"),
        (["corpus", "nope.csv", "."], "cannot read the table nope.csv"),
        (["compare", "a", "b"], "a holds no result.json"),
        (["explain", "x.wav"], "there is no such file"),
        (["plot", "samples/espeak-german.flac", "--out", "x.gif"], "name the picture .png"),
        (["features", "samples", "--set", "nope", "--out", "x.csv"], "unknown feature set"),
        (["export", "nope", "--out", "x"], "unknown model 'nope'"),
        (["export", "emodb", "--out", "README.md/x"], "cannot write README.md/x: Not a dir"),
        (["export", "emodb", "--out", "src"], "src also holds serein"),
        (["train", *IN_VAIN], "cannot write README.md: "),
        (["evaluate", *IN_VAIN], "cannot write README.md: "),
        (["tune", *IN_VAIN], "cannot write README.md: "),
        (["listen", "--file", "x.wav"], "there is no such file"),
        (["cache", "nope"], "No such command"),
        (["corpus", "emodb", ""], "an argument is empty, after emodb: name a file"),
        (["stress", "multi", "--data="], "an argument is empty, after --data: name a file"),
        (["predict", "x.wav", "--adapt", ""], "an argument is empty, after --adapt: name a"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_to_type(arguments: list[str], words: str) -> None:
    said, *_, to_type = run(*arguments, status=2).stderr.splitlines()
    assert words in said
    assert re.match(r"try: (.*serein|ffmpeg|ls) \S", to_type)


def test_a_name_that_cannot_be_opened_leaves_the_others(tmp_path: Path) -> None:
    voice = "samples/espeak-german.flac"
    done = run("predict", voice, tmp_path / ("x" * 300), voice, status=1)
    assert done.stdout.count(voice) == 2
    assert "cannot be read (File name too long)" in done.stderr


def test_a_group_of_commands_alone_prints_its_help() -> None:
    done = run("cache", status=2)
    assert "clear" in done.stdout
    assert done.stderr == ""


def test_models_lists_licence_and_scores() -> None:
    text = run("models").stdout
    assert text.startswith("multi (default): anger")
    assert "emodb: anger" in text
    assert "CC BY-NC-SA 4.0" in text
    assert "UAR" in text
    names = [json.loads(line)["name"] for line in run("models", "--json").stdout.splitlines()]
    assert names == ["multi", "emodb", "open"]


def test_wrong_usage_and_errors_end_a_process_with_status_2() -> None:
    assert "No such command" in run_process("recognise", status=2).stderr
    said = run_process("predict", "x.wav", "--model", "mutli", status=2).stderr
    known = "known: multi, emodb, open; or give the path of a bundle"
    assert said == f"serein: unknown model 'mutli'; {known}\ntry: serein models\n"


def test_help_and_version() -> None:
    text = run("--help").stdout
    for command in ("predict", "models", "train", "evaluate", "export", "corpus"):
        assert command in text
    assert run("--version").stdout == f"serein {serein.__version__}\n"
    assert "Three things to try" in run().stdout
    predict = run("predict", "--help").stdout
    assert all(f"─ {group} ─" in predict for group in ("What", "How", "Where to, in which form"))


def test_errors_are_in_chinese_too(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    gone = tmp_path / "gone.wav"
    said = run("predict", tmp_path / "empty.wav", gone, "--lang", "zh", status=1).stderr
    assert f"serein: {tmp_path / 'empty.wav'}：是空文件；请重新录制或导出" in said
    assert f"serein: {gone}：没有这个文件；请检查路径" in said
    assert said.endswith(f"可以试试：ls {tmp_path}\n")
    gone.write_text("version https://git-lfs.github.com/spec/v1\n")
    said = run("predict", gone, "--lang", "zh", status=1).stderr
    assert f"{gone}：是 Git-LFS 指针，不是录音；请运行 git lfs pull\n可以试试：git lfs" in said
    gone.unlink()
    said = run("predict", gone, "--lang=zh", "--model", "mutli", status=2).stderr
    assert said.startswith("serein: 无法预测：unknown model 'mutli'")


def test_doctor_says_what_is_there() -> None:
    found = json.loads(run("doctor", "--json").stdout)
    assert found["serein"] == serein.__version__
    assert {"[train]", "[serve]", "providers", "cores", "cache"} <= found.keys()
    assert all(found[name].startswith("runs: ") for name in serein.bundled_models())


def test_corpus_shows_the_known_duplicate(corpus_dir) -> None:
    text = run("corpus", "ravdess", corpus_dir("ravdess")).stdout
    assert "03-01-03-01-02-01-07" in text
    assert "03-01-03-01-02-02-07" in text


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m serein predict {ROOT / 'samples'} --json | head -n 1"
    done = subprocess.run(  # noqa: S602
        command, shell=True, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""


def test_same_speaker_adapts_and_says_so() -> None:
    files = sorted((ROOT / "samples").glob("espeak-*.flac"))
    lines = run("predict", *files, "--same-speaker").stdout.splitlines()
    assert all("adapted by" in line for line in lines)
    answers = [
        json.loads(line)
        for line in run("predict", *files, "--same-speaker", "--json").stdout.splitlines()
    ]
    assert {answer["utterances_known"] for answer in answers} == {answers[0]["utterances_known"]}
    assert answers[0]["utterances_known"] >= len(files)
    assert "段语音适应" in run("predict", files[0], "--same-speaker", "--lang", "zh").stdout


def test_same_speaker_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    (tmp_path / VOICE.name).write_bytes(VOICE.read_bytes())
    answered = run("predict", tmp_path, "--same-speaker", status=1)
    assert "adapted by 1 utterance" in answered.stdout
    assert "broken.wav" in answered.stderr


# --- channels and utterances ---


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """A voice on the left, and the same one a second later on the right."""
    voice = serein.read_audio(VOICE)
    sound = np.zeros((voice.size + RATE_HZ, 2), np.float32)
    sound[: voice.size, 0] = sound[RATE_HZ:, 1] = voice
    soundfile.write(tmp_path / "call.wav", sound, RATE_HZ)
    return tmp_path / "call.wav"


def test_channels_that_differ_are_told_in_one_line(call: Path) -> None:
    done = run("predict", call)
    assert len(done.stdout.splitlines()) == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"serein: {call}: the 2 channels differ, and are averaged")
    assert "--channels each" in line
    assert run("predict", call, "--channels", "left").stderr == ""
    (notice,) = json.loads(run("predict", call, "--json").stdout)["notices"]
    assert line.endswith(notice)


def test_notices_are_in_chinese_too(call: Path) -> None:
    voice, _ = soundfile.read(VOICE)
    against = call.with_name("against.wav")
    soundfile.write(against, np.stack([voice, -voice], axis=1), RATE_HZ)
    call.with_name("note.txt").touch()
    said = run("predict", call.parent, "--lang", "zh", status=1).stderr
    assert f"serein: {call}：2 个声道内容不同，已取平均" in said
    assert f"serein: {against}：2 个声道平均后互相抵消；已改用最响的第 1 声道" in said
    assert f"serein: {call.parent}：有 1 个文件未读取：1 .txt\n" in said


def test_each_channel_has_a_line_and_rows_in_a_timeline(call: Path) -> None:
    lines = run("predict", call, "--channels", "each").stdout.splitlines()
    found = serein.load().predict(call, channels="each")
    for line, lane, side in zip(lines, found.lanes, ("left", "right"), strict=True):
        said = f"{side}   {lane.emotion} {lane.confidence:.2f}   ({lane.speech_s:.1f} s)"
        assert line == f"{call}   {said}"
    rows = run("predict", call, "--channels", "each", "--timeline", "--lang", "zh").stdout
    assert rows.count("左声道") == rows.count("右声道") == len(rows.splitlines()) / 2
    (as_json,) = run("predict", call, "--channels", "each", "--json").stdout.splitlines()
    assert [lane["channel"] for lane in json.loads(as_json)["lanes"]] == [1, 2]


def test_utterances_and_what_does_not_fit(call: Path) -> None:
    rows = run("predict", call, "--channels", "1", "--segments", "utterances", "--timeline").stdout
    found = serein.load().predict(call, channels=1, segments="utterances")
    assert len(rows.splitlines()) == len(found.timeline) >= 1
    assert "middle" in run("predict", call, "--channels", "middle", status=2).stderr
    assert "no channel 3" in run("predict", call, "--channels", "3", status=1).stderr


# --- formats ---


def test_one_recording_is_written_to_standard_output(call: Path) -> None:
    pytest.importorskip("webvtt", reason="pip install 'serein[formats]'")
    options = ("--channels", "each", "--lang", "zh", "--format", "srt")
    lines = run("predict", call, *options).stdout.splitlines()
    assert lines[:2] == ["1", "00:00:00,000 --> 00:00:02,000"] or lines[1].startswith(
        "00:00:00,000"
    )
    assert any(line.startswith("右声道: ") for line in lines)
    said = run("predict", call, call, "--format", "srt", status=2).stderr
    assert "2 came" in said
    assert run("predict", call, call, "--format", "rttm").stdout.startswith("SPEAKER call 1 0.000")
    assert "add --out" in run("predict", call, "--format", "audformat", status=2).stderr
    assert "one choice" in run("predict", call, "--json", "--format", "csv", status=2).stderr


def test_a_folder_has_a_file_a_recording(call: Path, tmp_path: Path) -> None:
    pytest.importorskip("pympi", reason="pip install 'serein[formats]'")
    other = tmp_path / "other" / "call.flac"
    other.parent.mkdir()
    soundfile.write(other, serein.read_audio(VOICE), RATE_HZ)
    out = tmp_path / "out"
    done = run("predict", call, other, "--format", "eaf", "--out", out)
    assert done.stdout == f"2 written: {out}\n"
    assert f"{other}: written as call-2.eaf" in done.stderr
    assert sorted(file.name for file in out.iterdir()) == ["call-2.eaf", "call.eaf"]
    run("predict", call, other, "--format", "rttm", "--out", out)
    assert (out / "call-2.rttm").read_text().startswith("SPEAKER call-2 1 ")
    run("predict", call, other, "--format", "audformat", "--out", tmp_path / "db")
    assert {file.name for file in (tmp_path / "db").iterdir()} == {"db.yaml", "db.segments.csv"}
