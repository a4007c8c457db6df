"""The recognizer of words: a made one by construction, the bundled one by what it must know."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serein.emotions import EMOTIONS
from serein.errors import BundleError, SereinError, TextError
from serein.features import text as text_module
from serein.inference.load import bundled_models
from serein.inference.words import (
    ARRAYS,
    BUNDLED,
    MANIFEST,
    WordsPrediction,
    WordsRecognizer,
    load_words,
)

for module in ("tokenizers", "safetensors", text_module.PACKAGE):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs {module} of the extra [text]", allow_module_level=True)
MELD = {"neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise"}


@pytest.fixture(scope="module")
def words() -> WordsRecognizer:
    return load_words()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "copy"))


def rewrite(place: Path, arrays: dict[str, Any] | None = None, **manifest: Any) -> None:
    """Change a folder's manifest and arrays, with a right checksum."""
    with np.load(place / ARRAYS) as file:
        np.savez(place / ARRAYS, **dict(file) | (arrays or {}))
    told = json.loads((place / MANIFEST).read_text())
    told |= {"sha256": hashlib.sha256((place / ARRAYS).read_bytes()).hexdigest()} | manifest
    (place / MANIFEST).write_text(json.dumps(told))


# --- what it answers ---


def test_labels_are_sereins_own(words: WordsRecognizer) -> None:
    assert set(words.labels) == MELD
    assert list(words.labels) == [name for name in EMOTIONS if name in MELD]


def test_an_answer_adds_up(words: WordsRecognizer) -> None:
    answer = words.predict("What a lovely surprise, thank you so much!")
    assert isinstance(answer, WordsPrediction)
    assert tuple(answer.probabilities) == words.labels
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)
    assert answer.confidence == max(answer.probabilities.values())
    assert answer.warning is None
    told = answer.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["emotion"] == answer.emotion
    with pytest.raises(AttributeError):
        answer.emotion = "anger"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("Oh my God, this is so great! I'm so happy!", "happiness"),
        ("I hate you! Get out of here, you jerk!", "anger"),
        ("What?! You did what?!", "surprise"),
        ("I'm so sorry. I miss him so much.", "sadness"),
        ("The meeting is in the room on the left.", "neutral"),
    ],
)
def test_plain_cases_are_plain(words: WordsRecognizer, text: str, emotion: str) -> None:
    assert words.predict(text).emotion == emotion


def test_the_same_words_have_the_same_answer(words: WordsRecognizer) -> None:
    first = words.predict("Are you serious?", ["I sold the car."])
    assert first == words.predict("Are you serious?", ["I sold the car."])
    assert first == load_words().predict("Are you serious?", ["I sold the car."])


def test_both_apostrophes_and_odd_spaces_are_read_alike(words: WordsRecognizer) -> None:
    plain = words.predict("I can't believe it's over.").probabilities
    assert words.predict("I can’t believe it’s over.").probabilities == plain
    assert words.predict("\tI can't  believe\nit's over.\x00 ").probabilities == plain


# --- what was said before ---


def test_only_the_last_few_texts_before_count(words: WordsRecognizer) -> None:
    last = ["We won!", "Really?", "Yes, the cup is ours!", "I cannot believe it."][-words.earlier :]
    answer = words.predict("Wow!", last)
    assert answer.earlier == words.earlier
    assert words.predict("Wow!", ["Long ago.", *last]).probabilities == answer.probabilities
    assert words.predict("Wow!").probabilities != answer.probabilities
    assert words.predict("Wow!").earlier == 0


def test_a_dialogue_is_its_sentences_one_by_one(words: WordsRecognizer) -> None:
    said = ["I lost my job.", "Oh no!", "Yes. Today.", "I am so sorry.", "Thanks."]
    together = words.predict_dialogue(said)
    for place, answer in enumerate(together):
        alone = words.predict(said[place], said[:place])
        assert answer.earlier == alone.earlier == min(place, words.earlier)
        np.testing.assert_allclose(
            list(answer.probabilities.values()), list(alone.probabilities.values()), atol=1e-5
        )
    without = words.predict_dialogue(said, context=False)
    assert [answer.earlier for answer in without] == [0] * 5
    assert words.predict_dialogue([]) == []


# --- what it is given ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing to read"),
        (" \n\x00", "nothing to read"),
        ("no " * 33_334, "100002 characters; at most 10000"),
        ("half \ud800", "lone surrogate"),
        (b"bytes", "need a str"),
    ],
)
def test_what_cannot_be_read_is_refused(words: WordsRecognizer, text: Any, said: str) -> None:
    with pytest.raises(TextError, match=said):
        words.predict(text)
    with pytest.raises(TextError, match=said):
        words.predict("Yes.", [text])
    assert issubclass(TextError, SereinError)


