"""Install what `make dist` built where nothing else is: `python tests/clean_install.py`.

On every Python of 3.11, 3.12 and 3.13 that is found, the wheel, which was built from the sdist: on
the first with what the image holds, by its hashes; on the others as anybody installs it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
SOURCE = ROOT / "src"
VERSIONS = ("3.11", "3.12", "3.13")
SAMPLE = "espeak-german.flac"
HASHED: list[object] = ["--no-deps", "--require-hashes", "-r", ROOT / "requirements-serve.txt"]
USE = """
import serein
answer = serein.load().predict("voice.flac")
assert answer.emotion and 0 < answer.confidence < 1, answer
print(answer.emotion)
"""
MUST_HOLD = (
    *("serein/py.typed", "serein/emotions.py", "serein/inference/pretrained/multi/model.onnx"),
    *("serein/inference/pretrained/multi/CARD.md", "serein/features/face_expression.onnx"),
)


def main() -> None:
    (wheel,) = DIST.glob("*.whl")
    check_contents(wheel)
    pythons = {version: found for version in VERSIONS if (found := find_python(version))}
    print(f"not here: {', '.join(sorted({*VERSIONS} - {*pythons})) or 'none'}")
    if not pythons:
        sys.exit(f"none of Python {', '.join(VERSIONS)} is here")
    first, *others = pythons.items()
    hashed = [HASHED, ["--no-index", "--no-deps", wheel]]
    pinned: list[list[object]] = [["-c", ROOT / "constraints.txt", wheel]]
    work = [(*first, hashed), *((*each, pinned) for each in others or [first])]
    with ThreadPoolExecutor(2) as pool:
        for line in pool.map(lambda each: check(*each), work):
            print(line)


def find_python(version: str) -> Path | None:
    """Find a Python that runs and can make environments; a shim of pyenv may do neither."""
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *managed.glob(f"{version}.*/bin/python")]
    asked = "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        done = subprocess.run([candidate, "-c", asked], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return Path(candidate)
    return None


def check_contents(wheel: Path) -> None:
    """What must be in a wheel is; what must not is not."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    missing = {name for name in MUST_HOLD if name not in held}
    notices = {Path(name).name for name in held if "dist-info/licenses/" in name}
    missing |= {"LICENSE", "NOTICE"} - notices
    page = [path for path in (SOURCE / "serein/serve/page").rglob("*") if path.is_file()]
    missing |= {path.relative_to(SOURCE).as_posix() for path in page} - held
    wrong = {
        name
        for name in held
        if name.endswith((".pyc", ".flac", ".wav", ".opus")) or not name.startswith("serein")
    }
    if missing or wrong:
        sys.exit(f"{wheel.name}: lacks {sorted(missing)}, and should not hold {sorted(wrong)[:9]}")
    print(f"{wheel.name}: {len(held)} files, {wheel.stat().st_size / 1e6:.0f} MB")


def check(version: str, python: Path, installs: list[list[object]]) -> str:
    """Install into an environment of its own, elsewhere, and use it as a user would."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        run([python, "-m", "venv", "--without-pip", home / "venv"], home)
        own = home / "venv" / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", own]
        for what in installs:
            run([*pip, "install", "--quiet", "--no-compile", *what], home)
        shutil.copy(ROOT / "samples" / SAMPLE, home / "voice.flac")
        serein = home / "venv" / "bin" / "serein"
        said = run([serein, "predict", "voice.flac", "--json"], home)
        emotion = run([own, "-c", USE], home).strip()
        if json.loads(said)["emotion"] != emotion:
            sys.exit(f"Python {version}: the command says {said}, the library {emotion}")
        named = run([serein, "--version"], home).strip()
        run([*pip, "check"], home)
    package = Path(str(installs[-1][-1])).name + " by hashes" * (len(installs) > 1)
    took_s = time.monotonic() - begin
    return f"Python {version}, {package}: {named}, {emotion}, {took_s:.0f} s"


def run(command: list[object], folder: Path) -> str:
    """Run a command far from the checkout; its complaint ends everything."""
    away = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=away, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
