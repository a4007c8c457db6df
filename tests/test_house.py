"""The floors of the house: imports go down, never up, never sideways between rooms."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import serein
from serein.moved import MOVED

HOUSE = Path(serein.__file__).parent
ROOT = HOUSE.parent.parent
ANYONE_MAY = {"errors", "defaults", "recordings", "engine", "tables", "archives"}
ANYONE_MAY |= {"onnx_session", "onnx_graph"}
ANYONE_MAY |= {"untrusted"}
ANYONE_MAY |= {"private_files"}
ANYONE_MAY |= {"language"}
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "language": set(),
    "defaults": set(),
    "engine": set(),
    "recordings": set(),
    "tables": set(),
    "untrusted": set(),
    "private_files": set(),
    "moved": set(),
    "archives": set(),
    "onnx_graph": set(),
    "onnx_session": set(),
    "emotions": set(),
    "audio": set(),
    "training": set(),
    "corpora": {"emotions"},
    "features": {"audio"},
    "models": {"training"},
    "evaluation": {"emotions"},
    "inference": {"emotions", "audio", "features", "models"},
    "analysis": {"emotions", "audio", "corpora", "features", "models", "evaluation", "inference"},
    "bulk": {"inference", "audio", "emotions"},
    "serve": {"inference", "audio", "emotions"},
    "experiment": {
        *{"emotions", "audio", "training", "corpora"},
        *{"features", "models", "evaluation", "inference"},
    },
    "cli": {"experiment", "analysis", "bulk", "serve", "inference", "evaluation", "features"}
    | {"corpora", "audio", "emotions", "__init__"},
    "__main__": {"cli"},
    "demo": {"cli"},
}


MOST_DOCSTRING_LINES = 24  # of what the reference does not show


def reference() -> dict[str, set[str]]:
    """Return the public names of each module, as docs/site/reference.py lists them."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/site/reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    public: dict[str, set[str]] = {}
    for name in serein.__all__:
        thing = getattr(serein, name)
        if callable(thing):
            public.setdefault(thing.__module__, set()).add(name)
    for modules in module.REFERENCE.values():
        for place, names in modules.items():
            for name in names:
                home = getattr(importlib.import_module(place), name).__module__
                public.setdefault(home, set()).add(name)
    return public


def imports_of(file: Path) -> set[str]:
    """Rooms of serein that a file imports, at its top or inside its functions."""
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name == "serein":
                rooms.add("__init__")
            elif name.startswith("serein."):
                rooms.add(name.split(".")[1])
    return rooms


def files() -> list[Path]:
    return [file for file in sorted(HOUSE.rglob("*.py")) if file != HOUSE / "__init__.py"]


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(HOUSE)))
def test_imports_go_down(file: Path) -> None:
    room = file.relative_to(HOUSE).parts[0].removesuffix(".py")
    assert room in ROOMS, f"the room {room} has no floor: add it to ROOMS"
    assert imports_of(file) <= ROOMS[room] | ANYONE_MAY | {room}


def test_the_table_itself_has_no_way_up() -> None:
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        assert all(order.index(below) < order.index(room) for below in allowed - {"__init__"})


def test_what_the_reference_shows_exists_and_says_its_parameters() -> None:
    for module, names in reference().items():
        for name in names:
            thing = getattr(importlib.import_module(module), name)
            assert inspect.getdoc(thing), f"{module}.{name}"
            if inspect.isfunction(thing) and inspect.signature(thing).parameters:
                assert "Parameters\n----" in inspect.getdoc(thing), f"{module}.{name}"


def test_internal_docstrings_are_short() -> None:
    public = reference()
    for file in files():
        module = ".".join(["serein", *file.relative_to(HOUSE).with_suffix("").parts])
        for node in ast.parse(file.read_text()).body:
            named = isinstance(node, (ast.FunctionDef, ast.ClassDef))
            if named and node.name not in public.get(module.removesuffix(".__init__"), ()):
                text = ast.get_docstring(node) or ""
                assert len(text.splitlines()) <= MOST_DOCSTRING_LINES, f"{module}.{node.name}"


def test_public_names_exist_and_are_few() -> None:
    assert len(serein.__all__) <= 15
    for name in serein.__all__:
        assert getattr(serein, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = serein.nothing_of_the_kind


@pytest.mark.parametrize(
    "statement",
    ["import serein", "import serein; serein.load()", "import serein.cli"],
)
def test_recognition_needs_nothing_heavy(statement: str) -> None:
    heavy = "{'torch', 'scipy', 'sklearn', 'librosa', 'matplotlib', 'transformers', 'onnx'}"
    code = f"import sys; {statement}; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


JOBLIB = (
    "    from joblib import Parallel, delayed",
    "    from joblib.externals.loky.backend import resource_tracker",
)


def test_no_pickle_no_eval_no_assert_in_the_package() -> None:
    for file in files():
        tree = ast.parse(file.read_text())
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), file
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"eval", "exec"}, file
        assert not re.search(r"^\s*(import|from) (pickle|dill)", file.read_text(), re.M), file
        for line in re.findall(r"^\s*(?:import|from) joblib.*", file.read_text(), re.M):
            assert line in JOBLIB, file  # its Memory pickles


def test_every_pinned_requirement_is_in_the_constraints() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = re.findall(r'^  "([A-Za-z0-9_-]+)>=', (ROOT / "pyproject.toml").read_text(), re.M)
    wanted += re.findall(r"^([a-z-]+)$", (ROOT / "requirements-dev.txt").read_text(), re.M)
    assert {name.lower() for name in wanted} <= pinned


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_an_import_of_an_old_module_names_the_new_one(old: str, new: str) -> None:
    assert importlib.util.find_spec(f"serein.{new}")
    with pytest.raises(ModuleNotFoundError, match=f"serein.{old} is called serein.{new} now"):
        importlib.import_module(f"serein.{old}")


def test_the_architecture_page_names_every_package_and_file_it_speaks_of() -> None:
    page = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = {place.parent.name for place in HOUSE.glob("*/__init__.py")}
    assert {name for name in packages if f"| `{name}` |" not in page} == set()
    for file in re.findall(r"`(\w+/\w+\.py)`", page):
        assert (HOUSE / file).is_file() or (ROOT / file).is_file(), file
    for name in ROOMS.keys() - packages - {"__main__", "demo"}:
        assert f"`{name}`" in page, name
