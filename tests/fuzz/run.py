"""Hunt at one of serein's doors for inputs that end otherwise than in a listed error.

``run.py TARGET --refusals N`` tries the same inputs each time: of the right shape with wrong
values, cut short, and damaged until N more were refused.
``run.py TARGET --seconds S`` lets atheris look, guided by coverage; its corpus stays in --out, so
that the next run goes on from there. Either stops at a finding, which it leaves in --out, with an
exit code other than 0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # made_graphs

from hostile import TARGETS
from hostile.hunt import Hunt, cut_short, damaged, shaped
from hostile.mutations import MOST_BYTES


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--refusals", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.refusals is None:
        by_coverage(given.target, given.seconds, given.out)
        return
    hunt = Hunt(given.target, given.out)
    shaped(hunt, given.target)
    cut_short(hunt)
    damaged(hunt, hunt.refused + given.refusals, given.seed)
    print(hunt.close())


def by_coverage(name: str, seconds: int, out: Path) -> None:
    """Let atheris look for inputs that reach code which none has reached; does not return."""
    import atheris

    with atheris.instrument_imports(include=["serein"]):
        hunt = Hunt(name, out)
    corpus, words = out / f"{name}-corpus", out / f"{name}-words"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(hunt.target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words.write_text("".join(map(_quoted, hunt.target.tokens)))
    options = [f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", "-print_final_stats=1"]
    options += [f"-artifact_prefix={out}/{name}-", f"-dict={words}", "-rss_limit_mb=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], hunt)
    atheris.Fuzz()


def _quoted(token: bytes) -> str:
    """Write a word as libFuzzer's dictionaries have it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in token[:64]) + '"\n'


if __name__ == "__main__":
    main()
