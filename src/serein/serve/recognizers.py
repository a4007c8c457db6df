"""Recognizers by name, and the threads where they run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from serein.defaults import Limits
from serein.errors import AudioError, MissingExtraError, SereinError, ServiceError, unknown_name
from serein.inference.adaptation import Adaptation
from serein.inference.bundle import Bundle, read_bundle
from serein.inference.load import bundled_models, find_model
from serein.inference.recognizer import Recognizer, for_request, model_of
from serein.inference.window_model import learnt_of, possible_emotions
from serein.serve.errors import RequestError
from serein.serve.sandbox import lower_priority
from serein.serve.scheduling import FairSlots, Scheduler, Slots
from serein.serve.settings import Settings

Result = TypeVar("Result")
THREADS_PER_CLIENT, UPLOAD_THREADS = 2, 6  # more than cores, so that no client waits for another
UPLOAD_RETRY_S, STREAM_RETRY_S = 2, 10  # when a refused client may come again
MAX_REASON = 300  # characters, of what is wrong with what a client sent


class ClientLeft(Exception):  # noqa: N818  # nothing went wrong
    """The client no longer waits for the prediction."""


class RecognizerPool:
    """The recognizers of this worker, and its threads: one for streams, two a client for uploads.

    So a long upload blocks neither a stream nor the uploads of others; streams alternate, a second
    of sound each.
    """

    def __init__(self, settings: Settings) -> None:
        limits = Limits(max_s=settings.max_seconds + 1)  # decoded by now: resampling may round up
        self.scheduler = Scheduler()
        self.by_name = {
            name: Recognizer(
                bundle,
                threads=1,
                limits=limits,
                unsure_below=settings.unsure_below,
                provider=settings.provider,
                emotions=named(settings.emotions),
            )
            for name, bundle in read_bundles(settings.models).items()
        }
        self.default = next(iter(self.by_name))
        if settings.adapt_from:
            self.by_name[self.default].load_adaptation(settings.adapt_from)
        self.upload_slots = Slots(settings.max_queue, "uploads", UPLOAD_RETRY_S)
        self.stream_slots = Slots(settings.max_streams, "streams", STREAM_RETRY_S)
        self._uploads = ThreadPoolExecutor(UPLOAD_THREADS, "uploads", initializer=lower_priority)
        self._upload_turns = FairSlots(UPLOAD_THREADS, THREADS_PER_CLIENT)
        self._stream_turns = FairSlots(1, 1)
        self._streams = ThreadPoolExecutor(1, "streams")

    def find(self, name: str) -> Recognizer:
        """Return a recognizer by its name; the default one for ""."""
        found = self.by_name.get(name or self.default)
        if found is None:
            raise RequestError("unknown_model", unknown_name("model", name[:80], self.by_name))
        return found

    def for_request(self, name: str, unsure_below: float, emotions: str) -> Recognizer:
        """Return a recognizer by its name, with the settings of a request."""
        recognizer = self.find(name)
        try:
            return for_request(recognizer, unsure_below=unsure_below, emotions=named(emotions))
        except SereinError as error:
            raise invalid(error) from error

    async def run(
        self, client: str, recognizer: Recognizer, work: Callable[[Recognizer], Result]
    ) -> Result:
        """Do an upload's work; if the caller is cancelled, the thread stops too."""
        cancelled = threading.Event()

        def wait_for_turn() -> None:
            self.scheduler.wait()
            if cancelled.is_set():
                raise ClientLeft

        own = for_request(recognizer, before_window=wait_for_turn)
        try:
            async with self._upload_turns.slot(client):
                return await _run(self._uploads, partial(work, own))
        except MissingExtraError as error:  # for what this one request asked for
            raise invalid(error) from error
        except AudioError as error:
            reason = str(error).removeprefix("<array>: ")
            raise RequestError("unreadable", f"the file {reason}") from error
        finally:
            cancelled.set()

    @property
    def hop_stretch(self) -> float:
        """By how much the hops of streams are stretched; a single stream's never are."""
        return self.scheduler.hops.stretch if self.stream_slots.used > 1 else 1.0

    async def run_stream(self, client: str, work: Callable[..., Result], *arguments: Any) -> Result:
        """Run a stream's work in the streams' thread."""
        with self.scheduler.stream() as started:

            def start() -> Result:
                started()
                return work(*arguments)

            async with self._stream_turns.slot(client):
                return await _run(self._streams, start)

    def close(self) -> None:
        """Drop what has not started."""
        for thread in (self._uploads, self._streams):
            thread.shutdown(wait=False, cancel_futures=True)


async def _run(thread: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(thread, work)


def named(emotions: str | None) -> list[str] | None:
    """Split names at their commas; None for none."""
    return emotions.split(",") if emotions else None


def invalid(error: SereinError) -> RequestError:
    """Say what is wrong with what a client asked for."""
    return RequestError("invalid", str(error)[:MAX_REASON])


def adapted(recognizer: Recognizer, saved: bytes, to: str) -> Recognizer:
    """Return one adapted by what a client saved, and that learns on, unless `to` is none."""
    known = model_of(recognizer).adaptation
    if saved or to != "none":
        known = Adaptation(known.learnt)
    try:
        if saved:
            known.read(saved)
        if to != "none":
            known.check(to)
    except SereinError as error:
        raise invalid(error) from error
    return for_request(recognizer, adaptation=known)


def check_models(settings: Settings) -> None:
    """Raise an error, before anything is started, if the models lack what the settings want."""
    bundles = read_bundles(settings.models)
    for bundle in bundles.values():
        possible_emotions(named(settings.emotions), bundle.labels)
    if settings.adapt_from:
        Adaptation(learnt_of(next(iter(bundles.values())))).read_file(settings.adapt_from)


def read_bundles(models: tuple[str, ...]) -> dict[str, Bundle]:
    """Read bundles, by their names in the order given; all bundled models if none is given."""
    found: dict[str, Bundle] = {}
    for model in models or tuple(bundled_models()):
        bundle = read_bundle(find_model(model))
        name = bundle.manifest["name"]
        if name in found:
            raise ServiceError(
                f"two models are called {name!r} ({Path(model).name} is the second): give each once"
            )
        found[name] = bundle
    return found
