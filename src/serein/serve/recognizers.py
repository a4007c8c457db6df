"""Recognisers by name, and the threads where they judge."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from serein.audio.read import Signal
from serein.defaults import Limits
from serein.errors import AudioError, ServiceError, unknown_name
from serein.inference.bundle import Bundle, read_bundle
from serein.inference.prediction import Prediction
from serein.inference.recognizer import Recognizer, bundled_models, find_model
from serein.serve.errors import Refusal
from serein.serve.scheduling import Turns
from serein.serve.settings import Settings

Result = TypeVar("Result")


class Stopped(Exception):  # noqa: N818  # nothing went wrong
    """Nobody waits for the answer any more."""


class PatientRecognizer(Recognizer):
    """A recogniser that asks, before each window of a recording, whether to go on."""

    stop: threading.Event | None = None
    turns: Turns

    def hear(self, window: Signal) -> npt.NDArray[np.float32] | None:
        """Answer for a window, as a recogniser does."""
        if self.stop is not None:
            self.turns.wait()
            if self.stop.is_set():
                raise Stopped
        return super().hear(window)

    def for_request(
        self, unsure_below: float, stop: threading.Event | None = None
    ) -> PatientRecognizer:
        """Return one for a single request; the network is shared."""
        own = copy.copy(self)
        own.unsure_below, own.stop = unsure_below, stop
        return own


class Judges:
    """The recognisers of this worker, and its threads: one for streams, two for uploads.

    A long upload therefore holds up neither a voice nor all other uploads; streams take turns, a
    second of sound each.
    """

    def __init__(self, settings: Settings) -> None:
        limits = Limits(max_s=settings.max_seconds + 1)  # decoded by now: resampling may round up
        self.recognizers = load_all(settings.models, limits, settings.provider)
        self.default = next(iter(self.recognizers))
        self.turns = Turns()
        for recognizer in self.recognizers.values():
            recognizer.turns = self.turns
        self._uploads = ThreadPoolExecutor(2, "uploads")
        self._streams = ThreadPoolExecutor(1, "streams")

    def find(self, name: str) -> PatientRecognizer:
        """Return a recogniser by its name; the default one for ""."""
        found = self.recognizers.get(name or self.default)
        if found is None:
            raise Refusal("unknown_model", unknown_name("model", name[:80], self.recognizers))
        return found

    async def judge(
        self,
        recognizer: PatientRecognizer,
        signal: Signal,
        unsure_below: float,
        **grid: float | None,
    ) -> Prediction:
        """Judge a recording; if the caller is cancelled, so is the judging."""
        stop = threading.Event()
        own = recognizer.for_request(unsure_below, stop)
        work = partial(own.predict, signal, rate=16_000, **grid)
        try:
            return await _run(self._uploads, work)
        except AudioError as error:
            words = str(error).removeprefix("<array>: ")
            raise Refusal("unreadable", f"the file {words}") from error
        finally:
            stop.set()

    async def listen(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do a stream's work in the streams' thread."""
        with self.turns.stream() as begin:

            def begun() -> Result:
                begin()
                return work(*arguments)

            return await _run(self._streams, begun)

    def close(self) -> None:
        """Let go of what has not begun."""
        for thread in (self._uploads, self._streams):
            thread.shutdown(wait=False, cancel_futures=True)


async def _run(thread: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(thread, work)


def load_all(
    models: tuple[str, ...], limits: Limits, provider: str
) -> dict[str, PatientRecognizer]:
    """Load recognisers, one thread each, by their names in the order given."""
    bundles = read_all(models)
    return {
        name: PatientRecognizer(bundle, threads=1, limits=limits, provider=provider)
        for name, bundle in bundles.items()
    }


def read_all(models: tuple[str, ...]) -> dict[str, Bundle]:
    """Read bundles."""
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
