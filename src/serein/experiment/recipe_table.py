"""A recipe as a TOML table: what is wrong with it that can be said before torch is imported."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from serein.corpora import CORPORA
from serein.corpora.corpus import is_table
from serein.corpora.segments import is_annotation
from serein.errors import CorpusError, RecipeError, reason_of, unknown_name
from serein.evaluation.search.study import METHODS
from serein.experiment.recipe import NAMES, Face, Fusion, Model, Recipe, Text
from serein.experiment.toml_sections import open_section, section
from serein.features.feature_sets import SETS
from serein.untrusted import check_file_name

MAX_BYTES, MAX_DOTS = 100_000, 10  # of a file, and in a key
MAX_DEPTH = 20  # of nested tables and lists
TOO_DEEP = f"more than {MAX_DEPTH} tables or lists nested"
TEXT_OF_TOML = re.compile(  # comments, strings and all else that is neither dot nor bracket
    r'''#[^\n]*|"""(?:[^\\]|\\.)*?(?:"{3,5}|\Z)|"(?:[^"\\\n]|\\.)*"?'''
    r"""|'''.*?(?:'{3,5}|\Z)|'[^'\n]*'?|[^\n.=,\[\]{}"'#]+""",
    re.DOTALL,
)
MAX_INTEGER = 2**63 - 1  # as TOML guarantees
OPEN_SECTIONS = {"model": Model, "fusion": Fusion, "face": Face, "text": Text}
"""Sections that hold settings of what they name beside keys of their own."""


def read_table(file: Path) -> dict[str, Any]:
    """Read a recipe file, keys and values as they are.

    Raises: RecipeError if it cannot be read.
    """
    try:
        table = _read_toml(file)
        _check_size(table)
    except (OSError, ValueError) as error:  # ValueError: not text, not TOML
        raise RecipeError(
            f"{file}: cannot be read as a TOML recipe: {reason_of(error)}{_instead(file)}"
        ) from error
    return table


def sections_of(table: Mapping[str, Any], place: str) -> Recipe:
    """Make the sections of a recipe, with keys and types checked, and nothing filled in."""
    rest = {name: value for name, value in table.items() if name not in OPEN_SECTIONS}
    recipe: Recipe = section(Recipe, rest, place)
    check_file_name(f"{place}: name", recipe.name, RecipeError)
    for name, kind in OPEN_SECTIONS.items():
        if name in table:
            made = open_section(kind, table[name], f"{place}: {name}")
            recipe = replace(recipe, **{name: made})
    return recipe


def check_named(recipe: Recipe, place: str, data: Path | None, near: Path) -> None:
    """Check what a recipe calls by name, and the folders of its corpora, without torch.

    `data`: the folder that replaces its own; others are relative to `near`.
    Raises: RecipeError, or CorpusError if a folder is not there.
    """
    for problem in corpus_problems(corpora_of(recipe)):
        raise RecipeError(f"{place}: {problem}")
    for kind, name, known in (
        ("model", recipe.model.name, NAMES["model"]),
        ("split", recipe.protocol.split, NAMES["split"]),
        ("search method", recipe.search.method, METHODS),
    ):
        if name not in known and ":" not in name:  # the latter is a model of one's own
            raise RecipeError(f"{place}: {unknown_name(kind, name, known)}")
    for name in recipe.features.sets if recipe.features else ():
        if name not in SETS:
            raise RecipeError(f"{place}: features: {unknown_name('feature set', name, SETS)}")
    for name in recipe.data.folders:
        if name not in corpora_of(recipe):
            wrong = unknown_name("corpus in data.folders", name, corpora_of(recipe))
            raise RecipeError(f"{place}: {wrong}")
    for name in corpora_of(recipe):
        folder_of(name, recipe, data, near)


def corpus_problems(names: Iterable[str]) -> Iterable[str]:
    """Say which names are of no corpus, table or file of labels."""
    for name in names:
        if name not in CORPORA and not is_table(name) and not is_annotation(name):
            yield (
                f"{unknown_name('corpus', name, CORPORA)}; or a .csv or .tsv table, or labelled "
                "segments: .TextGrid, .eaf, .json of Label Studio, or a folder of them, FOLDER/"
            )


def folder_of(name: str, recipe: Recipe, data: str | Path | None, near: Path = Path()) -> Path:
    """Return the folder of a corpus: its own, else the one of all.

    Raises: CorpusError if it is not there, or none is given.
    """
    own = recipe.data.folders.get(name)
    given = None if recipe.data.folder is None else near / recipe.data.folder
    folder = near / own if own else data or given
    if folder is None:
        raise CorpusError(
            f"the recipe {recipe.name!r} does not say where its recordings are: "
            "give --data DIR, or folder under [data]",
            to_try="serein COMMAND RECIPE --data DIR",
        )
    if not Path(folder).is_dir():
        instead = f"the one of {name}: folders under [data]" if own else "the one with the corpora"
        raise CorpusError(
            f"{folder} is not a folder; give {instead}{'' if own else ': --data DIR'}",
            to_try=f"ls {shlex.quote(str(Path(folder).absolute().parent))}",
        )
    return Path(folder)


def corpora_of(recipe: Recipe) -> tuple[str, ...]:
    """List the corpora that a recipe names anywhere."""
    named = (*recipe.data.corpora, *recipe.data.public, *recipe.data.unlabelled)
    return (*named, recipe.bursts.corpus) if recipe.bursts else named


def _instead(file: Path) -> str:
    """Say what replaces a recipe file that came with serein 0.1."""
    corpus, model = file.parent.name, file.stem
    if file.exists() or corpus not in CORPORA:
        return ""
    if model == "probe":
        return f": say recipes/{corpus}-probe.toml"
    return f": say --corpus {corpus} --model {model}" if model in NAMES["model"] else ""


def _read_toml(file: Path) -> dict[str, Any]:
    """Read TOML that is small and flat enough: tomllib takes memory for each part of each key."""
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    text = content.decode("utf-8-sig").replace("\r\n", "\n")
    structure = TEXT_OF_TOML.sub("", text)
    if "." * (MAX_DOTS + 1) in structure:
        raise ValueError(f"a key has more than {MAX_DOTS} dots")
    depth = accumulate((one in "[{") - (one in "]}") for one in structure)
    if max(depth, default=0) > MAX_DEPTH:
        raise ValueError(TOO_DEEP)
    return tomllib.loads(text)


def _check_size(value: Any, depth: int = 0) -> None:
    """Refuse depths and integers that no recipe needs and that would fail later."""
    if depth > MAX_DEPTH:
        raise ValueError(TOO_DEEP)
    if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ValueError("an integer has more than 64 bits")
    if isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            _check_size(entry, depth + 1)
