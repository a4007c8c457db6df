"""docs/MODELS.md does what it shows, and results/models.md holds the results."""

from __future__ import annotations

import doctest
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from serein.experiment.recipe_file import make_recipe
from serein.models.catalogue import MODELS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "MODELS.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bench(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("table")


def test_python_lines_print_what_they_show() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    test = doctest.DocTestParser().get_doctest(block, {}, "models", None, 0)
    result = doctest.DocTestRunner().run(test)
    assert result.attempted == 9
    assert result.failed == 0


def test_the_recipe_is_one() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    recipe = make_recipe(tomllib.loads(block), "docs", ROOT)
    assert (recipe.model.name, recipe.augmentation.per_clip) == ("cnn", 2)


def test_every_model_is_named() -> None:
    assert all(f"`{name}`" in TEXT for name in MODELS)


def test_the_tables_are_the_results(bench: ModuleType, tmp_path: Path) -> None:
    rows = json.loads((ROOT / "results" / "models.json").read_text())
    text = (ROOT / "results" / "models.md").read_text(encoding="utf-8")
    document = tmp_path / "models.md"
    document.write_text(text, encoding="utf-8")
    bench.write_document(document, rows)
    assert document.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("corpus", ["emodb", "ravdess"])
def test_every_recipe_has_its_row(bench: ModuleType, corpus: str) -> None:
    rows = json.loads((ROOT / "results" / "models.json").read_text())
    measured = {row["recipe"]: row for row in rows if row["corpus"] == corpus}
    assert {bench.fingerprint(recipe) for recipe in bench.recipes([corpus], None)} == set(measured)
    assert all(0 < row["low"] <= row["uar"] <= row["high"] < 1 for row in measured.values())
