"""Every command and every public name of serein, one after the other, in one fenced process.

`python everything.py ROOT SAMPLES`: ROOT holds ``data``, made by test_offline.py. What each left
behind, outside of ``out`` and ``cache``, goes into ROOT/report.json.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import socket
import struct
import subprocess
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT, SAMPLES = (Path(word) for word in [*sys.argv[1:3], ".", "."][:2])
DATA, OUT, CACHE = ROOT / "data", ROOT / "out", ROOT / "cache"
VOICE = SAMPLES / "espeak-english-fast-high.flac"
MINE = ("--corpus", "mine.csv", "--data", DATA)
GAIN = ("--conditions", "gain -20 dB")
Words = tuple[str | Path, ...]

COMMANDS: list[tuple[str, Words]] = [
    ("predict", (VOICE, "--timeline", "--affect")),
    ("predict", (DATA / "clips", "--out", OUT / "answers.parquet", "--jobs", "2")),
    ("predict", (VOICE, "--transcribe")),
    ("predict", (DATA / "talk.mp4",)),
    ("predict", (DATA / "clips", "--same-speaker")),
    ("listen", ("--file", VOICE, "--json")),
    ("models", ()),
    ("doctor", ()),
    ("explain", (VOICE, "--model", "emodb", "--out", OUT / "why.png")),
    ("features", (DATA / "clips", "--set", "mfcc,f0", "--out", OUT / "features.csv")),
    ("plot", (VOICE, "--out", OUT / "voice.png")),
    ("denoise", (VOICE, OUT / "clean.wav")),
    ("corpus", (DATA / "mine.csv", DATA)),
    ("evaluate", (*MINE, "--model", "ridge", "--out", OUT / "ridge", "--cache", CACHE)),
    ("evaluate", (DATA / "network.toml", "--out", OUT / "network")),
    ("evaluate", (*MINE, "--model", "ridge", "--adapt", "--out", OUT / "adapted")),
    ("compare", (OUT / "ridge", OUT / "network", "--out", OUT / "compared.html")),
    ("check-leaks", (*MINE, "--model", "ridge")),
    ("train", (DATA / "ridge.toml", "--out", OUT / "bundle", "--jobs", "1")),
    ("export", (OUT / "bundle", "--out", OUT / "bundle.zip")),
    (
        "personalise",
        ("--labels", DATA / "mine.csv", "--model", OUT / "bundle", "--out", OUT / "own"),
    ),
    ("tune", (DATA / "forest.toml", "--trials", "2", "--out", OUT / "search")),
    (
        "stress",
        ("emodb", "--data", DATA, "--corpus", "mine.csv", *GAIN, "--out", OUT / "stress"),
    ),
    ("cache path", ()),
    ("cache list", ()),
    ("cache clear", ("--yes",)),
]


def main() -> None:
    from serein.experiment import speech

    raise_loopback()
    speech.SOUNDS = 2  # of each kind: seconds, not a minute
    report: dict[str, object] = {"interfaces": [name for _, name in socket.if_nameindex()]}
    for number, (name, words) in enumerate(COMMANDS):
        report[f"{number} {name}"] = left_by(lambda n=name, w=words: command(n, w))
    report["serve"] = left_by(serve)
    report |= {f"serein.{name}": left_by(use) for name, use in names().items()}
    (ROOT / "report.json").write_text(json.dumps(report))


def raise_loopback() -> None:
    """A new network namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, 0x8913, asked), 16)
        if not flags & 1:
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))


def left_by(step: Callable[[], object]) -> dict[str, object]:
    """Run a step; say how it went, how long it took and which files it left where it may not."""
    before, began = tree(), time.monotonic()
    said = io.StringIO()
    wrong = ""
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            step()
    except Exception:
        wrong = traceback.format_exc()[-2000:] + said.getvalue()[-1000:]
    strangers = sorted(tree() - before)
    return {"wrong": wrong, "left": strangers, "seconds": round(time.monotonic() - began, 2)}


def tree() -> set[str]:
    allowed = ("out", "cache", "log")
    found = (file.relative_to(ROOT) for file in ROOT.rglob("*"))
    return {str(file) for file in found if file.parts[0] not in allowed}


def command(name: str, words: Words, status: int = 0) -> None:
    from serein import cli

    sys.argv = ["serein", *name.split(), *map(str, words)]
    try:
        cli.main()
    except SystemExit as end:
        if (end.code or 0) != status:
            raise RuntimeError(f"{sys.argv} ended with {end.code}") from end


def serve() -> None:
    """The service answers on loopback, and ends."""
    asked = [sys.executable, "-m", "serein", "serve", "--port", "0", "--model", "emodb"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(asked, text=True, **pipes) as process:
        try:
            url = process.stdout.readline().split()[-1]
            for path, body in (("/healthz", None), ("/v1/predict", VOICE.read_bytes())):
                kind = {"content-type": "audio/flac"}
                request = urllib.request.Request(url + path, body, kind)  # noqa: S310
                with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                    json.load(answer)
        finally:
            process.terminate()
            errors = process.communicate(timeout=20)[1]
    if process.returncode:
        raise RuntimeError(errors)


def names() -> dict[str, Callable[[], object]]:
    """A use of each public name."""
    import serein
    from serein.inference.bundle import read_bundle
    from serein.inference.load import find_model

    signal = serein.read_audio(VOICE)

    def stream() -> None:
        live = serein.Stream(serein.load("emodb"))
        live.push(signal)
        live.end()

    return {
        "CORPORA": lambda: list(serein.CORPORA),
        "EMOTIONS": lambda: list(serein.EMOTIONS),
        "Corpus": lambda: serein.Corpus.from_csv(DATA / "mine.csv", audio_root=DATA),
        "FeatureExtractor": lambda: serein.FeatureExtractor(["mfcc"]).fit_transform([VOICE]),
        "Limits": lambda: serein.read_audio(VOICE, limits=serein.Limits(max_s=60)),
        "MultimodalRecognizer": lambda: serein.MultimodalRecognizer(serein.load("emodb")).predict(
            VOICE, text="I am so happy"
        ),
        "Prediction": lambda: serein.load("emodb").predict(signal, rate=16_000).to_dict(),
        "Recognizer": lambda: serein.Recognizer(read_bundle(find_model("emodb"))),
        "Segment": lambda: serein.load("emodb").predict(VOICE, window_s=1.0, hop_s=0.5).timeline,
        "SereinError": hub_name,
        "Stream": stream,
        "Utterance": lambda: serein.Corpus.from_csv(DATA / "mine.csv", audio_root=DATA).utterances,
        "bundled_models": serein.bundled_models,
        "load": lambda: serein.load(OUT / "bundle").predict(VOICE),
        "read_audio": lambda: serein.read_audio(VOICE),
    }


def hub_name() -> None:
    """An encoder that is not here is an error, and nothing is asked of the hub."""
    from serein import SereinError
    from serein.features.encoder import SpeechEncoder
    from serein.features.text import SentenceEncoder

    for kind in (SpeechEncoder, SentenceEncoder):
        try:
            kind("openai/whisper-none")
        except SereinError:
            continue
        raise RuntimeError(f"{kind} found an encoder")


if __name__ == "__main__":
    main()
