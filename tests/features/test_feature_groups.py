"""Every column of a vector is said to measure something."""

from __future__ import annotations

from serein.features.extractor import FeatureExtractor
from serein.features.feature_groups import GROUPS, group_columns
from serein.features.feature_sets import SETS
from serein.features.frontend import FrontEnd


def test_every_column_of_every_set_has_a_measure() -> None:
    front_end = FrontEnd("features", sets=tuple(SETS), functionals=("mean", "p80"))
    names = FeatureExtractor(front_end.sets, functionals=front_end.functionals)
    groups = group_columns(front_end)
    assert set(groups) <= set(GROUPS)
    columns = sorted(column for group in groups.values() for column in group)
    assert columns == list(range(len(names.get_feature_names_out())))


def test_columns_are_grouped_as_they_are_named() -> None:
    extractor = FeatureExtractor(["expert", "formants"], functionals=["mean", "std"])
    names = extractor.get_feature_names_out()
    front_end = FrontEnd("features", sets=("expert", "formants"), functionals=("mean", "std"))
    groups = {name: set(names[columns]) for name, columns in group_columns(front_end).items()}
    assert {"f1_hz_mean", "f5_hz_std", "expert_f2_hz_std"} <= groups["formants"]
    assert {"b1_hz_std", "expert_b1_hz_mean"} <= groups["formant bandwidths"]
    assert {"expert_loudness_p80", "expert_loudness_rise_std"} <= groups["loudness"]
    assert {"expert_loudness_peaks_per_s", "expert_voiced_share"} <= groups["rhythm and pauses"]
    assert {"expert_f1_level_db_mean"} <= groups["harmonics, formant levels"]
    assert {"expert_mfcc_3_delta_std"} <= groups["changes of MFCC"]
