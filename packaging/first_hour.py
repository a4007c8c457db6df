"""Time a newcomer's three paths from a clean clone: `python packaging/first_hour.py [PATH ...]`.

    predict    install, and the emotion of a file of one's own                      60 s at most
    evaluate   install, and the first evaluation of one's own CSV corpus           300 s
    serve      install, build the page, open it, and predict a file over HTTP      180 s

Each has an environment and a clone of its own in a temporary folder; what pip and npm fetch counts.
The recordings are samples. Ends with 1 if a path took longer, or failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLE = "samples/espeak-german.flac"
URL = "http://127.0.0.1:8765"
CORPUS = """
import csv, soundfile
voices = {"anger": "espeak-english-fast-high", "sadness": "espeak-english-slow-low"}
rows = [("file", "emotion", "speaker")]
for emotion, name in voices.items():
    sound, rate = soundfile.read(f"samples/{name}.flac")
    for number, speed in enumerate((0.85, 0.95, 1.05, 1.15)):
        for take in range(3):
            piece = sound[take * rate // 2 : (take + 1) * rate // 2]
            rows.append((f"{number}-{emotion}-{take}.wav", emotion, f"s{number}"))
            soundfile.write(f"mine/{rows[-1][0]}", piece, round(rate * speed))
csv.writer(open("mine/mine.csv", "w", newline="")).writerows(rows)
"""  # as the tutorial makes one


def main() -> None:
    """Walk the paths that are named, or all."""
    results = [walked(name) for name in sys.argv[1:] or PATHS]
    sys.exit(0 if all(results) else 1)


def walked(name: str) -> bool:
    """Walk a path in a clean clone; print how long it took, and say whether that is in time."""
    walk, most_s = PATHS[name]
    with tempfile.TemporaryDirectory() as place:
        start = time.monotonic()
        clone = Path(place) / "serein"
        run(Path(place), "git", "clone", "--quiet", str(ROOT), str(clone))
        run(clone, sys.executable, "-m", "venv", ".venv")
        walk(clone)
        took_s = time.monotonic() - start
    print(f"{name}: {took_s:.0f} s of {most_s} s, on {os.cpu_count()} cores", flush=True)
    return took_s <= most_s


def predict(clone: Path) -> None:
    """Install the core, and predict a file."""
    install(clone, ".")
    serein(clone, "predict", SAMPLE)


def evaluate(clone: Path) -> None:
    """Install what trains, make a corpus of one's own, and evaluate a model on it."""
    install(clone, ".[train]")
    (clone / "mine").mkdir()
    run(clone, ".venv/bin/python", "-c", CORPUS)
    serein(clone, "corpus", "mine/mine.csv", "mine")
    options = ("--corpus", "mine.csv", "--data", "mine", "--model", "svm", "--out", "runs/mine")
    serein(clone, "evaluate", *options)


def serve(clone: Path) -> None:
    """Install the service, build the page, open it, and predict a file."""
    install(clone, ".[serve]")
    run(clone, "make", "web", "VENV=.venv")
    command = [".venv/bin/serein", "serve", "--port", URL.rpartition(":")[2]]
    with subprocess.Popen(command, cwd=clone) as service:
        try:
            ask("/")
            sound = (clone / SAMPLE).read_bytes()
            print(ask("/v1/predict?timeline=false", sound).decode())
        finally:
            service.terminate()


def ask(path: str, sound: bytes | None = None) -> bytes:
    """Ask the service, which may still be starting."""
    request = urllib.request.Request(URL + path, sound, {"Content-Type": "audio/flac"})  # noqa: S310
    for _ in range(120):
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310
                return response.read()
        except urllib.error.URLError:  # not listening yet
            time.sleep(0.5)
    raise SystemExit(f"{URL}{path} did not respond")


def install(clone: Path, what: str) -> None:
    """Install serein from the clone, as pinned."""
    run(clone, ".venv/bin/pip", "install", "--quiet", "-c", "constraints.txt", what)


def serein(clone: Path, *words: str) -> None:
    """Run a command of serein."""
    run(clone, ".venv/bin/serein", *words)


def run(folder: Path, *command: str) -> None:
    """Run a command in a folder; what it prints is shown."""
    subprocess.run(command, cwd=folder, check=True)


PATHS = {"predict": (predict, 60), "evaluate": (evaluate, 300), "serve": (serve, 180)}

if __name__ == "__main__":
    main()
