"""Describe a corpus with serein's expert set, a file a speaker: runs where serein is installed.

    python examples/federated/speakers.py emodb --leave-out emodb-03 --out runs/federated

Speakers left out go to OUT/unseen, each of the others to a file of its own in OUT/clients. A clip's
features depend on that clip alone, so each speaker's file could be made on a machine of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from network import Clips

from serein.cli.progress import progress_bar
from serein.corpora import Corpus, Utterance
from serein.features.extractor import FeatureExtractor

CLIENTS, UNSEEN = "clients", "unseen"


def main() -> None:
    """Describe the clips and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="emodb, ravdess and so on")
    parser.add_argument("--data", type=Path, default=Path("../shared/corpora"))
    parser.add_argument("--leave-out", nargs="+", required=True, metavar="SPEAKER")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    corpus = Corpus.load(options.corpus, options.data)
    left_out = set(options.leave_out)
    if not left_out <= set(corpus.speakers) or len(corpus.speakers) - len(left_out) < 2:
        raise SystemExit(
            f"--leave-out is {', '.join(options.leave_out)}; allowed are "
            f"{', '.join(corpus.speakers)}, of whom two have to stay"
        )
    write(describe(corpus), left_out, options.out)


def describe(clips: Iterable[Utterance]) -> dict[str, Clips]:
    """Give each speaker's clips, by name."""
    rows = list(clips)
    with progress_bar("features") as progress:
        extractor = FeatureExtractor(["expert"], jobs=-1, progress=progress)
        X = extractor.fit_transform([clip.path for clip in rows])
    labels = sorted({clip.emotion for clip in rows})
    y = np.array([labels.index(clip.emotion) for clip in rows])
    who = np.array([clip.speaker for clip in rows])
    return {
        name: Clips(X[who == name].astype(np.float64), y[who == name], labels)
        for name in np.unique(who).tolist()
    }


def write(speakers: dict[str, Clips], left_out: Iterable[str], folder: Path) -> None:
    """Write the clips of those who learn, and of those left out; old files of the folder go."""
    unseen = set(left_out)
    for part in (CLIENTS, UNSEEN):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for file in (folder / part).glob("*.npz"):
            file.unlink()
    for name, clips in speakers.items():
        clips.write(folder / (UNSEEN if name in unseen else CLIENTS) / f"{name}.npz")


if __name__ == "__main__":
    main()
