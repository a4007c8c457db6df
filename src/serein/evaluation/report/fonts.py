"""Figures as files, with letters that Matplotlib's own font lacks, such as Chinese names."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PACKAGED = Path(__file__).with_name("noto-sans-hans.otf")  # what GB 2312 has; see NOTICE


FORMATS = (".png", ".svg", ".pdf")


def figure_bytes(figure: Figure, ending: str, **options: Any) -> bytes:
    """Make the content of a file of a figure, the same every time; `options` as of savefig."""
    content = io.BytesIO()
    write_all_letters(figure)
    with rc_context({"svg.hashsalt": "serein"}):
        dateless = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending)
        figure.savefig(content, format=ending[1:], metadata=dateless, **options)
    return content.getvalue()


def write_all_letters(figure: Figure) -> None:
    """Draw each letter of a figure in a font that has it, or escaped where none here does."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    letters = {ord(letter) for text in texts for letter in text.get_text() if letter != "\n"}
    lacking = letters - _letters(findfont(FontProperties()))
    if not lacking:
        return
    families = FontProperties().get_family()
    for family, file in _fonts():
        if found := lacking & _letters(file):
            families, lacking = [*families, family], lacking - found
        if not lacking:
            break
    escapes = {code: chr(code).encode("unicode_escape").decode() for code in lacking}
    for text in texts:
        text.set_fontfamily(families)
        text.set_text(text.get_text().translate(escapes))


def packaged_font() -> str:
    """Make Matplotlib know the packaged font, and return its family."""
    file = str(PACKAGED)
    if all(entry.fname != file for entry in fontManager.ttflist):
        fontManager.addfont(file)
        fontManager.ttflist.append(replace(fontManager.ttflist[-1], weight="bold"))  # the same
    return FontProperties(fname=file).get_name()


def _fonts() -> Iterator[tuple[str, str]]:
    """List the packaged font, then those of this machine: family and file."""
    file = str(PACKAGED)
    packaged_font()
    plain = [
        entry
        for entry in fontManager.ttflist
        if entry.style == "normal" and "LastResort" not in entry.fname  # which draws boxes
    ]
    for entry in sorted(plain, key=lambda entry: entry.fname != file):
        yield entry.name, entry.fname


def _letters(file: str) -> set[int]:
    with suppress(OSError, RuntimeError):  # damaged, or of a kind that Matplotlib cannot draw
        return {*get_font(file).get_charmap()}
    return set()
