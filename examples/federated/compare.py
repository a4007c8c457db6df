"""The same network in one place, and of each speaker alone, beside the federated one.

    python examples/federated/compare.py runs/federated

Needs numpy alone. Prints the UAR of speakers left out, and how far Flower's weights are from those
of the ten lines here that average without it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from network import (
    Clips,
    History,
    Indices,
    Scale,
    Settings,
    Weights,
    first_weights,
    learn,
    sums,
    together,
)


def main() -> None:
    """Print a line a round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where speakers.py and simulate.py wrote")
    options = parser.parse_args()
    settings = Settings()
    clients = read_all(options.folder / "clients")
    unseen = together(read_all(options.folder / "unseen"))
    histories = {
        "Flower": History.read(options.folder / "federated.npz", settings),
        "averaged": averaged(clients, settings),
        "in one place": in_one_place(clients, settings),
    }
    answers = {name: history.answers(unseen.X) for name, history in histories.items()}
    print("round", *answers, sep="\t")
    for number in sorted(answers["Flower"]):
        scores = (uar(unseen.y, answer[number]) for answer in answers.values())
        print(number, *(f"{score:.3f}" for score in scores), sep="\t")
    alone = [
        uar(unseen.y, in_one_place([client], settings).answers(unseen.X)[settings.rounds])
        for client in clients
    ]
    print(f"each speaker alone: {np.mean(alone):.3f} (mean of {len(alone)})")
    furthest = apart(histories["Flower"], histories["averaged"])
    print(f"weights of Flower and of averaging without it differ by {furthest:.0e} at most")


def read_all(folder: Path) -> list[Clips]:
    """Read the speakers of a folder, in the order of their names."""
    return [Clips.read(file) for file in sorted(folder.glob("*.npz"))]


def in_one_place(clients: Sequence[Clips], settings: Settings) -> History:
    """Learn from the clips of all, as many passes as federated."""
    return averaged([together(clients)], settings)


def averaged(clients: Sequence[Clips], settings: Settings) -> History:
    """Average what each learns, weighted by its number of clips: McMahan's FedAvg, everybody asked.

    References
    ----------
    H. B. McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
    Data", AISTATS 2017, algorithm 1 with C = 1.
    """
    scale = Scale.of(map(sums, clients))
    shares = np.array([len(clips.y) for clips in clients])
    shares = shares / shares.sum()
    history = History(scale, settings)
    weights = first_weights(len(scale.mean), len(scale.emotion), settings)
    for number in range(1, settings.rounds + 1):
        learnt: list[Weights] = [
            learn(weights, clips, scale, settings, (number, place))
            for place, clips in enumerate(clients)
        ]
        weights = [np.tensordot(shares, np.stack(parts), 1) for parts in zip(*learnt, strict=True)]
        history.note(number, weights)
    return history


def uar(truth: Indices, answer: Indices) -> float:
    """Average the recalls of the emotions that are there."""
    return float(np.mean([np.mean(answer[truth == emotion] == emotion) for emotion in set(truth)]))


def apart(one: History, other: History) -> float:
    """Give the largest difference of two weights after the last round."""
    last = max(one.weights)
    pairs = zip(one.weights[last], other.weights[last], strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


if __name__ == "__main__":
    main()
