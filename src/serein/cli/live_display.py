"""The display of `serein listen` on a terminal."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
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

from serein.cli.language import adaptation_text, prediction_text
from serein.emotions import colour_of, emotion_name
from serein.language import NOTICE, Language, translated
from serein.untrusted import printable

if TYPE_CHECKING:
    from serein.audio.read import Signal
    from serein.cli.live_view import SoundSource
    from serein.inference.stream import Event


MUTED = "nothing but zeros comes: is the microphone muted, or not permitted to programs?"
SHADES = ((0.75, "█"), (0.5, "▓"), (0.25, "▒"), (0.0, "░"))  # from this confidence on
NO_EMOTION = ("·", "dim")
STRIP_S = 60.0
QUIETEST_DB, LOUD_DB = -60.0, -9.0
FALL_DB = 3.0  # a chunk: the meter falls more slowly than it rises
CLIPPED = 0.999  # of full scale
MUTED_S = 3.0  # zeros for so long: the microphone is muted
BEHIND_S = 0.5  # a shorter delay is not shown
REFRESH_S = 0.12
WIDE = 100  # columns of a terminal, from which on two things stand beside each other
MAX_UTTERANCES = 7
OTHER_ROWS = 19  # of a terminal's height, that the list of utterances does not have


def heading(title: str, position_s: float, lang: Language) -> RenderableType:
    """Write the name of the source, and how much sound came."""
    minutes, seconds = divmod(int(position_s), 60)
    clock = Text(f"{minutes:02}:{seconds:02}", "bold")
    listening = translated("listening to {}; Ctrl-C ends", lang).format(title)
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True, min_width=len(clock))
    line.add_row(Text.assemble(("serein ", "bold"), listening), clock)
    return line


def current_emotion(event: Event | None, lang: Language, *, voice: bool) -> RenderableType:
    """Write the emotion of now, large, with its confidence; without one, whether one speaks."""
    if event is None or event.emotion is None:
        state = translated("a voice ..." if voice else "no voice", lang)
        return Panel(Text(state, "dim"), box=box.HEAVY, border_style="dim")
    colour = colour_of(event.emotion)
    name = " ".join(emotion_name(event.emotion, lang, event.own).upper())
    share = event.confidence or 0.0
    line = _name_bar_number(padding=2)
    line.add_row(Text(name, f"bold {colour}"), _bar(share, colour), f"{share:.0%}")
    return Panel(line, box=box.HEAVY, border_style=colour)


def probability_bars(labels: Sequence[str], event: Event | None, lang: Language) -> RenderableType:
    """Draw the probability of each emotion as a bar; an empty one where there is none."""
    probabilities, own = (event.probabilities, event.own) if event else ({}, {})
    table = _name_bar_number(padding=1)
    for label in labels:
        share = probabilities.get(label)
        name = Text(emotion_name(label, lang, own), "dim" if share is None else "")
        number = "    " if share is None else f"{share:4.0%}"
        table.add_row(name, _bar(share or 0.0, colour_of(label)), number)
    return table


def last_minute(
    events: Iterable[Event], now_s: float, hop_s: float, width: int, lang: Language
) -> RenderableType:
    """Draw the last minute, coloured by emotion and shaded by confidence."""
    cells = [NO_EMOTION] * width
    for event in sorted(events, key=lambda event: event.kind == "emotion"):  # over utterances
        length_s = hop_s if event.kind == "emotion" else event.end
        spans = (max(event.start, event.end - length_s), event.end)
        first, last = (math.floor((s - now_s + STRIP_S) / STRIP_S * width) for s in spans)
        for column in range(max(0, first), min(width, max(last, first + 1))):
            cells[column] = _cell(event)
    begin, middle, end = (
        f"-{STRIP_S:.0f} s",
        translated("last minute", lang),
        translated("now", lang),
    )
    spare = max(2, width - sum(map(cell_len, (begin, middle, end))))
    scale = begin + " " * (spare // 2) + middle + " " * (spare - spare // 2) + end
    return Group(Text.assemble(*cells), Text(scale, "dim", no_wrap=True, overflow="crop"))


def utterance_table(events: Iterable[Event], lang: Language) -> RenderableType:
    """List utterances, one a row."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(translated("utterances", lang), no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(translated("valence", lang), no_wrap=True, justify="right")
    table.add_column(translated("arousal", lang), no_wrap=True, justify="right")
    for event in events:
        colour = colour_of(event.emotion) if event.emotion else "dim"
        table.add_row(
            f"{event.start:.1f}-{event.end:.1f} s",
            Text(prediction_text(event, lang), colour),
            *("" if v is None else f"{v:+z.2f}" for v in (event.valence, event.arousal)),
        )
    return table


