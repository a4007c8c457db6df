"""The site builds, needs nothing from elsewhere, and every block of its pages does what it shows.

Blocks of a page run in its order, in one folder that holds what the pages speak of (`desk`). A
block that cannot is marked on the line above, `<!-- not run: REASON -->`; its commands are still
looked up. A `text` block after a shell block is what that prints; a `toml` block with a title is
that file.
"""

from __future__ import annotations

import doctest
import html.parser
import importlib.util
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import soundfile
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

import serein
from serein.cli import app
from serein.experiment.recipe import Recipe
from serein.experiment.recipe_file import make_recipe

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "README.zh.md"]
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+?) -->\n)?"
    r'^```(?P<kind>\w*)(?: title="(?P<title>[^"\n]+)")?\n(?P<code>.*?)^```$',
    re.M | re.S,
)
REASON = re.compile(r"needs an? \w+|needs recordings|takes minutes|.*tests/\w+")
NOT_COUNTED = re.compile(r"README|\.zh\.md$")
OTHER_WORDS = re.compile(
    r"\b(?:strangers?|never heard|heard|answers?|answered|learnt from|halved|penalty|leans?|senses|"
    r"judges?|crowd|flatters?|dawdle|not honest|standardised|copies)\b",
    re.I,
)
PORT = "8765"  # in the pages; a free one in the tests
KINDS = {"sh", "python", "toml", "text", ""}
ALONE = {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1", "COLUMNS": "200", "NO_PROXY": "*"}


@dataclass(frozen=True)
class Block:
    """A block of a page: why it is not run, if so; its language, file name and text."""

    why: str | None
    kind: str
    title: str | None
    code: str


def blocks(page: Path) -> list[Block]:
    return [Block(**found.groupdict()) for found in BLOCK.finditer(page.read_text("utf-8"))]


# --- the site ---


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


class Links(html.parser.HTMLParser):
    """What a page loads, where it leads, and which places it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.leads: list[str] = []
        self.places: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])
        elif tag == "link" and "href" in given:
            self.loaded.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])


@pytest.fixture(scope="module")
def linked(site: Path) -> dict[Path, Links]:
    return {file: Links(file.read_text("utf-8")) for file in site.rglob("*.html")}


def test_nothing_is_loaded_from_elsewhere(site: Path, linked: dict[Path, Links]) -> None:
    for file, links in linked.items():
        assert all(not re.match(r"\w+:|//", place) for place in links.loaded), file
        assert "mermaid" not in file.read_text("utf-8")  # for which the theme would ask a stranger
    for style in site.rglob("*.css"):
        loaded = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")]+)", style.read_text("utf-8"))
        assert all(place.startswith(("data:", "#", "../", "./")) for place in loaded), style


def test_every_link_inside_leads_somewhere(linked: dict[Path, Links]) -> None:
    checked = 0
    for file, links in linked.items():
        if file.name == "404.html":  # served from anywhere: its links are from the root
            continue
        for place in [*links.leads, *links.loaded]:
            parts = urlsplit(place)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            assert target.exists(), (file.name, place)
            if target in linked:
                assert unquote(parts.fragment) in linked[target].places, (file.name, place)
            checked += 1
    assert checked > 1000


def test_every_public_name_is_under_its_heading(linked: dict[Path, Links]) -> None:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/site/reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    places = next(links.places for file, links in linked.items() if file.name == "python.html")
    for section, modules in reference.REFERENCE.items():
        assert re.sub(r"\W+", "-", section.lower()) in places
        for module, names in modules.items():
            assert {f"{module}.{name}" for name in names} <= places, module


def test_every_recipe_key_and_every_query_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi", reason="pip install 'serein[serve]'")
    monkeypatch.syspath_prepend(str(ROOT / "docs/site"))
    pages = importlib.import_module("settings")
    assert {field.name for field in fields(Recipe)} == {"name", *pages.SECTIONS}
    for section in pages.SECTIONS.values():
        described = pages.entries(section)
        assert {field.name for field in fields(section)} == described.keys(), section
        assert all(re.search(r"\. \S", text) for text in described.values()), section
    queries = [row for row in pages.http_page().splitlines() if row.count("|") == 5]
    assert len(queries) > 10
    assert all(row.split("|")[4].strip() for row in queries)


def test_every_command_name_and_card_has_its_place(linked: dict[Path, Links]) -> None:
    places = {file.name: links.places for file, links in linked.items()}
    for path in commands():
        assert "-".join(path) in places["commands.html"]
    for name in serein.__all__:
        assert f"serein.{name}" in places["python.html"]
    for card in (ROOT / "src").rglob("CARD.md"):
        assert f"{card.parent.name}.html" in places


def test_marks_are_filled_in(site: Path) -> None:
    for file in site.rglob("*.html"):
        assert not re.search(r"<!-- table\b", file.read_text("utf-8")), file
    assert "</table>" in (site / "results/stress.html").read_text("utf-8")
    chinese = (site / "index.zh.html").read_text("utf-8")
    assert '<html lang="zh"' in chinese
    assert all(
        f"{spec.title}</a>" in (site / "licences.html").read_text("utf-8")
        for spec in serein.CORPORA.values()
    )


def test_the_pages_are_short_and_say_it_as_the_field_says_it() -> None:
    pages = {
        page.name: page.read_text("utf-8") for page in PAGES if not NOT_COUNTED.search(page.name)
    }
    words = {name: len(text.split()) for name, text in pages.items()}
    assert max(words.values()) <= 2000, words
    assert sum(words.values()) <= 18_000, words
    for name, text in pages.items():
        assert not OTHER_WORDS.findall(text), name


# --- what the blocks say ---


def commands(group: Any = None, path: tuple[str, ...] = ("serein",)) -> dict[tuple[str, ...], set]:
    """Every command of the command line with its options."""
    group = group or get_command(app)
    if not isinstance(group, TyperGroup):
        context = Context(group)
        return {path: {name for param in group.get_params(context) for name in param.opts}}
    found = {}
    for name in group.list_commands(Context(group)):
        found |= commands(group.get_command(Context(group), name), (*path, name))
    return found


def calls(code: str) -> Iterator[list[str]]:
    """Each simple command of a shell block as its words."""
    bare = re.sub(r"(^|\s)#[^\n]*", "", code).replace("\\\n", " ")
    lexer = shlex.shlex(bare, posix=True, punctuation_chars=";|&<>\n")
    lexer.whitespace, lexer.commenters = " \t", ""
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, "\n"]:
        if set(word) <= set(";|&\n"):
            if words:
                yield words
            words = []
        else:
            words.append(word)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    known = commands()
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for block in blocks(page):
        if block.kind not in {"sh", "console"}:
            continue
        for words in calls(re.sub(r"^\$ ", "", block.code, flags=re.M)):
            if words[0] == "make":
                assert f"\n{words[1]}:" in makefile, words
            if words[0] != "serein":
                continue
            path = max((p for p in known if tuple(words[: len(p)]) == p), key=len, default=None)
            assert path is not None, words
            options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert options <= known[path], (words, options - known[path])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_says_why(page: Path) -> None:
    text = page.read_text("utf-8")
    found = blocks(page)
    assert text.count("\n```") == 2 * len(found), "a block that cannot be read"
    assert text.count("<!-- not run") == sum(block.why is not None for block in found)
    for block in found:
        if block.why is None:
            assert block.kind in KINDS, f"{block.kind}: a block that is neither run nor marked"
            continue
        assert REASON.match(block.why), block.why
        for place in re.findall(r"tests/[\w/.]*\w", block.why):
            assert (ROOT / place).exists(), place


def test_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for page in PAGES:
        for names in re.findall(r"(?:serein|\.)\[([a-z,]+)\]", page.read_text("utf-8")):
            assert set(names.split(",")) <= set(project["optional-dependencies"]), page.name


# --- what the blocks do ---


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PATH whose `serein` is quick, and whose `pip` has everything."""
    if not hasattr(os, "fork") or shutil.which("bash") is None:
        pytest.skip("needs bash and fork")
    folder = tmp_path_factory.mktemp("bin")
    script, place = Path(__file__).with_name("warm_serein.py"), folder / "socket"
    python = shlex.quote(sys.executable)
    ask = f"exec {python} -IS {shlex.quote(str(script))} ask {shlex.quote(str(place))} "
    program(folder / "serein", f'[ "$1" != serve ] || exec {python} -m serein "$@"\n{ask}"$@"')
    program(folder / "python", f'exec {python} "$@"')
    program(folder / "pip", "exit 0")
    command = [sys.executable, str(script), "wait", str(place)]
    environment = os.environ | ALONE | {"SEREIN_CACHE": str(folder / "cache")}
    with subprocess.Popen(command, env=environment) as warm:
        deadline = time.monotonic() + 240
        while not place.exists():
            assert warm.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"{folder}{os.pathsep}{os.environ['PATH']}"
        warm.terminate()


def program(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages speak of."""
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    signal, rate = soundfile.read(ROOT / "samples" / "espeak-german.flac")
    for name in ("call.wav", "recordings/1.wav", "recordings/of-one-speaker/call.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, signal[: 2 * rate], rate)
    monkeypatch.chdir(tmp_path)
    for name, value in (ALONE | {"SEREIN_CACHE": str(tmp_path / "cache")}).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def runnable(page: Path) -> bool:
    return any(block.why is None and block.kind not in {"text", ""} for block in blocks(page))


AS_IN_ENGLISH = "howto.zh.md"  # its blocks are those of the English page
RUNNABLE = [page for page in PAGES if runnable(page) and page.name != AS_IN_ENGLISH]


def test_chinese_how_tos_are_the_english_ones() -> None:
    english = [block.code for block in blocks(ROOT / "docs/howto.md")]
    chinese = [block.code for block in blocks(ROOT / "docs" / AS_IN_ENGLISH)]
    assert len(chinese) > 10
    assert [code for code in chinese if code not in english] == []


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_the_blocks_run(page: Path, desk: Path, path: str) -> None:
    scope: dict[str, Any] = {"__name__": page.stem}
    port = free_port()
    said = ""
    for block in blocks(page):
        code = block.code.replace(f":{PORT}", f":{port}").replace(f" {PORT}", f" {port}")
        if block.why is not None:
            said = ""
        elif block.kind == "sh":
            said = run_shell(code, path)
        elif block.kind == "python":
            run_python(code, scope)
        elif block.kind == "toml":
            read_toml(code, block.title, desk)
        elif block.kind == "text" and said:
            check_alike(said, block.code)


def check_alike(said: str, shown: str) -> None:
    """Hold that words are the same, and numbers nearly: processors differ in rounding int8.

    Where the shown confidence is low, another emotion may be as near.
    """
    answer = re.compile(r"(\w*) ?(\d+\.\d+)")
    assert answer.sub("#", said) == answer.sub("#", shown)
    for found, wanted in zip(answer.findall(said), answer.findall(shown), strict=True):
        assert float(found[1]) == pytest.approx(float(wanted[1]), abs=0.04), said
        assert found[0] == wanted[0] or float(wanted[1]) < 0.5, said


def run_shell(code: str, path: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        env=os.environ | {"PATH": path},
        input="y\n",  # to whoever asks
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{code}\n{done.stderr}"
    return done.stdout


def run_python(code: str, scope: dict[str, Any]) -> None:
    if not code.startswith(">>> "):
        exec(compile(code, "block", "exec"), scope)  # noqa: S102
        return
    test = doctest.DocTestParser().get_doctest(code, {}, "block", None, 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def read_toml(code: str, title: str | None, folder: Path) -> None:
    values = tomllib.loads(code)
    if {"data", "model"} <= set(values):
        assert make_recipe({"name": "block"} | values, "block", folder).model.name
    if title is not None:
        (folder / title).write_text(code, "utf-8")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
