"""What denoising does to recognising emotions: UAR on unseen speakers, with noise under them.

    python bench/denoise_uar.py recipes/emodb.toml --data FOLDER_OF_CORPORA

Each fold learns from clean clips and is tested on speakers it has not heard, whose clips carry
noise (white, pink and background, drawn from a seed) and are cleaned or not.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from serein.audio.augment import Noise
from serein.audio.denoise import METHODS
from serein.audio.read import read_audio
from serein.evaluation.cross_validation import FittedFolds
from serein.experiment.evaluate import fit_folds
from serein.experiment.export.torch_graph import quantised_encoder
from serein.experiment.prepare import Prepared, prepare
from serein.experiment.recipe_file import read_recipe

KINDS = ("white", "pink", "music", "wind")
SNR_DB = (None, 10.0, 5.0, 0.0)
Change = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    prepared = prepare(read_recipe(options.recipe), data=options.data, weights=options.weights)
    fitted = fit_folds(prepared)
    methods: dict[str, Change] = {"nothing": lambda signal: signal, **METHODS}
    print(f"{'SNR dB':10} " + " ".join(f"{name:>22}" for name in methods))
    for snr_db in SNR_DB:
        row = [f"{score(prepared, fitted, snr_db, clean):22.3f}" for clean in methods.values()]
        print(f"{snr_db if snr_db is not None else 'clean':10} " + " ".join(row), flush=True)


def score(prepared: Prepared, fitted: FittedFolds, snr_db: float | None, clean: Change) -> float:
    """UAR on clips with noise, cleaned; with the int8 encoder, which is the one shipped."""
    encoder = quantised_encoder(prepared.front)

    def vector(number: int) -> np.ndarray:
        signal = read_audio(prepared.corpus.paths[number])
        if snr_db is not None:
            signal = Noise(snr_db, KINDS[number % len(KINDS)], seed=number).apply(signal)
        return encoder(clean(signal))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        X = np.stack([*pool.map(vector, range(len(prepared.corpus)))])
    return float(fitted.predict(X).scores()["uar"])


if __name__ == "__main__":
    main()
