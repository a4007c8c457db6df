"""Where `serein listen` hears, and how it tells: what these have in common, and lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import typer

from serein.cli.language import Language, adaptation_text, affect_text, prediction_text
from serein.cli.show import print_json

if TYPE_CHECKING:
    from serein.audio.read import Signal
    from serein.inference.stream import Event


@dataclass(frozen=True)
class Words:
    """The sentences of one language; some have a place for a number."""

    notice: str
    listening: str
    no_voice: str
    voice: str
    last_minute: str
    now: str
    heard: str
    level: str
    clipping: str
    muted: str
    behind: str
    lost: str


WORDS = {
    Language.en: Words(
        notice=(
            "How a listener might describe the voice, not what a person feels. "
            "Tell the people who are listened to."
        ),
        listening="listening to {}; Ctrl-C ends",
        no_voice="no voice",
        voice="a voice ...",
        last_minute="last minute",
        now="now",
        heard="utterances",
        level="level",
        clipping="too loud",
        muted="nothing but zeros comes: is the microphone muted, or not permitted to programs?",
        behind="behind by {:.1f} s",
        lost="lost {:.1f} s of sound",
    ),
    Language.zh: Words(
        notice="这是听者可能会如何形容这个声音，不是人的真实感受。请务必告知被听的人。",
        listening="正在听 {}；按 Ctrl-C 结束",
        no_voice="没有人声",
        voice="有人声 ……",
        last_minute="最近一分钟",
        now="现在",
        heard="语句",
        level="音量",
        clipping="过响",
        muted="只收到零：麦克风是否静音，或未允许程序使用？",
        behind="落后 {:.1f} 秒",
        lost="丢失 {:.1f} 秒声音",
    ),
}


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
    """Whatever tells a person or a program what is heard, open within ``with``."""

    def hear(self, chunk: Signal, source: SoundSource) -> None:
        """Take in what was heard, before its events are told."""

    def tell(self, events: Sequence[Event]) -> None:
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

    def hear(self, chunk: Signal, source: SoundSource) -> None:
        """Greet, once."""
        if self._greeting:
            self.warn(self._greeting)
            self._greeting = ""

    def tell(self, events: Sequence[Event]) -> None:
        """Print each event."""
        for event in events:
            print_json(event.to_dict())

    def warn(self, message: str) -> None:
        """Print a warning on standard error."""
        typer.echo(f"serein: {message}", err=True)


class PlainLines(JsonLines):
    """One utterance a line."""

    def __init__(self, greeting: str, lang: Language) -> None:
        super().__init__(greeting)
        self._lang = lang

    def tell(self, events: Sequence[Event]) -> None:
        """Print each utterance."""
        for event in events:
            if event.kind == "utterance":
                typer.echo(self._line(event))

    def _line(self, event: Event) -> str:
        adapted = adaptation_text(event.utterances_known, self._lang)
        parts = (prediction_text(event, self._lang), affect_text(event, self._lang), adapted)
        return "   ".join([f"{event.start:8.2f} {event.end:8.2f}", *filter(None, parts)])
