"""How often a nominal 95 % interval by speaker holds the truth, plain and expanded percentile.

    python bench/interval_coverage.py

Worlds with a true UAR of 0.7, in which a speaker's share of right answers varies from 0.4 to 1.
"""

from __future__ import annotations

import numpy as np

from serein.evaluation.intervals import SpeakerSums, expanded_percentile, resample_speakers

WORLDS, CLIPS, DRAWS = 400, 20, 400


def main() -> None:
    """Print a row a number of speakers."""
    print("speakers  plain  expanded")
    for speakers in (6, 10, 24):
        held = np.mean([holds(speakers, seed) for seed in range(WORLDS)], axis=0)
        print(f"{speakers:8}  {held[0]:.3f}  {held[1]:.3f}")


def holds(speakers: int, seed: int) -> tuple[bool, bool]:
    """Draw a world, and say whether either interval holds its UAR."""
    generator = np.random.default_rng(seed)
    ease = generator.uniform(0.4, 1.0, speakers).repeat(CLIPS)
    who = np.array([f"speaker {number}" for number in range(speakers)]).repeat(CLIPS)
    truth = generator.integers(0, 2, speakers * CLIPS)
    answer = np.where(generator.random(truth.size) < ease, truth, 1 - truth)
    sums = SpeakerSums.of(truth, np.eye(2)[answer], who)
    drawn = sums.scores(resample_speakers(speakers, DRAWS, 0))["uar"]
    plain, expanded = np.quantile(drawn, [0.025, 0.975]), expanded_percentile(drawn, speakers)
    return tuple(bool(low <= 0.7 <= high) for low, high in (plain, expanded))


if __name__ == "__main__":
    main()
