"""What `serein listen` shows on a terminal while it listens."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from serein.cli import live_drawing as draw
from serein.cli.live_words import WORDS
from serein.cli.words import Language, adapted_words

if TYPE_CHECKING:
    from serein.audio.read import Signal
    from serein.cli.live_view import SoundSource
    from serein.inference.stream import Event

REFRESH_S = 0.12
CLIPPED = 0.999
FALL_DB = 3.0  # a chunk: the meter falls more slowly than it rises
MUTED_S = 3.0
BEHIND_S = 0.5  # less is not worth a word
WIDE = 100  # columns: two things beside each other
OTHER_ROWS = 19  # of a terminal's height: what is not the list of utterances
MOST_UTTERANCES = 7


class LiveDisplay:
    """A display that follows the events of a stream, open within ``with``.

    Parameters
    ----------
    labels : sequence of str
        The emotions, in the order in which their bars stand.
    title : str
        What is listened to.
    lang : Language
        What it speaks.
    hop_s : float
        Seconds between two events of the stream.
    console : rich.console.Console, optional
        Where it shows; standard output if not given.
    """

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
        self._level_db, self._clipped = draw.QUIETEST_DB, False
        self._warning = ""
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self.render)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()  # draws once more

    def hear(self, chunk: Signal, source: SoundSource) -> None:
        """Take in what was heard, before its events are told.

        Parameters
        ----------
        chunk : numpy.ndarray
            Shape (samples,), float32.
        source : SoundSource
            Where it came from.
        """
        length_s = chunk.size / source.rate
        self._heard_s += length_s
        self._behind_s, self._lost_s = source.behind_s, source.lost_s
        self._measure(chunk, length_s)
        now_s = time.monotonic()
        if now_s - self._refreshed_at_s > REFRESH_S:
            self._live.refresh()
            self._refreshed_at_s = now_s

    def tell(self, events: Sequence[Event]) -> None:
        """Take in the events of a stream.

        Parameters
        ----------
        events : sequence of Event
            In the order in which they came.
        """
        for event in events:
            self._known = event.utterances_known
            self._voice = event.kind != "utterance"
            self._answer = event if event.kind == "emotion" else None
            if event.kind == "utterance":
                self._utterances.appendleft(event)
            if event.kind != "voice":
                self._minute.append(event)
        while self._minute and self._minute[0].end < self._heard_s - draw.STRIP_S:
            self._minute.popleft()

    def warn(self, message: str) -> None:
        """Show a warning until the next one."""
        self._warning = message

    def render(self) -> RenderableType:
        """Draw everything as it stands.

        Returns
        -------
        rich renderable
            As wide as the console.
        """
        lang, width = self._lang, self._console.width
        probabilities = self._answer.probabilities if self._answer else {}
        return Group(
            draw.heading(self._title, self._heard_s, lang),
            draw.large_answer(self._answer, lang, voice=self._voice),
            *self._middle(
                draw.all_bars(self._labels, probabilities, lang),
                draw.last_minute(self._minute, self._heard_s, self._hop_s, width, lang),
                draw.utterances(list(self._utterances)[: self._room()], lang),
            ),
            draw.meter(self._level_db, lang, clipped=self._clipped),
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
        self._level_db = max(now_db, self._level_db - FALL_DB, draw.QUIETEST_DB)

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
        notes = [adapted_words(self._known, self._lang)]
        if self._behind_s > BEHIND_S:
            notes.append(words.behind.format(self._behind_s))
        if self._lost_s:
            notes.append(words.lost.format(self._lost_s))
        if self._zeros_s >= MUTED_S:
            notes.append(words.muted)
        return [note for note in (*notes, self._warning) if note]
