"""Text of others: names that become paths, and what reaches a terminal or a Markdown page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unicodedata import category

from serein.errors import ResultsError, SereinError, SettingError

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format, half characters, ends of lines
JOINERS = "\u200c\u200d"  # within words of Persian and Hindi, and within emoji
NAME_MARKS = frozenset(" ._-+,()@#=")
MAX_NAME = 100  # characters
MARKDOWN = re.compile(r"[\\`*\[\]<>|&~$]")


def printable(text: object) -> str:
    """Escape what a terminal would obey or not show, as JSON does."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(_escaped(one) if category(one) in HIDDEN else one for one in text)


def markdown(value: Any) -> Any:
    """Escape all texts of plain values for a Markdown page, HTML in them too."""
    if isinstance(value, str):
        return MARKDOWN.sub(r"\\\g<0>", printable(value))
    if isinstance(value, dict):
        return {markdown(key): markdown(entry) for key, entry in value.items()}
    return [markdown(one) for one in value] if isinstance(value, list | tuple) else value


def check_file_name(what: str, name: str, error: type[SereinError] = SettingError) -> str:
    """Check the name of a recipe, bundle or corpus: it may become that of a file or folder."""
    marks = all(one in NAME_MARKS or category(one)[0] in "LMN" for one in name)
    if not (marks and 0 < len(name) <= MAX_NAME and name[0] not in " .-" and name[-1] not in " ."):
        shown = printable(name[: MAX_NAME + 1])
        raise error(
            f"{what} is '{shown}'; allowed: at most {MAX_NAME} letters, digits, spaces and "
            f"{' '.join(sorted(NAME_MARKS - {' '}))}, without . or - at the beginning"
        )
    return name


def writable_name(name: str) -> str:
    """Escape what the name of a file to write may not hold; bytes that are not text are allowed."""
    return "".join(
        _escaped(one) if category(one) in HIDDEN - {"Cs"} and one not in JOINERS else one
        for one in name
    )


def check_output(target: Path) -> None:
    """Check the name of a file or folder to write; bytes that are not text are allowed."""
    if writable_name(target.name) != target.name:
        raise ResultsError(
            f"{printable(target)}: the name holds control or format characters: name another"
        )


def _escaped(character: str) -> str:
    """Write a character as one or two UTF-16 units."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(
        f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True)
    )
