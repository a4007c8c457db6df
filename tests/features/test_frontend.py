"""The front end: what it must not hear (gain, silence at the ends) and what it must survive."""

import hashlib
import itertools
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from transformers import Wav2Vec2FeatureExtractor

from serein.audio.nonspeech import coloured
from serein.audio.read import RATE_HZ
from serein.errors import SettingError
from serein.features.feature_sets import SETS, series
from serein.features.frontend import (
    FRAME,
    LEVELS,
    SPEECH_RMS,
    TRIM_DB,
    TRIM_MARGIN,
    FrontEnd,
    frame_rms,
    to_speech_level,
    trim_silence,
)
from serein.features.functionals import FUNCTIONALS

Array = npt.NDArray[np.float32]
MARGIN = TRIM_MARGIN * FRAME

EVERY = [
    FrontEnd(inputs, utterance_normalisation=utterance_normalisation, level=level, trim=trim)
    for inputs, utterance_normalisation, level, trim in itertools.product(
        ("log_mel", "waveform"), (False, True), LEVELS, (False, True)
    )
] + [FrontEnd(trim_noise=True)]
SERIES = [
    FrontEnd(
        "features",
        utterance_normalisation=utterance_normalisation,
        level=level,
        trim=True,
        sets=sets,
        step=step,
    )
    for utterance_normalisation, level, (sets, step) in itertools.product(
        (False, True), LEVELS, [(("mfcc",), 1), (("log_mel", "f0"), 3)]
    )
]
POOLED = [
    FrontEnd(
        "features",
        utterance_normalisation=utterance_normalisation,
        level="speech_rms",
        sets=sets,
        functionals=functionals,
    )
    for utterance_normalisation, sets, functionals in [
        (False, ("mfcc", "f0"), ("mean", "std")),
        (True, ("intensity",), ("slope", "kurtosis")),
        (False, ("mfcc", "rhythm"), ("mean",)),
    ]
]


def silence(samples: int) -> Array:
    return np.zeros(samples, dtype=np.float32)


@pytest.fixture
def voice() -> Array:
    """A second of syllables, 4 a second, with pauses 20 dB down between them."""
    generator = np.random.default_rng(0)
    time = np.arange(RATE_HZ) / RATE_HZ
    syllables = np.where(np.sin(2 * np.pi * 4 * time) > -0.5, 1.0, 0.1)
    buzz = np.sign(np.sin(2 * np.pi * 140 * time)) + 0.3 * generator.standard_normal(RATE_HZ)
    return (0.05 * syllables * buzz).astype(np.float32)


# --- gain ---


@pytest.mark.parametrize("trim", [False, True])
@pytest.mark.parametrize("gain", [0.001, 0.01, 10.0])
def test_speech_level_does_not_hear_the_gain(voice: Array, gain: float, trim: bool):
    front_end = FrontEnd(level="speech_rms", trim=trim)
    signal = np.concatenate([silence(5000), voice, silence(5000)])
    np.testing.assert_allclose(front_end(np.float32(gain) * signal), front_end(signal), atol=1e-3)


@pytest.mark.parametrize("gain", [0.01, 10.0])
def test_as_recorded_hears_the_gain(voice: Array, gain: float):
    difference = FrontEnd()(np.float32(gain) * voice) - FrontEnd()(voice)
    np.testing.assert_allclose(difference.mean(), np.log10(gain) / 2, atol=0.05)


def test_pauses_do_not_raise_the_speech_level(voice: Array):
    """Two thirds silence would make the mean level 5 dB lower; less than 1 dB is left of it."""
    levelled = to_speech_level(voice)
    with_pauses = to_speech_level(np.concatenate([silence(RATE_HZ), voice, silence(RATE_HZ)]))
    np.testing.assert_allclose(with_pauses[RATE_HZ:-RATE_HZ], levelled, rtol=0.1, atol=1e-6)
    assert np.median(frame_rms(levelled)) == pytest.approx(SPEECH_RMS, rel=0.2)


# --- silence at the ends ---


@pytest.mark.parametrize(
    ("before", "after"), [(0, FRAME), (10 * FRAME, 0), (50 * FRAME, 20 * FRAME), (100 * FRAME, 0)]
)
@pytest.mark.parametrize("level", LEVELS)
def test_trimming_does_not_hear_silence_at_the_ends(
    voice: Array, level: str, before: int, after: int
):
    signal = np.concatenate([silence(MARGIN), voice, silence(MARGIN)])
    longer = np.concatenate([silence(before), signal, silence(after)])
    front_end = FrontEnd(level=level, trim=True)
    np.testing.assert_array_equal(front_end(longer), front_end(signal))
    assert FrontEnd(level=level)(longer).shape != FrontEnd(level=level)(signal).shape


