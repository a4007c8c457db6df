"""The README's first screen does what it shows, in both languages."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh.md"]


@pytest.fixture(params=READMES)
def readme(request: pytest.FixtureRequest) -> str:
    return (ROOT / request.param).read_text(encoding="utf-8")


def test_python_lines_print_what_they_show(readme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    block = "\n".join(re.findall(r"```python\n(.*?)```", readme, re.S))
    test = doctest.DocTestParser().get_doctest(block, {}, "readme", None, 0)
    result = doctest.DocTestRunner().run(test)
    assert result.attempted == 3
    assert result.failed == 0


def test_the_table_is_the_results(
    readme: str, request: pytest.FixtureRequest, load_bench: Callable[[str], ModuleType]
) -> None:
    bench = load_bench("readme")
    name = request.node.callspec.params["readme"]
    assert readme.split(bench.MARK)[1].strip() == bench.markdown(name)


def test_both_say_the_same() -> None:
    """As far as can be counted: sections, blocks, rows of tables, and links but to the other."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in READMES]
    for pattern in (r"^## ", r"^```\w+", r"^\|", r"^serein \w+|^pip install \S+|^make \w+"):
        first, second = (re.findall(pattern, text, re.M) for text in texts)
        assert first == second, pattern
    links = [set(re.findall(r"\]\((docs/\w+)", text)) for text in texts]
    assert links[0] <= links[1]


def test_commands_exist(readme: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.M):
        assert f"\n{target}: " in makefile
    used = set(re.findall(r"^serein (\w+)", readme, re.M))
    command = [sys.executable, "-m", "serein", "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert used
    assert all(name in help_text for name in used)
