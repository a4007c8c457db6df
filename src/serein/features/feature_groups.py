"""Groups of features by what they measure: loudness, pitch, formants and so on."""

from __future__ import annotations

import re

from serein.features.feature_sets import SETS
from serein.features.frontend import FrontEnd

GROUPS = {  # group -> start of a column's name; the first match counts
    "rhythm and pauses": r"syllables|pause|(un)?voiced_s|loudness_peaks",
    "pitch (F0)": r"f0_",
    "voicing": r"voicing",
    "loudness": r"loudness|intensity|rms_energy",
    "jitter": r"jitter",
    "shimmer": r"shimmer",
    "harmonics to noise": r"hnr",
    "harmonics, formant levels": r"h1_|f\d_level",
    "formants": r"f\d_hz",
    "formant bandwidths": r"b\d_hz",
    "spectral balance": r"alpha_ratio|hammarberg|slope_",
    "spectral change": r"(spectral_)?flux",
    "spectral contrast": r"spectral_contrast",
    "spectral shape": r"spectral_|zero_crossing_rate",
    "changes of MFCC": r"mfcc_\d+_delta",
    "MFCC": r"mfcc_",
    "linear prediction": r"lpcc?_",
    "perceptual prediction": r"plp_",
    "chroma": r"chroma",
    "spectrum": r"(log_)?(power|mel)_",
}


def group_columns(front_end: FrontEnd) -> dict[str, list[int]]:
    """Group the columns of a front end's vector: group -> their numbers."""
    columns: list[str] = []
    for name in front_end.sets:
        times = 1 if SETS[name].vector is not None else len(front_end.functionals)
        columns += SETS[name].columns * times
    groups: dict[str, list[int]] = {}
    for number, column in enumerate(columns):
        groups.setdefault(_group(column.removeprefix("expert_")), []).append(number)
    return groups


def _group(column: str) -> str:
    return next((name for name, words in GROUPS.items() if re.match(words, column)), column)
