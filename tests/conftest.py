"""Fixtures for all tests: where the real corpora are, on machines that have them."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import serein  # noqa: F401  # before onnxruntime: switches its telemetry off

_BESIDE_THE_REPOSITORY = Path(__file__).parents[2] / "shared" / "corpora"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests, so that no process ends long after the others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module")
def load_bench() -> Iterator[Callable[[str], ModuleType]]:
    """Import a bench by its name; the benches find each other while the module's tests run."""
    folder = Path(__file__).parents[1] / "bench"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)

        def load(name: str) -> ModuleType:
            spec = importlib.util.spec_from_file_location(f"bench_{name}", folder / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, f"bench_{name}", module)
            spec.loader.exec_module(module)
            return module

        yield load


@pytest.fixture(scope="session")
def corpora_dir() -> Path:
    """The folder of real corpora: SEREIN_CORPORA, or ../shared/corpora; skips without it."""
    folder = Path(os.environ.get("SEREIN_CORPORA") or _BESIDE_THE_REPOSITORY)
    if not folder.is_dir():
        pytest.skip(f"corpora not found at {folder}; set SEREIN_CORPORA")
    return folder


@pytest.fixture(scope="session")
def corpus_dir(corpora_dir: Path) -> Callable[[str], Path]:
    """Give the folder of one real corpus by its name; skips without it."""

    def find(name: str) -> Path:
        if not (corpora_dir / name).is_dir():
            pytest.skip(f"{name} corpus not found at {corpora_dir / name}; set SEREIN_CORPORA")
        return corpora_dir / name

    return find


@pytest.fixture(scope="session")
def weights_dir(corpora_dir: Path) -> Path:
    """The folder of pre-trained encoders beside the corpora; skips without it."""
    folder = corpora_dir.parent / "weights"
    if not folder.is_dir():
        pytest.skip(f"encoders not found at {folder}")
    return folder