def test_before_is_a_list_of_texts(words: WordsRecognizer) -> None:
    with pytest.raises(TextError, match="before is one text; need a list"):
        words.predict("Yes.", "Really?")
    with pytest.raises(TextError, match="before is 1001 texts; need a list of at most 1000"):
        words.predict("Yes.", ["Really?"] * 1001)
    with pytest.raises(TextError, match="one text came"):
        words.predict_dialogue("Yes.")


@pytest.mark.parametrize(
    "text", ["今天的天气很好", "Я так рада!", "שלום", "123?!", "😀", "\u0001a"]
)
def test_other_scripts_have_an_answer_and_a_warning(words: WordsRecognizer, text: str) -> None:
    answer = words.predict(text)
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)
    foreign = any(letter.isalpha() and letter != "a" for letter in text)
    assert (answer.warning is not None and "English only" in answer.warning) is foreign


def test_a_long_text_says_that_its_end_was_not_read(words: WordsRecognizer) -> None:
    answer = words.predict("This is so sad. " * 200)
    assert answer.warning is not None
    assert "only its beginning was read" in answer.warning


# --- what is on disk ---


def test_it_is_no_bundle_of_a_voice() -> None:
    assert BUNDLED.name not in bundled_models()


def test_it_is_small_and_says_what_it_is(words: WordsRecognizer) -> None:
    assert sum(file.stat().st_size for file in BUNDLED.iterdir()) < 2**20
    card = (BUNDLED / "CARD.md").read_text(encoding="utf-8")
    for fact in ("MELD", "GPL-3.0", "Apache-2.0", "English", "weighted F1"):
        assert fact in card
    assert words.manifest["language"] == "en"


def test_changed_arrays_are_refused(copy: Path) -> None:
    content = (copy / ARRAYS).read_bytes()
    for damage in (content[:-1], b"", b"x" * 100):
        (copy / ARRAYS).write_bytes(damage)
        with pytest.raises(BundleError, match=r"words\.npz is not what words\.json says"):
            load_words(copy)


def test_a_pickle_is_not_opened(copy: Path) -> None:
    for content in (pickle.dumps({"a": 1}), b"PK\x03\x04 no zip"):
        (copy / ARRAYS).write_bytes(content)
        told = json.loads((copy / MANIFEST).read_text())
        told["sha256"] = hashlib.sha256(content).hexdigest()
        (copy / MANIFEST).write_text(json.dumps(told))
        with pytest.raises(BundleError, match=r"words\.npz cannot be read"):
            load_words(copy)
    rewrite(Path(shutil.copytree(BUNDLED, copy.parent / "other")))  # the way of rewriting is sound
    load_words(copy.parent / "other")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "serein bundle"}, "does not say it is of 'serein words'"),
        ({"version": 2}, "version 2; this serein reads 1"),
        ({"labels": ["neutral", "joyous"]}, "labels that serein does not know"),
        ({"labels": [["neutral"], None]}, "labels that serein does not know"),
        ({"layers": [2, 99]}, "need 1 to 24"),
        ({"layers": [2, 4, 7]}, "does not fit the encoder: layers are"),
        ({"earlier": 10**9}, "need 1 to 24"),
        ({"labels": ["neutral", "anger"]}, "does not predict 2 labels"),
        ({"temperatures": [1.0]}, "needs 2 temperatures"),
        ({"temperatures": [1.0, -1.0]}, "needs 2 temperatures"),
        ({"layers": "all"}, "needs 'layers' as list"),
        ({"layers": [2]}, "does not fit"),
        ({"earlier": 1}, "does not fit"),
        ({"encoder_sha256": "0" * 64}, "holds other weights"),
    ],
)
def test_manifests_that_do_not_fit_are_refused(copy: Path, change: Any, said: str) -> None:
    told = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(told | change))
    with pytest.raises(BundleError, match=said):
        load_words(copy)


def test_arrays_that_do_not_fit_are_refused(copy: Path) -> None:
    rewrite(copy, {"mix.weight": np.zeros((3, 3), np.float32)})
    with pytest.raises(BundleError, match="does not fit the encoder"):
        load_words(copy)


def test_arrays_that_are_not_finite_are_refused(copy: Path) -> None:
    rewrite(copy, {"direct.bias": np.full(7, np.nan, np.float32)})
    with pytest.raises(BundleError, match="does not predict 7 labels"):
        load_words(copy)


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no recognizer of words at"):
        load_words(tmp_path)


def test_words_need_no_torch() -> None:
    code = (
        "import sys; from serein.inference.words import load_words; load_words().predict('hi');"
        "print(sorted({'torch', 'transformers', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
