"""What is shown to people, in English or Chinese; ``chinese.json`` has all but names of emotions.

It maps English texts to Chinese ones with the same places for numbers and names, and regular
expressions of what an error or a notice says after a name to what it says in Chinese, with the
same groups.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from functools import cache
from pathlib import Path

NOTICE = (
    "How a listener might describe the voice, not what a person feels. "
    "Tell the people who are listened to."
)


class Language(StrEnum):
    """Language of what is shown."""

    en = "en"
    zh = "zh"


def translated(text: str, lang: str) -> str:
    """Return a text in a language, with the same places for numbers; itself if it is not known."""
    return _chinese()["texts"].get(text, text) if lang == Language.zh else text


def error_text(error: object, lang: str) -> str:
    """Write an error or a notice; in Chinese with the English words where there are no others."""
    if lang == Language.en:
        return str(error)
    for pattern, words in _chinese()["errors"].items():
        found = re.fullmatch(f"(.*?): {pattern}", str(error), re.DOTALL)
        if found:
            return f"{found[1]}：{words.format(*found.groups()[1:])}"
    return f"无法预测：{error}"


@cache
def _chinese() -> dict[str, dict[str, str]]:
    file = Path(__file__).with_name("chinese.json")
    found: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    return found
