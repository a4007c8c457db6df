"""The extractor: names, shapes, cache, bad input; and that every set is finite on odd signals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import serein
from serein.audio.read import RATE_HZ
from serein.errors import AudioError, SereinError, SettingError
from serein.features.extractor import FeatureExtractor
from serein.features.feature_sets import SETS, series

SAMPLES = Path(__file__).parents[2] / "samples"
VOICE = SAMPLES / "espeak-german.flac"
FRAMED = [name for name, about in SETS.items() if about.vector is None]
TIME_S = np.arange(RATE_HZ) / RATE_HZ
BUZZ = (0.3 * np.sign(np.sin(2 * np.pi * 150 * TIME_S))).astype(np.float32)
ODD = {
    "silence": np.zeros(RATE_HZ, np.float32),
    "constant": np.full(RATE_HZ, 0.5, np.float32),
    "clipped": np.clip(20 * BUZZ, -1, 1).astype(np.float32),
    "shortest": BUZZ[:1600],
    "faint": 1e-6 * BUZZ,
    "click": np.eye(1, RATE_HZ, 8000, dtype=np.float32)[0],
    "far over full scale": 7 * BUZZ,
    "noise": np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32) * 0.1,
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", SETS)
def test_every_set_has_its_columns_and_finite_values(name: str, odd: str) -> None:
    values = series(ODD[odd], [name])[name]
    columns = len(SETS[name].columns)
    framed = (1 + ODD[odd].size // 160, columns)
    assert values.shape == (framed if name in FRAMED else (columns,))
    assert values.dtype == np.float32
    assert np.isfinite(values).all()


def test_column_names_are_one_each_and_field_terms() -> None:
    names = [column for about in SETS.values() for column in about.columns]
    for about in SETS.values():
        assert len(set(about.columns)) == len(about.columns)
    assert {"f0_hz", "f1_hz", "mfcc_1", "spectral_centroid_hz", "jitter_local"} <= set(names)


def test_pooled_is_a_table_with_named_columns() -> None:
    extractor = FeatureExtractor(["mfcc", "formants", "expert"], cache=False)
    X = extractor.fit_transform([VOICE, BUZZ])
    names = extractor.get_feature_names_out()
    assert X.shape == (2, len(names)) == (2, 13 * 4 + 10 * 4 + len(SETS["expert"].columns))
    assert len(set(names)) == len(names)
    mean = series(serein.read_audio(VOICE), ["mfcc"])["mfcc"].mean(axis=0)
    np.testing.assert_allclose(X[0, names == "mfcc_3_mean"], mean[2], rtol=1e-5)


def test_frames_are_series_on_one_grid() -> None:
    extractor = FeatureExtractor(FRAMED, pooled=False, cache=False)
    voice, buzz = extractor.transform([VOICE, BUZZ])
    assert buzz.shape == (101, len(extractor.get_feature_names_out()))
    assert voice.shape[0] == 1 + serein.read_audio(VOICE).size // 160


def test_processes_and_order_change_nothing() -> None:
    files = [VOICE, SAMPLES / "silence.flac", SAMPLES / "espeak-mandarin.flac"]
    alone = FeatureExtractor(["mfcc", "f0"], cache=False).transform(files)
    together = FeatureExtractor(["mfcc", "f0"], cache=False, jobs=2).transform(files[::-1])
    np.testing.assert_array_equal(alone, together[::-1])
    with pytest.raises(SettingError, match="jobs is 0; allowed: 1 or more, or -1"):
        FeatureExtractor(jobs=0).fit()


def test_the_cache_is_by_content_and_settings(tmp_path: Path) -> None:
    file = tmp_path / "voice.flac"
    file.write_bytes(VOICE.read_bytes())
    calls: list[tuple[int, int]] = []
    kept = tmp_path / "cache"
    extractor = FeatureExtractor(
        ["mfcc"], cache=kept, progress=lambda done, total: calls.append((done, total))
    )
    first = extractor.transform([file, file])
    assert calls == [(1, 2), (2, 2)]
    assert len(list(kept.rglob("*.npy"))) == 1
    (stored,) = kept.rglob("*.npy")
    np.save(stored, np.zeros_like(first[0]))
    assert not extractor.transform([file]).any()
    other = clone(extractor).set_params(functionals=("max",))
    assert other.transform([file]).any()
    soundfile.write(file, BUZZ, RATE_HZ)
    assert extractor.transform([file]).any()


def test_utterance_normalisation_takes_level_and_spread_out() -> None:
    settings = {"functionals": ("mean", "std"), "utterance_normalisation": True, "cache": False}
    X = FeatureExtractor(["mfcc"], **settings).transform([VOICE])
    np.testing.assert_allclose(X[0], np.repeat([0.0, 1.0], 13), atol=1e-4)


def test_the_old_name_of_a_setting_names_the_new_one() -> None:
    with pytest.raises(SettingError, match="per_utterance is now called utterance_normalisation"):
        FeatureExtractor(["mfcc"], per_utterance=True)


def test_works_in_a_pipeline() -> None:
    quiet, loud = 0.01 * BUZZ, BUZZ
    steps = make_pipeline(
        FeatureExtractor(["loudness"], cache=False), StandardScaler(), LogisticRegression()
    )
    fitted = clone(steps).fit([quiet, loud] * 4, ["sadness", "anger"] * 4)
    assert fitted.predict([0.012 * BUZZ, 0.9 * BUZZ]).tolist() == ["sadness", "anger"]


def test_nothing_in_gives_no_rows() -> None:
    extractor = FeatureExtractor(["f0"], cache=False)
    assert extractor.transform([]).shape == (0, len(extractor.get_feature_names_out()))


def test_a_bad_recording_is_named_and_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    entries = [VOICE, tmp_path / "text.wav", tmp_path / "gone.wav", BUZZ]
    extractor = FeatureExtractor(["f0"], cache=tmp_path)
    answers = list(extractor.each(entries))
    assert [isinstance(answer, SereinError) for answer in answers] == [False, True, True, False]
    with pytest.raises(AudioError, match=r"text\.wav: cannot be decoded"):
        extractor.transform(entries)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (np.full(RATE_HZ, np.nan, np.float32), "NaN"),
        (np.zeros(1, np.float32), "need at least 0.1 s"),
        (np.zeros((RATE_HZ, 2), np.float32), "need a 1-D array"),
        (np.zeros(0, np.float32), "0 samples"),
    ],
)
def test_what_is_no_signal_is_refused(signal: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        FeatureExtractor(cache=False).transform([signal])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sets": ["mfc"]}, "unknown feature set 'mfc'; known: mfcc"),
        ({"sets": "mfcc"}, "sets is 'mfcc'; need a list of names"),
        ({"sets": []}, "need a list of names"),
        ({"sets": ["f0", "f0"]}, "name each once"),
        ({"sets": ["expert"], "pooled": False}, "expert describes whole recordings"),
        ({"functionals": ["average"]}, "unknown functional 'average'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureExtractor(cache=False, **settings).fit_transform([BUZZ])