@pytest.mark.parametrize("before", [1, 159, 161, 7777])
def test_silence_of_any_length_changes_little(voice: Array, before: int):
    """Frames of 20 ms lie otherwise over the voice, so the cut may move by one of them."""
    signal = np.concatenate([silence(9600), voice, silence(9600)])
    cut = trim_silence(signal)
    other = trim_silence(np.concatenate([silence(before), signal]))
    assert abs(other.size - cut.size) <= 2 * FRAME
    assert np.count_nonzero(other) == np.count_nonzero(cut) == np.count_nonzero(voice)


@pytest.mark.parametrize(("under_db", "kept"), [(6.0, True), (-6.0, False)])
def test_the_threshold_of_trimming(under_db: float, kept: bool):
    """A hiss at one end is kept or cut by its distance from the voice."""
    generator = np.random.default_rng(0)
    loud = 0.1 * generator.standard_normal(RATE_HZ).astype(np.float32)
    gain = np.float32(10 ** ((TRIM_DB + under_db) / 20))
    hiss = gain * 0.1 * generator.standard_normal(RATE_HZ).astype(np.float32)
    assert (trim_silence(np.append(loud, hiss)).size == 2 * RATE_HZ) is kept


@pytest.mark.parametrize("snr_db", [20.0, 15.0])
@pytest.mark.parametrize("colour", [0.0, 1.0])
def test_noise_at_the_ends_is_cut(voice: Array, snr_db: float, colour: float):
    """A voice between two seconds of noise: as near as 0.2 s, at each end, to where it was."""
    signal = np.concatenate([silence(RATE_HZ), voice, silence(RATE_HZ)])
    noise = coloured(np.random.default_rng(0), signal.size, colour)
    gain = np.sqrt(np.mean(np.square(voice)) / np.mean(np.square(noise))) * 10 ** (-snr_db / 20)
    noisy = (signal + gain * noise).astype(np.float32)
    assert trim_silence(noisy).size > 1.2 * voice.size
    cut = trim_silence(noisy, noise=True)
    start = int(np.flatnonzero(noisy == cut[0])[0])
    assert start == pytest.approx(RATE_HZ, abs=0.2 * RATE_HZ)
    assert start + cut.size == pytest.approx(RATE_HZ + voice.size, abs=0.2 * RATE_HZ)


def test_without_noise_its_trimming_is_that_of_silence(voice: Array):
    signal = np.concatenate([silence(RATE_HZ), voice, silence(RATE_HZ)])
    np.testing.assert_allclose(
        trim_silence(signal, noise=True).size, trim_silence(signal).size, atol=8 * FRAME
    )


def test_a_pause_inside_is_never_cut(voice: Array):
    signal = np.concatenate([voice, silence(RATE_HZ), voice])
    np.testing.assert_array_equal(trim_silence(signal), signal)


# --- what it must survive ---


