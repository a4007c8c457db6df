"""Recognizers by name, and the threads where they run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from serein.audio.read import RATE_HZ, Signal
from serein.defaults import Limits
from serein.errors import AudioError, ServiceError, unknown_name
from serein.inference.bundle import Bundle, read_bundle
from serein.inference.load import bundled_models, find_model
from serein.inference.prediction import Prediction
from serein.inference.recognizer import Recognizer, for_request
from serein.serve.errors import RequestError
from serein.serve.scheduling import FairSlots, Scheduler, Slots
from serein.serve.settings import Settings

Result = TypeVar("Result")
THREADS_PER_CLIENT, UPLOAD_THREADS = 2, 6  # more than cores, so that no client waits for another
UPLOAD_RETRY_S, STREAM_RETRY_S = 2, 10  # when a refused client may come again


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
            name: Recognizer(bundle, threads=1, limits=limits, provider=settings.provider)
            for name, bundle in read_bundles(settings.models).items()
        }
        self.default = next(iter(self.by_name))
        self.upload_slots = Slots(settings.max_queue, "uploads", UPLOAD_RETRY_S)
        self.stream_slots = Slots(settings.max_streams, "streams", STREAM_RETRY_S)
        self._uploads = ThreadPoolExecutor(UPLOAD_THREADS, "uploads")
        self._upload_turns = FairSlots(UPLOAD_THREADS, THREADS_PER_CLIENT)
        self._stream_turns = FairSlots(1, 1)
        self._streams = ThreadPoolExecutor(1, "streams")

    def find(self, name: str) -> Recognizer:
        """Return a recognizer by its name; the default one for ""."""
        found = self.by_name.get(name or self.default)
        if found is None:
            raise RequestError("unknown_model", unknown_name("model", name[:80], self.by_name))
        return found

    async def predict(
        self,
        client: str,
        recognizer: Recognizer,
        signal: Signal,
        unsure_below: float,
        **grid: float | None,
    ) -> Prediction:
        """Predict a recording; if the caller is cancelled, the thread stops too."""
        cancelled = threading.Event()

        def wait_for_turn() -> None:
            self.scheduler.wait()
            if cancelled.is_set():
                raise ClientLeft

        own = for_request(recognizer, unsure_below=unsure_below, before_window=wait_for_turn)
        work = partial(own.predict, signal, rate=RATE_HZ, **grid)
        try:
            async with self._upload_turns.slot(client):
                return await _run(self._uploads, work)
        except AudioError as error:
            reason = str(error).removeprefix("<array>: ")
            raise RequestError("unreadable", f"the file {reason}") from error
        finally:
            cancelled.set()

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
