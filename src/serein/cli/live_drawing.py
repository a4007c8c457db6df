"""The parts of the display of `serein listen`, each drawn from what it shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from serein.cli.live_words import WORDS
from serein.cli.words import AROUSAL, VALENCE, Language, answer_words, emotion_name
from serein.emotions import EMOTIONS

if TYPE_CHECKING:
    from serein.inference.stream import Event

COLOURS = {name: emotion.colour for name, emotion in EMOTIONS.items()}
OTHER = "#eeeeee"
SHADES = ((0.75, "█"), (0.5, "▓"), (0.25, "▒"), (0.0, "░"))  # from this confidence on
NOTHING = ("·", "dim")
STRIP_S = 60.0
QUIETEST_DB, LOUD_DB = -60.0, -9.0


def heading(title: str, heard_s: float, lang: Language) -> RenderableType:
    """Say what is listened to, and for how long it has been."""
    minutes, seconds = divmod(int(heard_s), 60)
    clock = Text(f"{minutes:02}:{seconds:02}", "bold")
    said = WORDS[lang].listening.format(title)
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True, min_width=len(clock))
    line.add_row(Text.assemble(("serein ", "bold"), said), clock)
    return line


def large_answer(answer: Event | None, lang: Language, *, voice: bool) -> RenderableType:
    """Write the emotion of now, large, with its confidence; without one, whether a voice is on."""
    if answer is None or answer.emotion is None:
        said = WORDS[lang].voice if voice else WORDS[lang].no_voice
        return Panel(Text(said, "dim"), box=box.HEAVY, border_style="dim")
    colour = COLOURS.get(answer.emotion, OTHER)
    name = " ".join(emotion_name(answer.emotion, lang).upper())
    share = answer.confidence or 0.0
    line = _name_bar_number(padding=2)
    line.add_row(Text(name, f"bold {colour}"), _bar(share, colour), f"{share:.0%}")
    return Panel(line, box=box.HEAVY, border_style=colour)


def all_bars(
    labels: Sequence[str], probabilities: Mapping[str, float], lang: Language
) -> RenderableType:
    """Draw a bar an emotion; empty ones for those without a probability."""
    table = _name_bar_number(padding=1)
    for label in labels:
        share = probabilities.get(label)
        name = Text(emotion_name(label, lang), "dim" if share is None else "")
        number = "    " if share is None else f"{share:4.0%}"
        table.add_row(name, _bar(share or 0.0, COLOURS.get(label, OTHER)), number)
    return table


def last_minute(
    events: Iterable[Event], now_s: float, hop_s: float, width: int, lang: Language
) -> RenderableType:
    """Draw the last minute, coloured by emotion and shaded by confidence."""
    cells = [NOTHING] * width
    for event in sorted(events, key=lambda event: event.kind == "emotion"):  # over utterances
        length_s = hop_s if event.kind == "emotion" else event.end
        spans = (max(event.start, event.end - length_s), event.end)
        first, last = (math.floor((s - now_s + STRIP_S) / STRIP_S * width) for s in spans)
        for column in range(max(0, first), min(width, max(last, first + 1))):
            cells[column] = _cell(event)
    begin, middle, end = f"-{STRIP_S:.0f} s", WORDS[lang].last_minute, WORDS[lang].now
    spare = max(2, width - sum(map(cell_len, (begin, middle, end))))
    scale = begin + " " * (spare // 2) + middle + " " * (spare - spare // 2) + end
    return Group(Text.assemble(*cells), Text(scale, "dim", no_wrap=True, overflow="crop"))


def utterances(events: Iterable[Event], lang: Language) -> RenderableType:
    """List utterances, one a row."""
    words = WORDS[lang]
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(words.heard, no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(VALENCE[lang], no_wrap=True, justify="right")
    table.add_column(AROUSAL[lang], no_wrap=True, justify="right")
    for event in events:
        colour = COLOURS.get(event.emotion, OTHER) if event.emotion else "dim"
        table.add_row(
            f"{event.start:.1f}-{event.end:.1f} s",
            Text(answer_words(event, lang), colour),
            *("" if v is None else f"{v:+z.2f}" for v in (event.valence, event.arousal)),
        )
    return table


def meter(level_db: float, lang: Language, *, clipped: bool) -> RenderableType:
    """Draw how loud it is, from -60 dB of full scale on."""
    colour = "red" if clipped else "yellow" if level_db > LOUD_DB else "green"
    said = WORDS[lang].clipping if clipped else f"{level_db:.0f} dB"
    line = _name_bar_number(padding=1)
    line.add_row(WORDS[lang].level, _bar(1 - level_db / QUIETEST_DB, colour), said)
    return line


def _name_bar_number(*, padding: int) -> Table:
    table = Table.grid(expand=True, padding=(0, padding))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, justify="right")
    return table


def _bar(share: float, colour: str) -> Bar:
    return Bar(1.0, 0.0, min(1.0, max(0.0, share)), color=colour)


def _cell(event: Event) -> tuple[str, str]:
    """Choose the shade and the colour of a moment."""
    if event.emotion is None or event.confidence is None:
        return NOTHING
    shade = next(shade for least, shade in SHADES if event.confidence >= least)
    return shade, COLOURS.get(event.emotion, OTHER)
