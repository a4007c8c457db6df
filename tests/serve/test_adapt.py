"""Adaptation and the emotions that can occur: by request, saved by the client, and by default."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import serein
from serein.errors import SettingError
from serein.serve.errors import STATUS
from serein.serve.recognizers import check_models
from serein.serve.settings import Settings

RATE_HZ = 16_000
SAMPLES = Path(__file__).parents[2] / "samples"
VOICES = sorted(SAMPLES.glob("espeak-*.flac"))
FEW = "anger,neutral,sadness"


@pytest.fixture(scope="module")
def recognizer(adaptive_model: Path) -> serein.Recognizer:
    return serein.load(adaptive_model, threads=1)


def ask(service: Any, path: str, *files: Path | bytes, saved: Any = None, **query: str) -> Any:
    parts: list[Any] = [
        ("file", ("a.flac", f if isinstance(f, bytes) else f.read_bytes())) for f in files
    ]
    if saved is not None:
        content = saved if isinstance(saved, bytes) else json.dumps(saved).encode()
        parts.append(("adaptation", ("saved.json", content)))
    answer = httpx.post(f"{service.url}{path}", files=parts, params=query, timeout=60)
    if answer.status_code != 200:
        assert answer.status_code == STATUS[answer.json()["error"]["code"]]
    return answer.json()


def opened(service: Any, query: str) -> Any:
    return connect(f"{service.ws}?{query}", proxy=None, open_timeout=60)


def flac(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format="FLAC")
    return file.getvalue()


def test_emotions_that_can_occur_are_of_one_request(adaptive, adaptive_model: Path) -> None:
    own = serein.load(adaptive_model, threads=1, emotions=FEW.split(",")).predict(VOICES[0])
    answer = ask(adaptive, "/v1/predict", VOICES[0], emotions=FEW)
    assert answer == own.to_dict() | {"file": "a.flac"}
    assert len(ask(adaptive, "/v1/predict", VOICES[0])["probabilities"]) > 3
    with opened(adaptive, f"emotions={FEW}") as socket:
        assert json.loads(socket.recv())["labels"] == FEW.split(",")


def test_labels_of_ones_own_are_answered(adaptive) -> None:
    high = next(voice for voice in VOICES if "high" in voice.stem)
    answer = ask(adaptive, "/v1/predict", high, model="own")
    said = [answer[key] for key in ("emotion", "emotion_zh", "valence", "arousal")]
    assert said == ["frustrated", "沮丧", -0.5, 0.4]
    assert set(answer["probabilities"]) == {"frustrated", "xxx"}
    models = httpx.get(f"{adaptive.url}/v1/models").json()["models"]
    described = {model["name"]: model["own_labels"] for model in models}
    assert described["own"] == {"frustrated": {"valence": -0.5, "arousal": 0.4, "zh": "沮丧"}}
    assert described["emodb"] == {}


def test_a_long_recording_is_adapted_to_itself(adaptive, recognizer: Any) -> None:
    voices = np.concatenate([serein.read_audio(voice) for voice in VOICES])
    samples = np.resize(voices, 61 * RATE_HZ)
    data = flac(np.round(samples * 32767).astype(np.int16))
    own = recognizer.adapt(data, to="recordings").predict(data)
    recognizer.forget_speaker()
    answer = ask(adaptive, "/v1/predict", data, adapt="recordings")
    assert answer == own.to_dict() | {"file": "a.flac"}
    assert own.duration > 60
    assert answer["utterances_known"] == own.utterances_known > 10
    silence = ask(adaptive, "/v1/predict", flac(np.zeros(RATE_HZ, np.int16)), adapt="speaker")
    assert (silence["speech"], silence["utterances_known"]) == (False, 0)


def test_recordings_are_learnt_from_and_the_client_keeps_what_is_learnt(
    adaptive, recognizer: Any, tmp_path: Path
) -> None:
    first = ask(adaptive, "/v1/adapt", *VOICES[:2], to="recordings")
    saved = ask(adaptive, "/v1/adapt", *VOICES[2:], to="recordings", saved=first)
    assert saved["to"] == "recordings"
    assert saved["counts"]
    (tmp_path / "room.json").write_text(json.dumps(saved))
    own = recognizer.load_adaptation(tmp_path / "room.json").predict(VOICES[0]).to_dict()
    recognizer.forget_speaker()
    answer = ask(adaptive, "/v1/predict", VOICES[0], saved=saved)
    assert answer == own | {"file": "a.flac"}
    together = recognizer.adapt(VOICES, to="recordings").predict(VOICES[0])
    recognizer.forget_speaker()
    assert answer["utterances_known"] == together.utterances_known
    assert answer["probabilities"] == pytest.approx(together.to_dict()["probabilities"], abs=0.01)
    assert ask(adaptive, "/v1/predict", VOICES[0])["utterances_known"] == 0
    more = ask(adaptive, "/v1/predict", VOICES[0], saved=saved, adapt="recordings")
    assert more["utterances_known"] > answer["utterances_known"]


@pytest.mark.parametrize(
    ("path", "query", "saved", "code", "words"),
    [
        ("/v1/predict", {"emotions": "anger"}, None, "invalid", "at least 2 emotions"),
        ("/v1/predict", {"emotions": "anger,glee"}, None, "invalid", "unknown emotion 'glee'"),
        ("/v1/predict", {"adapt": "me"}, None, "invalid", "adapt"),
        ("/v1/predict", {}, b"[" * 9999, "invalid", "not JSON"),
        ("/v1/predict", {}, {"format": "x" * 999}, "invalid", "not a serein-adaptation"),
        ("/v1/predict", {}, b" " * (2**20 + 1), "too_large", "larger than"),
        ("/v1/adapt", {"to": "none"}, None, "invalid", "to"),
        ("/v1/adapt", {"to": "speaker", "model": "x"}, None, "unknown_model", "unknown model"),
    ],
)
def test_wrong_settings(
    adaptive, path: str, query: dict[str, str], saved: Any, code: str, words: str
) -> None:
    error = ask(adaptive, path, VOICES[0], saved=saved, **query)["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert len(error["message"]) < 400


def test_nothing_is_learnt_of_silence_or_of_too_many(adaptive) -> None:
    silence = flac(np.zeros(RATE_HZ, np.int16))
    assert "holds speech" in ask(adaptive, "/v1/adapt", silence, to="speaker")["error"]["message"]
    many = ask(adaptive, "/v1/adapt", *[silence] * 65, to="speaker")["error"]
    assert many["code"] == "bad_request"
    two = ask(adaptive, "/v1/predict", silence, silence)["error"]
    assert "2 files in its field 'file'; need 1" in two["message"]


def test_what_the_service_begins_with(
    start: Any, adaptive_model: Path, recognizer: Any, tmp_path: Path
) -> None:
    saved = recognizer.adapt(VOICES, to="recordings").save_adaptation(tmp_path / "room.json")
    known = recognizer.utterances_known
    recognizer.forget_speaker()
    options = ("--emotions", FEW, "--unsure-below", "0.9", "--adapt-from", str(saved))
    own = serein.load(adaptive_model, threads=1, emotions=FEW.split(","), unsure_below=0.9)
    with start("--model", str(adaptive_model), *options) as service:
        answer = ask(service, "/v1/predict", VOICES[0])
        assert answer == own.load_adaptation(saved).predict(VOICES[0]).to_dict() | {
            "file": "a.flac"
        }
        assert ask(service, "/v1/predict", VOICES[0], unsure_below="0")["emotion"] != "unsure"
        (model,) = httpx.get(f"{service.url}/v1/models").json()["models"]
        assert model["labels"] == FEW.split(",")
        assert (model["unsure_below"], model["adapts"]) == (0.9, ["recordings", "speaker"])
        for kind, before in (("none", known), ("recordings", known), ("speaker", 0)):
            with opened(service, f"adapt={kind}") as socket:
                socket.recv()
                samples = np.round(serein.read_audio(VOICES[0]) * 32767).astype("<i2")
                socket.send(samples.tobytes())
                assert json.loads(socket.recv())["utterances_known"] == before
        with (
            pytest.raises(InvalidStatus),
            connect(f"{service.ws}?adapt=true", proxy=None, open_timeout=60),
        ):
            pass


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"emotions": "anger,boredom"}, "boredom"),
        ({"adapt_from": "nowhere.json"}, "nowhere.json: cannot be read"),
        ({"adapt_from": __file__}, "not JSON"),
    ],
)
def test_defaults_that_the_models_lack_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        check_models(Settings(models=("multi",), **settings))
