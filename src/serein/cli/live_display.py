"""What `serein listen` shows on a terminal while it listens."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from rich import box
from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from serein.cli.language import (
    AROUSAL,
    VALENCE,
    Language,
    adaptation_text,
    emotion_name,
    prediction_text,
)
from serein.cli.live_view import WORDS
from serein.emotions import EMOTIONS

if TYPE_CHECKING:
    from serein.audio.read import Signal
    from serein.cli.live_view import SoundSource
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
            Text(prediction_text(event, lang), colour),
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


REFRESH_S = 0.12
CLIPPED = 0.999
FALL_DB = 3.0  # a chunk: the meter falls more slowly than it rises
MUTED_S = 3.0
BEHIND_S = 0.5  # less is not worth a word
WIDE = 100  # columns: two things beside each other
OTHER_ROWS = 19  # of a terminal's height: what is not the list of utterances
MOST_UTTERANCES = 7


class LiveDisplay:
    """A display that follows the events of a stream, open within ``with``."""

    def __init__(
        self,
        labels: Sequence[str],
        *,
        title: str,
        lang: Language = Language.en,
        hop_s: float = 0.5,
        console: Console | None = None,
    ) -> None:
        self._labels, self._title, self._lang, self._hop_s = tuple(labels), title, lang, hop_s
        self._console = console or Console()
        self._refreshed_at_s = 0.0
        self._voice = False
        self._answer: Event | None = None
        self._minute: deque[Event] = deque()
        self._utterances: deque[Event] = deque(maxlen=MOST_UTTERANCES)
        self._known = 0
        self._heard_s = self._zeros_s = self._behind_s = self._lost_s = 0.0
        self._level_db, self._clipped = QUIETEST_DB, False
        self._warning = ""
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self.render)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()  # draws once more

    def hear(self, chunk: Signal, source: SoundSource) -> None:
        """Take in what was heard, before its events are told."""
        length_s = chunk.size / source.rate
        self._heard_s += length_s
        self._behind_s, self._lost_s = source.behind_s, source.lost_s
        self._measure(chunk, length_s)
        now_s = time.monotonic()
        if now_s - self._refreshed_at_s > REFRESH_S:
            self._live.refresh()
            self._refreshed_at_s = now_s

    def tell(self, events: Sequence[Event]) -> None:
        """Take in the events of a stream."""
        for event in events:
            self._known = event.utterances_known
            self._voice = event.kind != "utterance"
            self._answer = event if event.kind == "emotion" else None
            if event.kind == "utterance":
                self._utterances.appendleft(event)
            if event.kind != "voice":
                self._minute.append(event)
        while self._minute and self._minute[0].end < self._heard_s - STRIP_S:
            self._minute.popleft()

    def warn(self, message: str) -> None:
        """Show a warning until the next one."""
        self._warning = message

    def render(self) -> RenderableType:
        """Draw everything as it stands."""
        lang, width = self._lang, self._console.width
        probabilities = self._answer.probabilities if self._answer else {}
        return Group(
            heading(self._title, self._heard_s, lang),
            large_answer(self._answer, lang, voice=self._voice),
            *self._middle(
                all_bars(self._labels, probabilities, lang),
                last_minute(self._minute, self._heard_s, self._hop_s, width, lang),
                utterances(list(self._utterances)[: self._room()], lang),
            ),
            meter(self._level_db, lang, clipped=self._clipped),
            Text(" · ".join(self._notes()), "yellow"),
            Text(WORDS[lang].notice, "dim italic"),
        )

    def _measure(self, chunk: Signal, length_s: float) -> None:
        """Follow the level of the sound."""
        peak = float(np.abs(chunk).max(initial=0))
        self._zeros_s = 0.0 if peak else self._zeros_s + length_s
        self._clipped = peak >= CLIPPED
        mean_square = float(np.square(chunk).mean()) if chunk.size else 0.0
        now_db = 10 * math.log10(max(mean_square, 1e-12))
        self._level_db = max(now_db, self._level_db - FALL_DB, QUIETEST_DB)

    def _middle(
        self, bars: RenderableType, strip: RenderableType, heard: RenderableType
    ) -> list[RenderableType]:
        if self._console.width < WIDE:
            return [bars, strip, heard]
        beside = Table.grid(expand=True, padding=(0, 2))
        beside.add_column(ratio=1)
        beside.add_column(ratio=1)
        beside.add_row(bars, heard)
        return [beside, strip]

    def _room(self) -> int:
        """Tell how many utterances there is room for."""
        if self._console.width >= WIDE:
            return max(1, len(self._labels) - 1)
        return max(1, self._console.height - OTHER_ROWS)

    def _notes(self) -> list[str]:
        """Say what is out of the ordinary."""
        words = WORDS[self._lang]
        notes = [adaptation_text(self._known, self._lang)]
        if self._behind_s > BEHIND_S:
            notes.append(words.behind.format(self._behind_s))
        if self._lost_s:
            notes.append(words.lost.format(self._lost_s))
        if self._zeros_s >= MUTED_S:
            notes.append(words.muted)
        return [note for note in (*notes, self._warning) if note]
