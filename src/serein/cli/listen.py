"""The command that predicts while someone speaks: listen."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from serein.cli.live_view import JsonLines, PlainLines, SoundSource, View
from serein.cli.options import (
    AdaptFrom,
    AdaptTo,
    BundleName,
    Emotions,
    Lang,
    Provider,
    Threads,
    UnsureBelow,
    source_of,
    within,
)
from serein.cli.show import echo, print_json
from serein.defaults import (
    DEFAULT_MODEL,
    DEFAULT_PROVIDER,
    DEFAULT_UNSURE_BELOW,
    HOP_RANGE_S,
    STREAM_HOP_S,
    STREAM_WINDOW_S,
    WINDOW_RANGE_S,
)
from serein.errors import AudioError
from serein.language import NOTICE, Language, error_text, translated
from serein.untrusted import printable

if TYPE_CHECKING:
    from serein.audio.read import Signal
    from serein.inference.stream import Stream


def listen(
    file: Annotated[
        Path | None, typer.Option("--file", help="Recording instead of the microphone.")
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play --file at the speed at which it was spoken.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="Microphone: its number, or a part of its name.")
    ] = None,
    devices: Annotated[bool, typer.Option("--devices", help="List the microphones.")] = False,
    model: BundleName = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    lang: Lang = Language.en,
    window: Annotated[
        float,
        typer.Option(**within(WINDOW_RANGE_S), help="Seconds of sound that a prediction is of."),
    ] = STREAM_WINDOW_S,
    hop: Annotated[
        float,
        typer.Option(**within(HOP_RANGE_S), help="Seconds from one prediction to the next."),
    ] = STREAM_HOP_S,
    adapt: Annotated[
        AdaptTo,
        typer.Option(
            help="Adapt as it goes, without labels: to recordings of one place or kind; or to one "
            "speaker."
        ),
    ] = AdaptTo.none,
    adapt_from: AdaptFrom = None,
    unsure_below: UnsureBelow = DEFAULT_UNSURE_BELOW,
    emotions: Emotions = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so much sound.")
    ] = None,
    threads: Threads = None,
    provider: Provider = DEFAULT_PROVIDER,
) -> None:
    """Predict the emotion of a voice while it speaks. Ctrl-C ends.

    On a terminal: a display. Else: a line an utterance, or with --json a line an event. It is how
    a listener might describe the voice: tell the people who are listened to.
    """
    from serein.inference.load import load
    from serein.inference.recognizer import model_of
    from serein.inference.stream import Stream

    if devices:
        return _list_devices(as_json=as_json)
    source = _source(file, device, lang, realtime=realtime)
    recognizer = load(
        model,
        threads=threads,
        unsure_below=unsure_below,
        provider=provider,
        emotions=emotions.split(",") if emotions else None,
    )
    if adapt_from is not None:
        recognizer.load_adaptation(adapt_from)
    to = adapt.kind
    known = model_of(recognizer).adaptation.to
    if to is not None and known not in (None, to):
        raise typer.BadParameter(f"--adapt-from is of {known}, not of {to}: leave one out")
    stream = Stream(recognizer, rate=source.rate, window_s=window, hop_s=hop, adapt=to)
    listening = translated("listening to {}; Ctrl-C ends", lang).format(source.name)
    greeting = "" if file else f"{listening}. {translated(NOTICE, lang)}"
    view = _view(stream, source, lang, hop, greeting, as_json=as_json)
    with source, _stopped_by_signals(source), view, _warnings_to(view):
        _run(source, stream, view, seconds)


def _run(source: SoundSource, stream: Stream, view: View, seconds: float | None) -> None:
    """Pass on all that a source gives; at its end, even a bad one, predict what is pending."""
    try:
        for chunk in _chunks(source, seconds):
            view.add_sound(chunk, source)
            view.add_events(stream.push(chunk))
    except AudioError:
        view.add_events(stream.end())
        raise
    view.add_events(stream.end())


def _chunks(source: SoundSource, seconds: float | None) -> Iterator[Signal]:
    """Give the chunks of the first seconds, the last one cut; all of them for None."""
    left = sys.maxsize if seconds is None else round(seconds * source.rate)
    for chunk in source:
        yield chunk[:left]
        left -= chunk.size
        if left <= 0:
            return


def _source(
    file: Path | None, device: str | None, lang: Language, *, realtime: bool
) -> SoundSource:
    """Open the microphone, or a file in its place, and say what is to be known of its channels."""
    if file is None:
        if realtime:
            raise typer.BadParameter("--realtime paces a --file: name one; a microphone is live")
        from serein.audio.microphone import Microphone

        return Microphone(device)
    if device is not None:
        raise typer.BadParameter("--file and --device came: give one of them")
    from serein.audio.microphone import Playback

    playback = Playback(source_of(file), realtime=realtime)
    if playback.notice:
        echo(f"serein: {error_text(f'{playback.name}: {playback.notice}', lang)}", err=True)
    return playback


def _view(
    stream: Stream,
    source: SoundSource,
    lang: Language,
    hop_s: float,
    greeting: str,
    *,
    as_json: bool,
) -> View:
    """Choose how events are shown."""
    if as_json:
        return JsonLines(greeting)
    if not sys.stdout.isatty() or os.environ.get("TERM", "").lower() in {"dumb", "unknown"}:
        return PlainLines(greeting, lang)
    from serein.cli.live_display import LiveDisplay

    title = printable(os.path.basename(source.name))  # noqa: PTH119  # a microphone's name is no path
    return LiveDisplay(stream.labels, title=title, lang=lang, hop_s=hop_s)


@contextmanager
def _warnings_to(view: View) -> Iterator[None]:
    """Let a view show each time that sound was lost."""
    from serein.audio.microphone import LostSoundWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", LostSoundWarning)
        warnings.showwarning = lambda message, *rest, **more: view.warn(str(message))
        yield


@contextmanager
def _stopped_by_signals(source: SoundSource) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the sound, not the program; a second one ends that too."""

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before[number])
        source.stop()

    before = {int(n): signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _list_devices(*, as_json: bool) -> None:
    from dataclasses import asdict

    from serein.audio.microphone import NO_MICROPHONE, input_devices

    found = input_devices()
    for device in found:
        if as_json:
            print_json(asdict(device))
            continue
        echo(
            f"{'*' if device.default else ' '} {device.number:3}  {device.name}   "
            f"({device.system}, {device.rate} Hz, {device.channels} channels)"
        )
    if not found and not as_json:
        echo(NO_MICROPHONE)
