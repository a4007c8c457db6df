"""The expert set beside openSMILE's eGeMAPSv02: agreement, and emotion from a linear classifier.

    python bench/expert.py --data FOLDER_OF_CORPORA

Both sets go through the same scaling, classifier and folds of unseen speakers; nothing was tuned.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import opensmile
import scipy.stats

from serein.corpora import Corpus
from serein.evaluation.cross_validation import cross_validate
from serein.evaluation.protocol import leave_one_speaker_out, ravdess_actor_folds
from serein.features.expert import COLUMNS
from serein.features.extractor import FeatureExtractor
from serein.models.calibration import TemperatureScaled
from serein.models.linear import MaskedLogisticRegression

C = 0.1  # of the logistic regression, for both
PAIRS = {  # ours -> openSMILE's
    "f0_semitones_mean": "F0semitoneFrom27.5Hz_sma3nz_amean",
    "loudness_mean": "loudness_sma3_amean",
    "f1_hz_mean": "F1frequency_sma3nz_amean",
    "f2_hz_mean": "F2frequency_sma3nz_amean",
    "f3_hz_mean": "F3frequency_sma3nz_amean",
    "jitter_local_mean": "jitterLocal_sma3nz_amean",
    "shimmer_db_mean": "shimmerLocaldB_sma3nz_amean",
    "hnr_db_mean": "HNRdBACF_sma3nz_amean",
    "hnr_acf_db_mean": "HNRdBACF_sma3nz_amean",
    "f0_semitones_p50": "F0semitoneFrom27.5Hz_sma3nz_percentile50.0",
    "loudness_p80": "loudness_sma3_percentile80.0",
    "alpha_ratio_db_voiced_mean": "alphaRatioV_sma3nz_amean",
    "hammarberg_db_voiced_mean": "hammarbergIndexV_sma3nz_amean",
    "h1_h2_db_mean": "logRelF0-H1-H2_sma3nz_amean",
    "h1_a3_db_mean": "logRelF0-H1-A3_sma3nz_amean",
    "f1_level_db_mean": "F1amplitudeLogRelF0_sma3nz_amean",
    "mfcc_1_mean": "mfcc1_sma3_amean",
    "mfcc_2_mean": "mfcc2_sma3_amean",
    "loudness_peaks_per_s": "loudnessPeaksPerSec",
    "voiced_stretches_per_s": "VoicedSegmentsPerSec",
}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--corpora", nargs="+", default=["emodb", "ravdess"])
    options = parser.parse_args()
    for name in options.corpora:
        corpus = Corpus.load(name, options.data)
        ours = FeatureExtractor(["expert"], jobs=-1, cache=False).fit_transform(corpus.paths)
        with ProcessPoolExecutor() as pool:
            rows = list(pool.map(egemaps, corpus.paths, chunksize=20))
        theirs = np.stack([values for values, _ in rows])
        if name == "emodb":
            print_agreement(ours, theirs, rows[0][1])
        for title, X in (("expert set", ours), ("eGeMAPSv02", theirs)):
            print_score(f"{name}, {title}, {X.shape[1]} features", X, corpus)


def egemaps(file: Path) -> tuple[np.ndarray, list[str]]:
    """Describe one file with openSMILE."""
    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1
    )
    frame = smile.process_file(file)
    return frame.to_numpy()[0], list(frame.columns)


def print_agreement(ours: np.ndarray, theirs: np.ndarray, names: list[str]) -> None:
    """Print rank correlations over the clips of EmoDB."""
    for column, counterpart in PAIRS.items():
        pair = ours[:, COLUMNS.index(column)], theirs[:, names.index(counterpart)]
        print(f"{column:30} {counterpart:45} {scipy.stats.spearmanr(*pair).statistic:6.3f}")


def print_score(title: str, X: np.ndarray, corpus: Corpus) -> None:
    """Print UAR on unseen speakers, with its interval."""
    speakers = [clip.speaker for clip in corpus]
    six = corpus.name == "ravdess"
    folds = (ravdess_actor_folds if six else leave_one_speaker_out)(speakers)
    protocol = "six RAVDESS actor folds" if six else "leave one speaker out"
    classifier = TemperatureScaled(MaskedLogisticRegression(C=C))
    emotions = [clip.emotion for clip in corpus]
    scores = (
        cross_validate(classifier, X, emotions, speakers, folds, protocol=protocol)
        .predict(X)
        .scores()
    )
    low, high = scores["uar_interval_95"]
    print(f"{title:40} UAR {scores['uar']:.3f} (95 % {low:.3f} to {high:.3f}), {protocol}")


if __name__ == "__main__":
    main()
