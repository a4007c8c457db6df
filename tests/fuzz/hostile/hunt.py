"""Gives a target one input after the other, within limits, and keeps count of how they end."""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import time
from collections import Counter
from pathlib import Path

from hostile import TARGETS
from hostile.mutations import mutate
from hostile.shapes import SHAPES

MOST_S = 2.0  # of processor time, for one input
HANG_S = 20.0  # by the clock, after which the process says where it is and ends
MOST_MB = 512  # of address space, beyond what sound inputs take
NOT_REFUSED = {"ok", "closed", "not_http"}
MOST_TRIES = 8  # for a refusal, on average
HEADER_BYTES = 128  # of an input, at most
SHAPED = 300  # inputs that hypothesis makes
PAGE_MB = resource.getpagesize() / 2**20


class Hunt:
    """Tries inputs; the first that ends otherwise than listed, or late, ends the hunt.

    Parameters
    ----------
    name : str
        A key of `TARGETS`.
    out : path
        Folder for the input that was tried last: the finding, if there is one.
    """

    def __init__(self, name: str, out: Path) -> None:
        self.target = TARGETS[name]()
        self.ended: Counter[str] = Counter()
        self._slowest_s = 0.0
        self._trying = out / f"{name}-last"  # on disk while it is tried: it may end the process
        self._file = os.open(self._trying, os.O_CREAT | os.O_WRONLY, 0o600)
        self._watched_s = -HANG_S
        for seed in self.target.seeds:
            self.target(seed)
        self._base_mb = _memory_mb(1)
        most = round((_memory_mb(0) + MOST_MB) * 2**20)
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))

    @property
    def refused(self) -> int:
        """How many inputs ended in a listed error."""
        return sum(count for end, count in self.ended.items() if end not in NOT_REFUSED)

    def __call__(self, data: bytes) -> None:
        """Try one input."""
        os.ftruncate(self._file, os.pwrite(self._file, data, 0))
        self._watch()
        began = time.process_time()
        self.ended[self.target(data)] += 1
        took_s = time.process_time() - began
        if took_s > MOST_S:
            raise TimeoutError(f"{took_s:.1f} s for one input; allowed: {MOST_S} s")
        self._slowest_s = max(self._slowest_s, took_s)

    def _watch(self) -> None:
        """Set the alarm anew, once a second: each is a thread, which costs more than an input."""
        if (now := time.monotonic()) - self._watched_s > 1:
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            self._watched_s = now

    def close(self) -> str:
        """End it, and say as JSON what happened."""
        faulthandler.cancel_dump_traceback_later()
        os.close(self._file)
        self.target.close()
        self._trying.unlink()
        return json.dumps(
            {
                "inputs": self.ended.total(),
                "refused": self.refused,
                "slowest_s": round(self._slowest_s, 3),
                "grown_mb": round(_memory_mb(1) - self._base_mb),
                "ended": dict(self.ended.most_common()),
            }
        )


def shaped(hunt: Hunt, name: str) -> None:
    """Try what hypothesis makes: of the right shape, with wrong values."""
    from hypothesis import HealthCheck, Phase, given, settings

    @settings(
        max_examples=SHAPED,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(SHAPES[name])
    def try_one(data: bytes) -> None:
        hunt(data)

    try_one()


def cut_short(hunt: Hunt) -> None:
    """Try each sound input with every length that ends within its header."""
    for seed in hunt.target.seeds:
        for end in range(min(len(seed), HEADER_BYTES)):
            hunt(seed[:end])


def damaged(hunt: Hunt, refusals: int, seed: int) -> None:
    """Try damaged copies of sound inputs, the same each time, until so many were refused."""
    draw = random.Random(seed)  # noqa: S311  # to be the same each time, not to be secret
    while hunt.refused < refusals:
        if hunt.ended.total() > MOST_TRIES * refusals:
            raise RuntimeError(f"too few are refused: {hunt.ended}")
        hunt(mutate(draw, hunt.target.seeds, hunt.target.tokens))


def _memory_mb(column: int) -> float:
    """Return the address space (0) or the resident memory (1) of this process."""
    return int(Path("/proc/self/statm").read_text().split()[column]) * PAGE_MB
