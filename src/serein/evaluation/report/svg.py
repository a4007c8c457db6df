"""Figures as inline SVG: one look, no raster images, the same bytes every time.

Colours are those of Okabe and Ito, without their yellow, which is lost on white paper, and four
more that people with any colour vision can tell from them; lines differ by their dashes too.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serein.errors import MissingExtraError
from serein.tables import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_PX = 400
PX_PER_INCH = 96
PRINT_DPI = 300
INK, MUTED, FAINT = "#1d2733", "#55606e", "#d5dbe2"
BLUE, VERMILLION, GREEN = "#0072b2", "#d55e00", "#009e73"
COLOURS = (
    *(BLUE, VERMILLION, GREEN, "#cc79a7", "#56b4e9", "#e69f00", "#000000"),
    *("#882255", "#7f7f00", "#6a51a3"),
)
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
SHADES = ("#ffffff", "#c9e2f2", "#6fb1dc", "#0072b2", "#003c63")
"""Few to many: lightness falls all the way, so it can be read in grey."""
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.5,
    "savefig.facecolor": "none",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@dataclass(frozen=True)
class Drawing:
    """A figure that is not drawn yet: `key` is its name, `words` say what it shows."""

    key: str
    words: str
    height_px: float
    paint: Callable[[Figure], None]

    def inline(self) -> str:
        """Draw it as inline SVG."""
        try:
            return _inline(self._svg("path"), self.key, self.words)
        except _MissingGlyphError:  # let the browser's fonts write it
            return _inline(self._svg("none"), self.key, self.words)

    def write(self, folder: Path) -> None:
        """Write it into a folder as PNG, SVG and PDF, on white."""
        from serein.evaluation.report.fonts import FORMATS, figure_bytes

        with _look(self.key, self._size, "path") as figure:
            self.paint(figure)
            for ending in FORMATS:
                content = figure_bytes(figure, ending, facecolor="white", dpi=PRINT_DPI)
                write_whole(folder / f"{self.key}{ending}", content)

    @property
    def _size(self) -> tuple[float, float]:
        return WIDTH_PX / PX_PER_INCH, self.height_px / PX_PER_INCH

    def _svg(self, letters: str) -> str:
        file = io.StringIO()
        with _look(self.key, self._size, letters) as figure, warnings.catch_warnings():
            warnings.filterwarnings("error" if letters == "path" else "ignore", r"Glyph \d+")
            try:
                self.paint(figure)
                nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
                figure.savefig(file, format="svg", metadata=nothing)
            except UserWarning as warning:
                if "Glyph" not in str(warning):
                    raise
                raise _MissingGlyphError from warning
        return file.getvalue()


def short(text: str, most: int = 18) -> str:
    """Shorten a text to one line of a length; an ellipsis says that it was cut."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


def unit_axis(axis: Any, name: str) -> None:
    """Scale an axis from 0 to 1, in steps of 0.2."""
    axis.set_ticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axis.set_label_text(name)
    getattr(axis.axes, f"set_{axis.axis_name}lim")(0, 1)


def name_rows(axes: Axes, names: list[str], *, most: int = 24) -> None:
    """Write a name beside each row, the first on top."""
    axes.set_yticks(range(len(names)), [short(name, most) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)


class _MissingGlyphError(Exception):
    """The font has no glyph for a letter."""


@contextmanager
def _look(key: str, size: tuple[float, float], letters: str) -> Iterator[Figure]:
    """Make a figure of one look, which a user's own settings do not change."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("the report", "sound") from error
    from serein.evaluation.report.fonts import packaged_font

    with mpl.rc_context():
        mpl.rcdefaults()
        look: Any = STYLE | {"svg.hashsalt": key, "svg.fonttype": letters}
        mpl.rcParams.update(look | {"font.family": [STYLE["font.family"], packaged_font()]})
        yield Figure(figsize=size, layout="constrained")


def _inline(svg: str, key: str, words: str) -> str:
    """Drop what only a file needs, and make ids unique on the page."""
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    for needless in (r"<!--.*?-->", r"<metadata>.*?</metadata>", r"<defs>\s*<style.*?</defs>"):
        body = re.sub(needless, "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    box = re.search(r'viewBox="([^"]*)"', svg)
    view, label = box.group(1) if box else "", html.escape(words)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="{view}" width="{WIDTH_PX}">'
        f"<title>{label}</title>{body}"
    )