@pytest.mark.parametrize("front_end", EVERY, ids=repr)
@pytest.mark.parametrize("samples", [1600, 1601, RATE_HZ])
@pytest.mark.parametrize("kind", ["zeros", "constant", "one click", "noise", "faint"])
def test_every_signal_gives_finite_numbers(front_end: FrontEnd, samples: int, kind: str):
    signal = silence(samples)
    if kind == "constant":
        signal[:] = 0.5
    elif kind == "one click":
        signal[samples // 2] = 1.0
    elif kind != "zeros":
        gain = 1e-18 if kind == "faint" else 0.1
        signal = (gain * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)
    before = signal.copy()
    found = front_end(signal)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(signal, before)
    if not (front_end.trim or front_end.trim_noise):
        whole = (samples // 160, 80) if front_end.inputs == "log_mel" else (samples,)
        assert found.shape == whole
    assert found.size >= 400


def test_digital_silence_stays_as_it_is():
    zeros = silence(RATE_HZ)
    for front_end in EVERY:
        if front_end.inputs == "waveform":
            np.testing.assert_array_equal(front_end(zeros), zeros)


def test_bands_are_whispers():
    assert FrontEnd(bands=128)(silence(RATE_HZ)).shape == (100, 128)


# --- waveforms ---


def test_normalised_waveforms_equal_wav2vec2s(voice: Array):
    signal = voice + np.float32(0.02)
    theirs = Wav2Vec2FeatureExtractor(do_normalize=True)(signal, sampling_rate=RATE_HZ)
    ours = FrontEnd("waveform", utterance_normalisation=True)(signal)
    np.testing.assert_allclose(ours, theirs["input_values"][0], atol=1e-5)
    assert ours.mean() == pytest.approx(0.0, abs=1e-5)
    assert ours.std() == pytest.approx(1.0, abs=1e-3)


def test_a_waveform_is_otherwise_left_alone(voice: Array):
    np.testing.assert_array_equal(FrontEnd("waveform")(voice), voice)


# --- frames ---


def test_frame_levels_by_construction():
    signal = np.repeat(np.array([0.0, 0.5, -0.25], dtype=np.float32), FRAME)
    np.testing.assert_allclose(frame_rms(signal), [0.0, 0.5, 0.25])
    np.testing.assert_allclose(frame_rms(np.append(signal, signal[-5:])), [0.0, 0.5, 0.25])


def test_less_than_a_frame_is_one_frame():
    np.testing.assert_allclose(frame_rms(np.full(100, 0.5, dtype=np.float32)), [0.5])


# --- settings ---


@pytest.mark.parametrize("front_end", [*EVERY, *SERIES, *POOLED, FrontEnd(bands=128)], ids=repr)
def test_settings_survive_a_manifest(front_end: FrontEnd):
    settings = json.loads(json.dumps(front_end.to_dict()))
    assert settings["rate_hz"] == RATE_HZ
    assert FrontEnd.from_dict(settings) == front_end


def test_settings_that_are_not_given_have_their_defaults():
    assert FrontEnd.from_dict({"level": "speech_rms"}) == FrontEnd(level="speech_rms")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gain": 2, "trim": True}, "unknown front-end setting 'gain'; known: "),
        ({"rate_hz": 8000}, "the front end's rate_hz is 8000; this serein needs 16000"),
        ({"level": "loud"}, "unknown level 'loud'; known: as_recorded, speech_rms"),
        ({"inputs": "mfcc"}, "unknown inputs 'mfcc'; known: "),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        FrontEnd.from_dict(settings)


# --- features ---


def features(*sets: str, **settings: Any) -> FrontEnd:
    return FrontEnd("features", sets=sets, **settings)


def test_a_series_is_its_sets_side_by_side(voice: Array):
    found = features("mfcc", "f0", "log_mel")(voice)
    parts = series(voice, ["mfcc", "f0", "log_mel"]).values()
    np.testing.assert_array_equal(found, np.concatenate(list(parts), axis=1))
    assert found.dtype == np.float32
    assert found.shape == (101, 13 + 2 + 40)


def test_a_vector_is_its_functionals_side_by_side(voice: Array):
    found = features("mfcc", "intensity", "rhythm", functionals=("mean", "max"))(voice)
    parts = series(voice, ["mfcc", "intensity", "rhythm"])
    expected = [parts[name].astype(float) for name in ("mfcc", "intensity")]
    pooled = [np.concatenate([rows.mean(axis=0), rows.max(axis=0)]) for rows in expected]
    np.testing.assert_allclose(found, np.concatenate([*pooled, parts["rhythm"]]), rtol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("step", [1, 2, 7, 50, 100])
def test_a_step_is_the_mean_of_its_frames(voice: Array, step: int):
    whole = features("mfcc", "log_mel")(voice)
    found = features("mfcc", "log_mel", step=step)(voice)
    expected = [whole[at : at + step].mean(axis=0) for at in range(0, len(whole), step)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert found.dtype == np.float32


def test_the_last_step_may_be_of_fewer_frames(voice: Array):
    whole = features("log_mel")(voice)
    assert len(whole) == 101
    np.testing.assert_allclose(features("log_mel", step=25)(voice)[4], whole[100], rtol=1e-6)


def test_a_step_does_not_change_vectors(voice: Array):
    settings = {"functionals": ("mean",)}
    np.testing.assert_array_equal(
        features("mfcc", step=5, **settings)(voice), features("mfcc", **settings)(voice)
    )


def test_normalised_series_have_mean_0_and_variance_1(voice: Array):
    found = features("mfcc", utterance_normalisation=True)(voice)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-4)


def test_level_and_trim_come_before_features(voice: Array):
    signal = np.concatenate([silence(MARGIN), voice, silence(MARGIN)])
    longer = np.float32(0.01) * np.concatenate([silence(20 * FRAME), signal, silence(9 * FRAME)])
    front_end = features("log_mel", level="speech_rms", trim=True)
    np.testing.assert_allclose(front_end(longer), front_end(signal), atol=1e-2)
    assert features("log_mel")(longer).shape != features("log_mel")(signal).shape


@pytest.mark.parametrize("name", [name for name, about in SETS.items() if about.vector is None])
def test_width_is_the_columns_of_a_frame(voice: Array, name: str):
    front_end = features(name, "mfcc") if name != "mfcc" else features("mfcc")
    assert front_end(voice[:1600]).shape == (11, front_end.width)


def test_only_series_of_features_have_a_width():
    assert features("mfcc", "f0", step=4).width == 15
    assert features("mfcc", functionals=("mean",)).width is None
    assert FrontEnd().width is None
    assert FrontEnd("waveform").width is None


@pytest.mark.parametrize("front_end", [*SERIES, *POOLED], ids=repr)
@pytest.mark.parametrize("kind", ["zeros", "shortest", "click"])
def test_features_of_every_signal_are_finite(front_end: FrontEnd, kind: str):
    signal = silence(1600 if kind == "shortest" else RATE_HZ)
    if kind != "zeros":
        signal[signal.size // 2] = 1.0
    found = front_end(signal)
    assert np.isfinite(found).all()
    assert found.dtype == np.float32
    if front_end.functionals:
        assert found.ndim == 1
    else:
        assert found.shape[1] == front_end.width


@pytest.mark.parametrize(
    "other",
    [
        features("mfcc", "f0"),
        features("f0"),
        features("mfcc", functionals=("mean",)),
        features("mfcc", step=2),
        features("mfcc", utterance_normalisation=True),
        features("mfcc", level="speech_rms"),
        features("mfcc", trim=True),
        features("mfcc", trim_noise=True),
        FrontEnd(),
    ],
    ids=repr,
)
def test_another_setting_has_another_fingerprint(other: FrontEnd):
    fingerprint = features("mfcc").fingerprint
    assert fingerprint == features("mfcc").fingerprint
    assert len(fingerprint) == 20
    assert other.fingerprint != fingerprint


def test_the_order_of_sets_and_functionals_counts():
    assert features("mfcc", "f0").fingerprint != features("f0", "mfcc").fingerprint
    one, other = (features("f0", functionals=both) for both in (("mean", "std"), ("std", "mean")))
    assert one.fingerprint != other.fingerprint


def test_the_fingerprint_is_that_of_format_0_1():
    """What was cached with the names of format 0.1 is found."""
    settings = {"inputs": "log_mel", "bands": 80, "normalise": False, "level": "speech_rms"}
    text = json.dumps(settings | {"trim": True, "rate_hz": RATE_HZ, "edition": 1}, sort_keys=True)
    ours = FrontEnd(level="speech_rms", trim=True)
    assert ours.fingerprint == hashlib.sha256(text.encode()).hexdigest()[:20]
    assert set(ours.to_dict()) == {
        *("inputs", "bands", "utterance_normalisation", "level", "trim"),
        *("rate_hz", "edition"),
    }


def test_a_manifest_of_format_0_1_is_read():
    old = {"inputs": "waveform", "normalise": True, "level": "as_recorded", "rate_hz": RATE_HZ}
    assert FrontEnd.from_dict(old) == FrontEnd("waveform", utterance_normalisation=True)


def test_the_old_name_of_a_setting_names_the_new_one():
    with pytest.raises(SettingError, match="normalise is now called utterance_normalisation"):
        FrontEnd("waveform", normalise=True)


def test_a_manifest_of_features_holds_lists():
    settings = features("mfcc", functionals=("mean",), step=3).to_dict()
    assert settings["sets"] == ["mfcc"]
    assert settings["functionals"] == ["mean"]
    assert settings["step"] == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "sets is empty; name one or more, once"),
        ({"sets": ["f0", "f0"]}, "sets is f0, f0; name one or more, once"),
        ({"sets": ["mfc"]}, "unknown feature set 'mfc'; known: mfcc, "),
        ({"sets": ["rhythm"]}, "rhythm describes whole recordings: give functionals too"),
        ({"sets": ["mfcc", "expert"]}, "expert describes whole recordings: give functionals too"),
        ({"sets": ["mfcc"], "functionals": ["meen"]}, "unknown functional 'meen'; known: mean"),
        ({"sets": ["mfcc"], "step": 0}, "step is 0; allowed: a whole number, 1 to 100"),
        ({"sets": ["mfcc"], "step": 101}, "step is 101; allowed: a whole number, 1 to 100"),
    ],
)
def test_wrong_settings_of_features_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        FrontEnd.from_dict({"inputs": "features"} | settings)


def test_every_functional_can_be_a_setting():
    assert features("f0", functionals=tuple(FUNCTIONALS)).functionals == tuple(FUNCTIONALS)


def test_a_step_that_is_no_whole_number_is_refused():
    with pytest.raises(ValueError, match=r"step is 1\.5; allowed: a whole number, 1 to 100"):
        features("mfcc", step=1.5)
