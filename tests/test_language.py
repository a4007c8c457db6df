"""Chinese: every text that is shown in two languages has both, with the same places."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from serein.evaluation.report.report import SECTIONS
from serein.language import translated

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "serein"
TEXTS = json.loads((SOURCE / "chinese.json").read_text(encoding="utf-8"))["texts"]
PLACE = re.compile(r"\{[^}]*\}")


def said_in_code() -> set[str]:
    """All literals that are put into a language."""
    found = set()
    for file in SOURCE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        says = "say(" in text or "translated(" in text
        for node in ast.walk(ast.parse(text)) if says else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                literal = node.args and isinstance(node.args[0], ast.Constant)
                if literal and node.func.id in ("say", "translated"):
                    found.add(node.args[0].value)
    return found


def said_on_pages() -> set[str]:
    """All literals of the report's templates, and names of columns and tables in them."""
    found = set(SECTIONS.values())
    for name in ("parts", "report", "scores", "robustness", "data"):
        text = (SOURCE / f"evaluation/report/templates/{name}.html.j2").read_text(encoding="utf-8")
        for literal in re.findall(r'(?:_|scroll|tile)\(("(?:[^"\\]|\\.)+")[,) ]', text):
            found.add(ast.literal_eval(literal))
        found |= set(re.findall(r'\["([^"]+)", "(?:num)?"\]', text))
    return {text.replace("\\\\", "\\") for text in found} - {"p", "By "}


def test_every_text_has_its_chinese() -> None:
    wanted = said_in_code() | said_on_pages()
    assert len(wanted) > 100
    assert not sorted(wanted - TEXTS.keys())


def test_both_languages_have_the_same_places() -> None:
    for english, chinese in TEXTS.items():
        assert sorted(PLACE.findall(english)) == sorted(PLACE.findall(chinese)), english
        assert translated(english, "zh") == chinese
        assert translated(english, "en") == english


@pytest.mark.parametrize("page", ["README.zh.md", "docs/index.zh.md", "docs/howto.zh.md", "texts"])
def test_chinese_has_its_own_punctuation(page: str) -> None:
    """Full-width marks beside Chinese, a per cent sign without a space, no line cut in two."""
    text = "\n".join(TEXTS.values()) if page == "texts" else (ROOT / page).read_text("utf-8")
    text = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)|\{[^}]*\}", "", text)
    text = re.sub(r"\(\w\)", "", text)  # of an article's number
    han = "[\u4e00-\u9fff]"
    assert not re.findall(rf"{han} ?[,;:!?()]|[,;!?()] ?{han}|\d %", text)
    assert page == "texts" or not re.findall(rf"^(?![|#]).*{han}$\n^{han}.*", text, re.M)
