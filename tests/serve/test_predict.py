"""POST /v1/predict: the predictions of the recognizer, and a clear error where there is none."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

import serein
from serein.inference.formats import AUDFORMAT_ZIP, FORMATS
from serein.serve.errors import STATUS

ROOT = Path(__file__).parents[2]
load = cache(serein.load)
SAMPLES = sorted((ROOT / "samples").glob("*.flac"))


def post(service: Any, data: bytes, kind: str = "audio/flac", **query: object) -> httpx.Response:
    headers = {"content-type": kind}
    url = f"{service.url}/v1/predict"  # the first of some formats loads a library
    return httpx.post(url, content=data, headers=headers, params=query, timeout=60)


def refused(answer: httpx.Response, code: str) -> str:
    assert answer.json()["error"]["code"] == code, answer.text
    assert answer.status_code == STATUS[code]
    assert answer.headers["x-content-type-options"] == "nosniff"
    return str(answer.json()["error"]["message"])


def wave(samples: np.ndarray, rate: int = 16_000, **options: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **{"format": "WAV", **options})
    return file.getvalue()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("model", ["multi", "emodb"])
def test_predictions_are_those_of_the_recognizer(service, sample: Path, model: str) -> None:
    own = load(model, threads=1).predict(sample).to_dict() | {"file": None}
    assert post(service, sample.read_bytes(), model=model).json() == own


def test_a_form_is_answered_with_the_name_of_its_file(service, voice: Path) -> None:
    answer = httpx.post(
        f"{service.url}/v1/predict", files={"file": ("Anruf 1.flac", voice.read_bytes())}
    )
    own = load(threads=1).predict(voice).to_dict() | {"file": "Anruf 1.flac"}
    assert answer.json() == own


@pytest.mark.parametrize("kind", ["audio/wav", "AUDIO/mpeg; x=1", "application/octet-stream"])
def test_content_decides_not_the_type(service, voice: Path, kind: str) -> None:
    assert post(service, voice.read_bytes(), kind).json()["speech"]


def test_settings_of_the_timeline(service, voice: Path) -> None:
    own = load(threads=1).predict(voice, window_s=1.0, hop_s=0.25).to_dict()
    answer = post(service, voice.read_bytes(), window_s=1.0, hop_s=0.25).json()
    assert answer["timeline"] == own["timeline"]
    assert len(answer["timeline"]) > 10
    assert "timeline" not in post(service, voice.read_bytes(), timeline="false").json()


def test_channels_and_utterances(service, voice: Path) -> None:
    one = serein.read_audio(voice)
    sound = np.stack([one, np.roll(one, 8000)], axis=1)
    data = wave(sound, subtype="FLOAT")
    own = load(threads=1)
    for query in (
        {},
        {"channels": "each", "segments": "utterances"},
        {"channels": "right", "window_s": 1.0},
    ):
        expected = own.predict(sound, rate=16_000, **query).to_dict()
        assert post(service, data, **query).json() == expected
    (notice,) = post(service, wave(np.stack([one, -one], axis=1))).json()["notices"]
    assert "cancel" in notice
    refused(post(service, data, channels="3"), "unreadable")
    refused(post(service, data, segments="utterances", hop_s=1), "invalid")


@pytest.mark.parametrize("form", [*FORMATS, "audformat"])
def test_formats_are_those_of_the_package(service, voice: Path, form: str) -> None:
    answer = post(service, voice.read_bytes(), format=form, lang="zh")
    chosen = FORMATS.get(form, AUDFORMAT_ZIP)
    assert answer.headers["content-type"].startswith(chosen.media_type)
    own = replace(load(threads=1).predict(voice), file=None)
    if form == "audformat":
        assert answer.content[:2] == b"PK"
    elif form != "eaf":  # that holds the time of writing
        assert answer.content.strip() == chosen.write(own, True).strip() or form == "json"
    assert "attachment" in answer.headers.get("content-disposition", "attachment")


def test_unsure_below_is_of_one_request(service, voice: Path) -> None:
    unsure = post(service, voice.read_bytes(), unsure_below=0.99).json()
    own = load(threads=1, unsure_below=0.99).predict(voice).to_dict()
    assert unsure == own | {"file": None}
    assert unsure["emotion"] == "unsure"
    assert post(service, voice.read_bytes()).json()["emotion"] != "unsure"


def test_no_speech_is_an_answer(service) -> None:
    answer = post(service, wave(np.zeros(16_000, np.int16))).json()
    assert (answer["speech"], answer["emotion"], answer["probabilities"]) == (False, None, {})


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({"model": "mutli"}, "unknown_model", "unknown model 'mutli'; known: multi"),
        ({"window_s": 0.2}, "invalid", "window_s"),
        ({"window_s": "nan"}, "invalid", "window_s"),
        ({"hop_s": 11}, "invalid", "hop_s"),
        ({"window_s": 1, "hop_s": 2}, "invalid", "hop_s is 2 s; allowed: 0.1 to window_s, 1 s"),
        ({"hop_s": 5}, "invalid", "window_s, 4 s"),
        ({"unsure_below": 1.5}, "invalid", "unsure_below"),
        ({"timeline": "perhaps"}, "invalid", "timeline"),
        ({"channels": "middle"}, "invalid", "channels"),
        ({"segments": "words"}, "invalid", "segments"),
        ({"format": "pdf"}, "invalid", "format"),
        ({"windows": 2}, "invalid", "unknown query parameter 'windows'; known: window_s, "),
    ],
)
def test_wrong_settings(service, voice: Path, query: dict[str, object], code: str, words: str):
    assert words in refused(post(service, voice.read_bytes(), **query), code)


def test_settings_in_the_form_are_refused(service, voice: Path) -> None:
    sent = {"files": {"file": voice.read_bytes()}, "data": {"model": "open"}}
    message = refused(httpx.post(f"{service.url}/v1/predict", **sent), "invalid")
    assert "'model'; known: file, adaptation; settings are for the query" in message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"Dear diary", "it is text, not a recording: Dear diary); need WAV, FLAC"),
        (("喂" * 99).encode(), "it is text, not a recording: 喂喂"),
        ("\ufeffGröße \x1b[1m 你好".encode(), "it is text, not a recording: Größe ?[1m 你好"),
        (bytes(999), "it begins with zeros"),
        (wave(np.zeros(300, np.int16)), "need at least 0.1 s"),
        (wave(np.zeros((9000, 9), np.int16)), "has 9 channels; need 1 to 8"),
        (wave(np.zeros(9000, np.int16), 300), "300 Hz; need 4000"),
        (wave(np.full(9000, np.nan), subtype="FLOAT"), "NaN"),
        (wave(np.full(9000, 99.0), subtype="FLOAT"), "peak of 99"),
    ],
)
def test_what_cannot_be_read(service, data: bytes, words: str) -> None:
    message = refused(post(service, data), "unreadable")
    assert words in message
    assert message.startswith("the file ")


@pytest.mark.parametrize("form", ["WAV", "FLAC", "MP3"])
def test_a_cut_file_is_told_from_one_of_another_format(service, form: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000)
    whole = wave(noise, format=form)
    message = refused(post(service, whole[: len(whole) // 2]), "unreadable")
    assert "truncated" in message or "damaged" in message
    opus = wave(noise, rate=48_000, format="OGG", subtype="OPUS")
    for other in (bytes(range(1, 200)), opus.replace(b"OpusHead", b"OtherOne")):
        refused(post(service, other), "unsupported_format")


@pytest.mark.parametrize("kind", ["", "text/plain", "video/mp4", "multipart/mixed", "audio"])
def test_wrong_types(service, voice: Path, kind: str) -> None:
    assert "need multipart" in refused(post(service, voice.read_bytes(), kind), "unsupported_type")


def test_a_compressed_body(service, voice: Path) -> None:
    headers = {"content-type": "audio/flac", "content-encoding": "gzip"}
    answer = httpx.post(f"{service.url}/v1/predict", content=b"x", headers=headers)
    refused(answer, "unsupported_type")


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end


FIELD = b'Content-Disposition: form-data; name="x"\r\n\r\n1'
FILE = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form(FILE), "multipart/form-data"),
        (form(FILE, end=b""), "multipart/form-data; boundary=b"),
        (form(FILE)[:40], "multipart/form-data; boundary=b"),
        (form(FILE), "multipart/form-data; boundary=other"),
        (form(FILE), "multipart/form-data; boundary=" + "b" * 5000),
        (form(FILE, FILE), "multipart/form-data; boundary=b"),
        (form(FILE.replace(b'"file"', b'"sound"')), "multipart/form-data; boundary=b"),
        (form(FILE.replace(b'; filename="a.wav"', b"")), "multipart/form-data; boundary=b"),
        (form(FILE.replace(b"a.wav", b"").replace(b"RIFF", b"")), "multipart/form-data;boundary=b"),
        (form(b"RIFF"), "multipart/form-data; boundary=b"),
        (form(*[FIELD] * 20), "multipart/form-data; boundary=b"),
        (b"", "multipart/form-data; boundary=b"),
        (b"\x00" * 1000, "multipart/form-data; boundary=b"),
    ],
)  # fmt: skip
def test_malformed_forms(service, body: bytes, kind: str) -> None:
    refused(post(service, body, kind), "bad_request")


@pytest.mark.parametrize(
    "name",
    [
        *(b"../a.wav", b"/etc/passwd", b"..\\\\a.wav", b"C:\\\\a.wav", b"C:\\a.wav", b"..", b"a/b"),
        *(b"a\x01.wav", b"a\x7f.wav", b"a\x00.wav", b"x" * 300),
    ],
)
def test_names_that_are_paths(service, name: bytes) -> None:
    body = form(FILE.replace(b"a.wav", name))
    answer = post(service, body, "multipart/form-data; boundary=b")
    assert answer.status_code == 400
    if b"\x00" not in name and b"\x01" not in name and b"\x7f" not in name:
        refused(answer, "bad_name")


def test_no_route_and_wrong_method(service) -> None:
    refused(httpx.get(f"{service.url}/v2/predict"), "not_found")
    refused(httpx.get(f"{service.url}/assets/../../settings.py"), "not_found")
    answer = httpx.get(f"{service.url}/v1/predict")
    refused(answer, "wrong_method")
    assert answer.headers["allow"] == "POST"


def test_a_file_that_is_too_large_is_refused_with_its_size(strict) -> None:
    message = refused(post(strict, bytes(2**20)), "too_large")
    assert "larger than 0.5 MB, the limit (1.0 MB): send it as FLAC" in message
    assert "--max-megabytes" in message
