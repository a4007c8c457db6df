"""Nothing leaves the machine, and nothing is written but where it was asked for.

Every command and every public name runs, in order, in a process that is fenced in twice: an audit
hook (fence/sitecustomize.py) refuses and logs whatever Python does, and where Linux allows it the
process has a network of its own, with nothing but loopback in it, and a file system that it cannot
write to except below one folder, which holds for compiled code as well.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import soundfile
import typer

import serein
from fence import everything
from made_corpus import DATA, EPOCHS, FOREST, NETWORK, PITCH_HZ, make_voice
from made_videos import chirp, clip, scene
from serein import cli
from serein.errors import EncoderError

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent
FENCE = TESTS / "fence"
HOUSE = Path(serein.__file__).parent
COMMANDS = [f"{number} {name}" for number, (name, _) in enumerate(everything.COMMANDS)]
NAMES = [f"serein.{name}" for name in serein.__all__]
KNOWN_STRANGERS = (  # matplotlib's list of fonts, and empty folders; docs/PRIVACY.md says so
    r"home/\.(cache|config)(/matplotlib)?|home/\.cache/matplotlib/fontlist-[^/]+"
    r"|tmp/torchinductor_[^/]+"
)


@dataclass
class Run:
    """What came of running everything."""

    root: Path
    report: dict[str, Any]
    cut: bool

    def log(self, kind: str) -> Iterator[str]:
        """What was asked for, and by which command."""
        for line in (self.root / "log").read_text().splitlines():
            found, what, who = line.split("\t")
            if found == kind:
                yield f"{what} ({who})"


def fenced(root: Path, *arguments: str | Path) -> tuple[subprocess.CompletedProcess[str], bool]:
    """Run Python behind the fence; say also whether the kernel holds it."""
    environment = {
        **{"HOME": str(root / "home"), "TMPDIR": str(root / "tmp"), "PATH": os.environ["PATH"]},
        **{"SEREIN_CACHE": str(root / "cache"), "FENCE_LOG": str(root / "log")},
        **{"PYTHONPATH": str(FENCE), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
    }
    lock = f"mount --bind '{root}' '{root}' && mount -o bind,remount,ro /"
    kernel = ["unshare", "--map-root-user", "--net", "--mount", "sh", "-c"]
    can = sys.platform == "linux" and shutil.which("unshare") is not None
    cut = can and subprocess.run([*kernel, lock], capture_output=True, check=False).returncode == 0
    command = [sys.executable, *map(str, arguments)]
    if cut:
        command = [*kernel, f'{lock} && cd "{root}/work" && exec "$@"', "sh", *command]
    done = subprocess.run(
        command,
        cwd=root / "work",
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return done, cut


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fenced")
    for name in ("home", "tmp", "work", "out", "cache", "data/clips"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def run(root: Path) -> Run:
    data = root / "data"
    rows = [("file", "emotion", "speaker")]
    for speaker in range(3):
        for emotion in PITCH_HZ:
            for take in range(2):
                name = f"clips/{speaker}-{emotion}-{take}.wav"
                soundfile.write(data / name, make_voice(emotion, speaker, take), 16_000)
                rows.append((name, emotion, f"s{speaker}"))
    with (data / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    face = [scene((190, 60, 240))] * 20
    clip(face, chirp(), fps=10, target=str(data / "talk.mp4"))
    network = NETWORK.replace(f"epochs = {EPOCHS}", "epochs = 1")
    (data / "forest.toml").write_text('name = "forest"\n' + DATA + FOREST)
    few = 'functionals = ["mean", "std"]\n[model]\nname = "ridge"\n'
    few += "[adaptation]\nrelative = true\n"
    (data / "ridge.toml").write_text('name = "ridge"\n' + DATA + few)
    (data / "network.toml").write_text('name = "network"\n' + DATA + network)
    done, cut = fenced(root, FENCE / "everything.py", root, TESTS.parent / "samples")
    assert done.returncode == 0, done.stderr
    return Run(root, json.loads((root / "report.json").read_text()), cut)


# --- everything runs ---


def all_commands() -> set[str]:
    found = set()
    for name, command in typer.main.get_command(cli.app).commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {one}" for one in inner} if inner else {name}
    return found


def test_everything_is_everything(run: Run) -> None:
    assert all_commands() == {"serve"} | {name for name, _ in everything.COMMANDS}
    assert set(run.report) == {"interfaces", "serve", *COMMANDS, *NAMES}


@pytest.mark.parametrize("step", [*COMMANDS, "serve", *NAMES])
def test_it_works_and_leaves_nothing_elsewhere(run: Run, step: str) -> None:
    found = run.report[step]
    assert found["wrong"] == ""
    assert [name for name in found["left"] if not re.fullmatch(KNOWN_STRANGERS, name)] == []


def test_nothing_asks_for_the_network(run: Run) -> None:
    assert list(run.log("net")) == []


def test_no_file_is_opened_for_writing_elsewhere(run: Run) -> None:
    """Shared memory of processes that work side by side is gone when they are."""
    elsewhere = set()
    for line in run.log("file"):
        place = Path(line.partition(" (")[0])
        if not place.is_relative_to(run.root) and place != Path(os.devnull):
            elsewhere.add(place)
    shared = {place for place in elsewhere if place.is_relative_to("/dev/shm")}  # noqa: S108
    assert elsewhere - shared == set()
    assert not any(place.exists() for place in shared)


def test_what_is_left_beside_the_cache_is_small_and_no_sound(run: Run) -> None:
    left = [file for name in ("home", "tmp", "work") for file in (run.root / name).rglob("*")]
    assert {file.name.partition("-")[0] for file in left if file.is_file()} <= {"fontlist"}


def test_the_cache_is_empty_after_cache_clear(run: Run) -> None:
    """The names that run after it describe files anew: nothing but features."""
    assert {entry.name for entry in (run.root / "cache").iterdir()} <= {"features"}
    assert (run.root / "out" / "bundle.zip").is_file()


# --- the fence holds ---


def test_the_kernel_fence(run: Run) -> None:
    if not run.cut:
        pytest.skip("this machine allows no network namespace: the audit hook stands alone")
    assert run.report["interfaces"] == ["lo"]


LEAK = """
import contextlib, ctypes, os, runpy, socket, urllib.request
runpy.run_path("FENCE/everything.py")["raise_loopback"]()
for leak in (
    lambda: socket.socket().connect(("192.0.2.1", 80)),
    lambda: socket.getaddrinfo("telemetry.example", 443),
    lambda: socket.gethostbyname("telemetry.example"),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
    lambda: urllib.request.urlopen("http://192.0.2.1/").read(),
    lambda: open("/elsewhere", "w"),
    lambda: os.mkdir("/elsewhere.d"),
):
    with contextlib.suppress(OSError):
        leak()