def level_meter(level_db: float, lang: Language, *, clipped: bool) -> RenderableType:
    """Draw how loud it is, from -60 dB of full scale on."""
    colour = "red" if clipped else "yellow" if level_db > LOUD_DB else "green"
    reading = translated("too loud", lang) if clipped else f"{level_db:.0f} dB"
    line = _name_bar_number(padding=1)
    line.add_row(translated("level", lang), _bar(1 - level_db / QUIETEST_DB, colour), reading)
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
        return NO_EMOTION
    shade = next(shade for least, shade in SHADES if event.confidence >= least)
    return shade, colour_of(event.emotion)


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._labels, self._title, self._lang, self._hop_s = tuple(labels), title, lang, hop_s
        self._console, self._clock = console or Console(), clock
        self._refreshed_at_s = 0.0
        self._voice = False
        self._current: Event | None = None
        self._minute: deque[Event] = deque()
        self._utterances: deque[Event] = deque(maxlen=MAX_UTTERANCES)
        self._known = 0
        self._position_s = self._zeros_s = self._behind_s = self._lost_s = 0.0
        self._level_db, self._clipped = QUIETEST_DB, False
        self._warning = ""
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self.render)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()  # draws once more

    def add_sound(self, chunk: Signal, source: SoundSource) -> None:
        """Take in a chunk, before the events in it."""
        length_s = chunk.size / source.rate
        self._position_s += length_s
        self._behind_s, self._lost_s = source.behind_s, source.lost_s
        self._measure(chunk, length_s)
        now_s = self._clock()
        if now_s - self._refreshed_at_s > REFRESH_S:
            self._live.refresh()
            self._refreshed_at_s = now_s

    def add_events(self, events: Sequence[Event]) -> None:
        """Take in the events of a stream."""
        for event in events:
            self._known = event.utterances_known
            self._voice = event.kind != "utterance"
            self._current = event if event.kind == "emotion" else None
            if event.kind == "utterance":
                self._utterances.appendleft(event)
            if event.kind != "voice":
                self._minute.append(event)
        while self._minute and self._minute[0].end < self._position_s - STRIP_S:
            self._minute.popleft()

    def warn(self, message: str) -> None:
        """Show a warning until the next one."""
        self._warning = printable(message)

    def render(self) -> RenderableType:
        """Draw everything as it stands."""
        lang, width = self._lang, self._console.width
        return Group(
            heading(self._title, self._position_s, lang),
            current_emotion(self._current, lang, voice=self._voice),
            *self._middle(
                probability_bars(self._labels, self._current, lang),
                last_minute(self._minute, self._position_s, self._hop_s, width, lang),
                utterance_table(list(self._utterances)[: self._room()], lang),
            ),
            level_meter(self._level_db, lang, clipped=self._clipped),
            Text(" · ".join(self._notes()), "yellow"),
            Text(translated(NOTICE, lang), "dim italic"),
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
        self, bars: RenderableType, strip: RenderableType, utterances: RenderableType
    ) -> list[RenderableType]:
        if self._console.width < WIDE:
            return [bars, strip, utterances]
        beside = Table.grid(expand=True, padding=(0, 2))
        beside.add_column(ratio=1)
        beside.add_column(ratio=1)
        beside.add_row(bars, utterances)
        return [beside, strip]

    def _room(self) -> int:
        """Return how many utterances there is room for."""
        if self._console.width >= WIDE:
            return max(1, len(self._labels) - 1)
        return max(1, self._console.height - OTHER_ROWS)

    def _notes(self) -> list[str]:
        """List what is out of the ordinary."""
        lang = self._lang
        notes = [adaptation_text(self._known, lang)]
        if self._behind_s > BEHIND_S:
            notes.append(translated("behind by {:.1f} s", lang).format(self._behind_s))
        if self._lost_s:
            notes.append(translated("lost {:.1f} s of sound", lang).format(self._lost_s))
        if self._zeros_s >= MUTED_S:
            notes.append(translated(MUTED, lang))
        return [note for note in (*notes, self._warning) if note]
