"""docs/textbook.md, results/textbook.md: figures are the results'; test_site.py runs blocks."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

from serein.cli import app
from serein.experiment.recipe_file import make_recipe, short_recipe, short_table
from serein.training.balance import METHODS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/textbook.md").read_text(encoding="utf-8")
WHOLE = (ROOT / "results/textbook.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def commands(text: str = TEXT) -> list[list[str]]:
    lines = [line for block in blocks("sh", text) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


(BASE,) = blocks('toml title="mine.toml"')
FRAGMENTS = [tomllib.loads(block) for block in blocks("toml")]


@pytest.fixture(scope="module")
def page(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("textbook")


@pytest.fixture(scope="module")
def methods(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("methods")


@pytest.fixture(scope="module")
def rows(methods: ModuleType) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = methods.read_json(ROOT / "results/methods.json")
    return found


def test_the_figures_are_those_of_the_results(page):
    for text in (TEXT, WHOLE, (ROOT / "docs/FUSION.md").read_text(encoding="utf-8")):
        assert page.filled(text, page.read_results(ROOT / "results")) == text


def test_every_block_has_its_place(page):
    marks = re.findall(r"<!-- textbook ([\w ]+) -->", TEXT + WHOLE)
    assert sorted(marks) == sorted([*page.BLOCKS, *page.BLOCKS])


def test_outside_its_blocks_the_page_has_no_score():
    prose = re.sub(r"(<!-- textbook [\w ]+ -->).*?\1|```.*?```", "", TEXT, flags=re.S)
    assert re.findall(r"\b0\.\d{3}\b", prose) == ["0.143", "0.125"]  # chance


def test_every_method_has_its_row(methods, rows):
    wanted = {
        (name, option, corpus, methods.Bench(corpus, ROOT, ROOT).mark(topic, changes))
        for name, topic in methods.TOPICS.items()
        for option, changes in topic.options.items()
        for corpus in topic.corpora
    }
    assert {(*methods.name_of(row), row["mark"]) for row in rows} == wanted
    assert all(0 < row["low"] <= row["uar"] <= row["high"] < 1 for row in rows)
    assert sum("p_holm" in row for row in rows) == sum(
        row["method"] != plain(methods, row) for row in rows
    )


def plain(methods: ModuleType, row: dict[str, Any]) -> str:
    name: str = methods.TOPICS[row["topic"]].plain
    return name


def test_the_blocks_go_into_the_recipe_of_the_perceptron():
    base = make_recipe(tomllib.loads(BASE), "docs", ROOT)
    mlp = short_recipe("ravdess", "mlp")
    assert replace(base, name=mlp.name, bundle=mlp.bundle) == mlp


@pytest.mark.parametrize("fragment", FRAGMENTS, ids="-".join)
def test_a_fragment_makes_a_recipe_that_was_measured(fragment, rows, load_bench):
    with_old_names = load_bench("table").with_old_names
    table = short_table("ravdess", "svm" if "search" in fragment else "mlp")
    for section, settings in fragment.items():
        table[section] = table.get(section, {}) | settings
    assert make_recipe(table, "docs", ROOT).name == table["name"]
    if "balance" in fragment:
        assert fragment["balance"]["method"] in METHODS
    else:
        assert any(with_old_names(fragment).items() <= row["changes"].items() for row in rows)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_is_one(words):
    program, name, *arguments = words
    assert program == "serein"
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.make_context(name, arguments).params
    for argument in arguments:
        assert not argument.startswith("recipes/") or (ROOT / argument).is_file()


def test_another_run_gives_the_same_figure(methods, rows, corpora_dir, tmp_path):
    bench = methods.Bench("emodb", corpora_dir, tmp_path)
    topic = methods.TOPICS["features"]
    found = methods.scores(bench.answers(topic, topic.options["mfcc"]))
    (row,) = [row for row in rows if methods.name_of(row) == ("features", "mfcc", "emodb")]
    assert found == pytest.approx({name: row[name] for name in found}, abs=0.005)