with socket.socket() as listening:  # loopback is no leak
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    socket.create_connection(listening.getsockname()).close()
print(ctypes.CDLL(None).creat(b"/elsewhere.c", 0o600))
"""


def test_the_fence_sees_leaks(root: Path, tmp_path: Path) -> None:
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    if not fenced(tmp_path, "-c", "")[1]:
        pytest.skip("without the kernel's fence this would write what it must not")
    (tmp_path / "log").unlink()
    leak = LEAK.replace("/elsewhere", f"{root}/elsewhere").replace("FENCE", str(FENCE))
    done, _ = fenced(tmp_path, "-c", leak)
    assert done.stderr == ""
    assert done.stdout == "-1\n"
    assert not list(root.glob("elsewhere*"))
    run = Run(tmp_path, {}, cut=True)
    assert [line.split()[0] for line in run.log("net")] == [
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.sendto",
        "socket.getaddrinfo",
    ]
    assert [line.split()[0] for line in run.log("file")] == [
        f"{root}/elsewhere",
        f"{root}/elsewhere.d",
    ]


# --- asked for by name ---


@pytest.mark.parametrize("command", ["evaluate", "check-leaks", "train", "tune"])
@pytest.mark.parametrize("asked", [False, True])
def test_an_encoder_is_fetched_only_if_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, asked: bool
) -> None:
    told: list[bool] = []

    def no_encoder(name: str, *, download: bool, **_: object) -> None:
        told.append(download)
        raise EncoderError(name)

    monkeypatch.setattr("serein.experiment.prepare.SpeechEncoder", no_encoder)
    monkeypatch.chdir(tmp_path)
    recipe = run.root / "data" / "encoder.toml"
    data = DATA.partition("[features]")[0] + "[search]\nfolds = 3\n" * (command == "tune")
    recipe.write_text('name = "far"\n' + data + '[encoder]\nname = "openai/whisper-base"\n')
    words = ["serein", command, str(recipe), *["--download"] * asked]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        cli.main()
    assert told == [asked]


# --- no telemetry ---


def test_libraries_that_would_tell_their_makers_are_told_not_to() -> None:
    code = "import os, sys, serein; print({'onnxruntime', 'torch'} & set(sys.modules), *map("
    code += "os.environ.get, serein.NO_TELEMETRY))"
    plain = {name: value for name, value in os.environ.items() if name not in serein.NO_TELEMETRY}
    done = subprocess.run(
        [sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["set()", *serein.NO_TELEMETRY.values()]


def test_every_session_is_told_as_well() -> None:
    """Where onnxruntime came first, or on Windows, the variable is of no use."""
    opening = [file for file in HOUSE.rglob("*.py") if "InferenceSession(" in file.read_text()]
    assert opening == [HOUSE / "onnx_session.py"]
    assert "onnxruntime.disable_telemetry_events()" in opening[0].read_text()


SAID_NOT_ASKED = {  # places where an address is told to a reader
    "corpora/catalogue.py": r"https?://(zenodo\.org|emodb|github\.com|tspace|kahlan|sail\.usc|lab-msp"
    r"|affective-meld|www\.chineseldc|voice\.fub)\S*",
    "serve/settings.py": r"https?://(|example\.org or http://localhost:5173)",
    "serve/uvicorn_server.py": r"http://",
}


def test_the_package_names_no_address_to_ask() -> None:
    for file in HOUSE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if documented(node)}
        allowed = SAID_NOT_ASKED.get(file.relative_to(HOUSE).as_posix(), "(?!)")
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            if not isinstance(text, str) or text in docs:
                continue
            for address in re.findall(r"\b(?:https?|wss?|ftp)://.*", text):
                assert re.fullmatch(allowed, address), f"{file}: {address}"


def documented(node: ast.AST) -> bool:
    return isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))


def test_pages_load_nothing_from_elsewhere() -> None:
    pages = [*HOUSE.rglob("*.j2"), *HOUSE.rglob("*.html"), *HOUSE.rglob("*.css")]
    loading = re.compile(r"(?:src|url|href|@import)\s*[=(\s]\s*[\"']?(?:https?:)?//", re.I)
    assert len(pages) >= 8
    for page in pages:
        assert not loading.search(page.read_text(encoding="utf-8")), page
