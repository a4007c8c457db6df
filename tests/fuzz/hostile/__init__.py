"""Six doors through which strangers' bytes come into serein, and what to throw at them.

A target is made once a process. Called with bytes, it returns ``ok`` or the name of the listed
error that refused them; whatever else is raised is a finding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hostile.bundle import BundleTarget
from hostile.decoder import DecoderTarget
from hostile.http import HttpTarget
from hostile.journal import JournalTarget
from hostile.recipe import RecipeTarget
from hostile.stream import StreamTarget


class Target(Protocol):
    """A door: sound inputs to start from, words of its language, and the door itself."""

    seeds: list[bytes]
    tokens: tuple[bytes, ...]

    def __call__(self, data: bytes) -> str: ...

    def close(self) -> None: ...


TARGETS: dict[str, Callable[[], Target]] = {
    "decoder": DecoderTarget,
    "bundle": BundleTarget,
    "recipe": RecipeTarget,
    "journal": JournalTarget,
    "stream": StreamTarget,
    "http": HttpTarget,
}
REFUSALS = {"decoder": 5100, "bundle": 2700, "recipe": 1000, "journal": 500}
REFUSALS |= {"stream": 600, "http": 600}
"""How many malformed inputs the tests have each refuse; what ends in ``ok`` does not count."""
