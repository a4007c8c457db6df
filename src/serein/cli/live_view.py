"""Where `serein listen` hears and how it shows: what these have in common, and lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, Self

from serein.cli.language import adaptation_text, affect_text, prediction_text
from serein.cli.show import echo, print_json
from serein.language import Language

if TYPE_CHECKING:
    from serein.audio.read import Signal
    from serein.inference.stream import Event


class SoundSource(AbstractContextManager[Any], Protocol):
    """What `Microphone` and `Playback` have in common."""

    name: str
    rate: int

    @property
    def behind_s(self) -> float:
        """Seconds of sound that have come and were not yet taken."""

    @property
    def lost_s(self) -> float:
        """Seconds of sound that were lost."""

    def __iter__(self) -> Iterator[Signal]: ...

    def stop(self) -> None:
        """End the iteration."""


class View(AbstractContextManager[Any], Protocol):
    """Shows a stream to a person or a program, open within ``with``."""

    def add_sound(self, chunk: Signal, source: SoundSource) -> None:
        """Take in a chunk, before the events in it."""

    def add_events(self, events: Sequence[Event]) -> None:
        """Take in the events of a stream."""

    def warn(self, message: str) -> None:
        """Take in a warning."""


class JsonLines:
    """One event a line; what is not an event goes to standard error."""

    def __init__(self, greeting: str = "") -> None:
        self._greeting = greeting

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add_sound(self, chunk: Signal, source: SoundSource) -> None:
        """Greet, once."""
        if self._greeting:
            self.warn(self._greeting)
            self._greeting = ""

    def add_events(self, events: Sequence[Event]) -> None:
        """Print each event."""
        for event in events:
            print_json(event.to_dict())

    def warn(self, message: str) -> None:
        """Print a warning on standard error."""
        echo(f"serein: {message}", err=True)


class PlainLines(JsonLines):
    """One utterance a line."""

    def __init__(self, greeting: str, lang: Language) -> None:
        super().__init__(greeting)
        self._lang = lang

    def add_events(self, events: Sequence[Event]) -> None:
        """Print each utterance."""
        for event in events:
            if event.kind == "utterance":
                echo(self._line(event))

    def _line(self, event: Event) -> str:
        adapted = adaptation_text(event.utterances_known, self._lang)
        parts = (prediction_text(event, self._lang), affect_text(event, self._lang), adapted)
        return "   ".join([f"{event.start:8.2f} {event.end:8.2f}", *filter(None, parts)])
