"""results/live.md says what results/live.json says, and the Python of docs/LIVE.md runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "LIVE.md").read_text(encoding="utf-8")


def test_the_table_is_the_benchs(load_bench: Callable[[str], ModuleType]) -> None:
    pytest.importorskip("opensmile")
    bench = load_bench("live")
    found = json.loads((ROOT / "results" / "live.json").read_text(encoding="utf-8"))
    text = (ROOT / "results" / "live.md").read_text(encoding="utf-8")
    assert text.split(bench.MARK)[1].strip() == bench.table(found)


def test_the_python_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    scope: dict[str, object] = {}
    exec(code, scope)  # noqa: S102
    assert scope["stream"].position_s == 1.0  # type: ignore[attr-defined]
