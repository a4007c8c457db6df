"""Encoders: tiny random ones of each family, with transformers' own hidden states as oracle."""

import hashlib
import json
import logging
import os
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperModel,
)
from transformers.models.whisper.modeling_whisper import sinusoids

from serein.audio.read import RATE_HZ
from serein.engine import torch_threads
from serein.errors import EncoderError, SettingError
from serein.experiment.export.torch_graph import (
    GraphEncoder,
    encoder_graph,
)
from serein.features.encoder import SpeechEncoder, find_encoder
from serein.onnx_graph import check_graph

Array = npt.NDArray[np.float32]

WIDTH = 32
WHISPER = {
    "d_model": WIDTH,
    "encoder_layers": 4,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 48,
    "vocab_size": 20,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
}
WAVEFORM = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16,) * 3,
    "conv_kernel": (10, 8, 8),
    "conv_stride": (5, 8, 8),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
FAMILIES: dict[str, Callable[[], Any]] = {
    "wav2vec2": lambda: Wav2Vec2Model(Wav2Vec2Config(**WAVEFORM)),
    "wav2vec2 large": lambda: Wav2Vec2Model(Wav2Vec2Config(**WAVEFORM, **LARGE)),
    "hubert": lambda: HubertModel(HubertConfig(**WAVEFORM)),
    "hubert large": lambda: HubertModel(HubertConfig(**WAVEFORM, **LARGE)),
    "wavlm": lambda: WavLMModel(WavLMConfig(**WAVEFORM)),
    "wavlm large": lambda: WavLMModel(WavLMConfig(**WAVEFORM, **LARGE)),
}


def noise(seconds: float, seed: int = 0) -> Array:
    generator = np.random.default_rng(seed)
    return (0.1 * generator.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def make(build: Callable[[], Any]) -> Any:
    """Build a random model whose norms and biases are not the neutral ones that it begins with."""
    torch.manual_seed(0)
    model = build().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                weight.add_(0.3 * torch.randn_like(weight))
    return model


def pooled(state: torch.Tensor) -> Array:
    return torch.cat([state[0].mean(dim=0), state[0].std(dim=0, correction=0)]).numpy()


@pytest.fixture(scope="module")
def whisper() -> Any:
    """A tiny Whisper, its positions the sinusoids that every real one has."""
    model = make(lambda: WhisperModel(WhisperConfig(**WHISPER)))
    positions = model.encoder.embed_positions.weight
    positions.data = sinusoids(*positions.shape)
    return model


@pytest.fixture(scope="module")
def whisper_folder(whisper: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper")
    whisper.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def waveform_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the folder of a tiny model of a family; made once."""
    home = tmp_path_factory.mktemp("waveform")

    def find(family: str) -> Path:
        if not (home / family).is_dir():
            make(FAMILIES[family]).save_pretrained(home / family)
        return home / family

    return find


@pytest.fixture
def copy(tmp_path: Path, whisper_folder: Path) -> Path:
    """A copy of the tiny Whisper, to damage."""
    return Path(shutil.copytree(whisper_folder, tmp_path / "copy"))


def drop(folder: Path, *parts: str) -> None:
    """Delete the weights whose names hold one of these."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: w for name, w in weights.items() if not any(part in name for part in parts)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def configure(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


# --- hidden states ---


def test_whispers_states_are_transformers_own(whisper: Any, whisper_folder: Path):
    encoder = SpeechEncoder(whisper_folder, layers=(1, 2, 3))
    signal = noise(30)
    mel = torch.from_numpy(encoder.front_end(signal).T[None])
    with torch.inference_mode():
        states = whisper.encoder(mel, output_hidden_states=True).hidden_states
    expected = np.concatenate([pooled(states[layer]) for layer in (1, 2, 3)])
    vector = encoder(signal)
    assert vector.shape == (encoder.dimensions,) == (2 * WIDTH * 3,)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, expected, atol=1e-4)


def test_whispers_last_state_is_taken_before_the_final_norm(whisper: Any, whisper_folder: Path):
    encoder = SpeechEncoder(whisper_folder, layers=(4,))
    signal = noise(30)
    raw: list[torch.Tensor] = []
    hook = whisper.encoder.layers[3].register_forward_hook(
        lambda module, given, output: raw.append(output)
    )
    with torch.inference_mode():
        normed = whisper.encoder(torch.from_numpy(encoder.front_end(signal).T[None]))
    hook.remove()
    np.testing.assert_allclose(encoder(signal), pooled(raw[0]), atol=1e-4)
    assert np.abs(pooled(raw[0]) - pooled(normed.last_hidden_state)).max() > 0.1


@pytest.mark.parametrize("frames", [100, 101, 102, 103])
def test_frames_are_averaged_two_by_two_for_the_layers_after(whisper_folder: Path, frames: int):
    """The last of an odd number stays; layers up to the pooling do not change."""
    pooled_encoder = SpeechEncoder(whisper_folder, layers=(1, 2, 3), pool_after=2)
    whole = SpeechEncoder(whisper_folder, layers=(1, 2, 3))
    mel = torch.from_numpy(whole.front_end(noise(4))[None, :frames])
    given: list[torch.Tensor] = []
    whole.network.blocks[1].register_forward_hook(lambda block, args, output: given.append(output))
    pooled_encoder.network.blocks[2].register_forward_pre_hook(
        lambda block, args: given.append(args[0])
    )
    with torch.inference_mode():
        unhurried, hurried = whole.network(mel)[0], pooled_encoder.network(mel)[0]
    before, after = given
    pairs = [before[:, i : i + 2].mean(dim=1) for i in range(0, before.shape[1], 2)]
    np.testing.assert_allclose(after, torch.stack(pairs, dim=1), atol=1e-6)
    np.testing.assert_allclose(hurried[: 4 * WIDTH], unhurried[: 4 * WIDTH], atol=1e-6)
    assert (hurried[4 * WIDTH :] - unhurried[4 * WIDTH :]).abs().max() > 1e-4
    assert pooled_encoder.fingerprint != whole.fingerprint


def frames_of(states: list[torch.Tensor]) -> Array:
    """The mean of (1, time, width) states, in pairs of frames."""
    return torch.cat(states).mean(dim=0).unflatten(0, (-1, 2)).mean(dim=1).numpy()


def test_frames_are_the_mean_of_the_layers(whisper: Any, whisper_folder: Path):
    encoder = SpeechEncoder(whisper_folder, layers=(1, 3), frames=True)
    signal = noise(30)
    mel = torch.from_numpy(encoder.front_end(signal).T[None])
    with torch.inference_mode():
        states = whisper.encoder(mel, output_hidden_states=True).hidden_states
    found = encoder(signal)
    assert found.shape == (30 * 25, WIDTH) == (750, encoder.width)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, frames_of([states[1], states[3]]), atol=5e-3)
    whole = SpeechEncoder(whisper_folder, layers=(1, 3))
    assert whole.width is None
    assert whole.fingerprint != encoder.fingerprint


@pytest.mark.parametrize("family", ["wav2vec2", "wavlm large"])
def test_waveform_frames_are_the_mean_of_the_layers(
    family: str, waveform_folder: Callable[[str], Path]
):
    folder = waveform_folder(family)
    encoder = SpeechEncoder(folder, layers=(1, 2), frames=True)
    network_input = torch.from_numpy(encoder.front_end(noise(1))[None])
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder).eval()(network_input, output_hidden_states=True)
    expected = frames_of([state[:, :48] for state in states.hidden_states[1:3]])
    np.testing.assert_allclose(encoder(noise(1))[:24], expected, atol=5e-3)


@pytest.mark.parametrize("pool_after", [1, 2, 4])
def test_pooled_layers_give_as_many_frames(whisper_folder: Path, pool_after: int):
    whole = SpeechEncoder(whisper_folder, layers=(1, 2, 4), frames=True)
    pooled_encoder = SpeechEncoder(
        whisper_folder, layers=(1, 2, 4), frames=True, pool_after=pool_after
    )
    for seconds in (0.1, 0.99, 1.0, 1.01, 1.03):
        assert pooled_encoder(noise(seconds)).shape == whole(noise(seconds)).shape


@pytest.mark.parametrize("pool_after", [-1, 5])
def test_pooling_outside_the_layers_is_an_error(whisper_folder: Path, pool_after: int):
    with pytest.raises(EncoderError, match="pool_after"):
        SpeechEncoder(whisper_folder, layers=(1,), pool_after=pool_after)


def test_the_old_name_of_a_parameter_names_the_new_one(whisper_folder: Path):
    with pytest.raises(SettingError, match="halve_after is now called pool_after"):
        SpeechEncoder(whisper_folder, layers=(1,), halve_after=2)


def test_only_whisper_pools_its_frames(waveform_folder: Callable[[str], Path]):
    with pytest.raises(EncoderError, match="only a Whisper encoder"):
        SpeechEncoder(waveform_folder("hubert"), layers=(1,), pool_after=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_waveform_states_are_transformers_own(family: str, waveform_folder: Callable[[str], Path]):
    folder = waveform_folder(family)
    encoder = SpeechEncoder(folder, layers=(1, 2))
    assert len(encoder.network.model.encoder.layers) == 3
    signal = noise(1)
    model = AutoModel.from_pretrained(folder).eval()
    network_input = torch.from_numpy(encoder.front_end(signal)[None])
    with torch.inference_mode():
        states = model(network_input, output_hidden_states=True).hidden_states
    expected = np.concatenate([pooled(states[layer]) for layer in (1, 2)])
    np.testing.assert_allclose(encoder(signal), expected, atol=1e-4)
    assert encoder.dimensions == expected.size
    assert encoder.front_end.utterance_normalisation is family.endswith("large")


@pytest.mark.parametrize("family", ["wav2vec2", "wavlm large"])
def test_layers_that_are_not_wanted_are_cut_off(
    family: str, waveform_folder: Callable[[str], Path], whisper_folder: Path
):
    cut = SpeechEncoder(waveform_folder(family), layers=(1,))
    whole = SpeechEncoder(waveform_folder(family), layers=(1, 3))
    assert len(cut.network.model.encoder.layers) == 2
    np.testing.assert_allclose(cut(noise(1)), whole(noise(1))[: 2 * WIDTH], atol=1e-6)
    assert len(SpeechEncoder(whisper_folder, layers=(2,)).network.blocks) == 2


@pytest.mark.parametrize("family", ["whisper", "hubert"])
def test_layers_come_in_their_own_order(
    family: str, waveform_folder: Callable[[str], Path], whisper_folder: Path
):
    folder = whisper_folder if family == "whisper" else waveform_folder(family)
    up, down = SpeechEncoder(folder, layers=(1, 3)), SpeechEncoder(folder, layers=(3, 1))
    assert up.layers == down.layers == (1, 3)
    assert up.fingerprint == down.fingerprint
    np.testing.assert_array_equal(up(noise(1)), down(noise(1)))


@pytest.mark.parametrize("family", ["whisper", "wavlm"])
def test_many_threads_give_what_one_gives(
    family: str, waveform_folder: Callable[[str], Path], whisper_folder: Path
):
    folder = whisper_folder if family == "whisper" else waveform_folder(family)
    signals = [noise(0.5 + 0.1 * seed, seed) for seed in range(8)]
    alone = [SpeechEncoder(folder, layers=(1, 2))(signal) for signal in signals]
    with ThreadPoolExecutor(8) as pool, torch_threads(1):
        together = list(pool.map(SpeechEncoder(folder, layers=(1, 2)), signals))
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_short_signals_have_a_vector(whisper_folder: Path, waveform_folder: Callable[[str], Path]):
    for folder in (whisper_folder, *map(waveform_folder, FAMILIES)):
        for signal in (noise(0.1), np.zeros(1600, dtype=np.float32)):
            assert np.isfinite(SpeechEncoder(folder, layers=(1,))(signal)).all()


def test_torchs_threads_are_given_back_after_an_error_too():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with suppress(KeyError), torch_threads(1):
            inside = torch.get_num_threads()
            raise KeyError
        assert (inside, torch.get_num_threads()) == (1, 2)
    finally:
        torch.set_num_threads(before)


# --- other folders of the same weights ---


def test_the_encoder_alone_gives_the_same_vector(
    whisper: Any, whisper_folder: Path, tmp_path: Path
):
    whisper.get_encoder().save_pretrained(tmp_path / "alone")
    whole = SpeechEncoder(whisper_folder, layers=(1, 4))
    alone = SpeechEncoder(tmp_path / "alone", layers=(1, 4))
    np.testing.assert_array_equal(alone(noise(1)), whole(noise(1)))


def test_a_transcriber_gives_the_same_vector(whisper: Any, whisper_folder: Path, tmp_path: Path):
    transcriber = WhisperForConditionalGeneration(whisper.config)
    transcriber.model.load_state_dict(whisper.state_dict())
    transcriber.save_pretrained(tmp_path / "transcriber")
    np.testing.assert_array_equal(
        SpeechEncoder(tmp_path / "transcriber", layers=(2,))(noise(1)),
        SpeechEncoder(whisper_folder, layers=(2,))(noise(1)),
    )


def test_weights_without_the_decoder_are_enough(copy: Path, whisper_folder: Path):
    drop(copy, "decoder.", "embed_positions", "encoder.layer_norm")
    np.testing.assert_array_equal(
        SpeechEncoder(copy, layers=(4,))(noise(1)),
        SpeechEncoder(whisper_folder, layers=(4,))(noise(1)),
    )


def test_half_precision_is_computed_in_single(whisper_folder: Path, copy: Path):
    weights = load_file(copy / "model.safetensors")
    halves = {name: weight.half() for name, weight in weights.items()}
    save_file(halves, copy / "model.safetensors", metadata={"format": "pt"})
    configure(copy, dtype="float16")
    vector = SpeechEncoder(copy, layers=(1, 2))(noise(1))
    assert vector.dtype == np.float32
    expected = SpeechEncoder(whisper_folder, layers=(1, 2))(noise(1))
    np.testing.assert_allclose(vector, expected, atol=0.01)


def test_older_names_of_the_positional_convolution_are_known(
    waveform_folder: Callable[[str], Path], tmp_path: Path
):
    """Published weights, WavLM's among them, call the halves of its weight norm g and v."""
    folder = Path(shutil.copytree(waveform_folder("wavlm"), tmp_path / "old"))
    weights = load_file(folder / "model.safetensors")
    conv = "encoder.pos_conv_embed.conv."
    for number, old in enumerate("gv"):
        weights[f"{conv}weight_{old}"] = weights.pop(
            f"{conv}parametrizations.weight.original{number}"
        )
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    np.testing.assert_array_equal(
        SpeechEncoder(folder, layers=(1,))(noise(1)),
        SpeechEncoder(waveform_folder("wavlm"), layers=(1,))(noise(1)),
    )


def test_loading_says_nothing_that_would_alarm(whisper_folder: Path):
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("transformers").addHandler(handler)
    try:
        SpeechEncoder(whisper_folder, layers=(1,))
    finally:
        logging.getLogger("transformers").removeHandler(handler)
    assert said == []


# --- what is refused ---


@pytest.mark.parametrize(
    "part",
    [
        "encoder.conv1.weight",
        "encoder.conv2.bias",
        "encoder.layers.0.self_attn.q_proj.weight",
        "encoder.layers.3.final_layer_norm.bias",
    ],
)
def test_a_whisper_that_would_stay_partly_random_is_refused(copy: Path, part: str):
    drop(copy, part)
    with pytest.raises(EncoderError, match=f"lacks weights of its encoder: {part}"):
        SpeechEncoder(copy, layers=(1,))


def test_an_encoder_alone_that_would_stay_partly_random_is_refused(whisper: Any, tmp_path: Path):
    whisper.get_encoder().save_pretrained(tmp_path)
    drop(tmp_path, "conv1.weight")
    with pytest.raises(EncoderError, match=r"lacks weights of its encoder: conv1\.weight"):
        SpeechEncoder(tmp_path, layers=(1,))


@pytest.mark.parametrize(
    "part",
    [
        "feature_extractor.conv_layers.0.conv.weight",
        "feature_projection.projection.bias",
        "encoder.pos_conv_embed.conv.bias",
        "encoder.layer_norm.weight",
        "encoder.layers.1.attention.k_proj.weight",
    ],
)
def test_a_waveform_encoder_that_would_stay_partly_random_is_refused(
    waveform_folder: Callable[[str], Path], tmp_path: Path, part: str
):
    folder = Path(shutil.copytree(waveform_folder("wav2vec2"), tmp_path / "copy"))
    drop(folder, part)
    with pytest.raises(EncoderError, match=f"lacks weights of its encoder: {part}"):
        SpeechEncoder(folder, layers=(1,))


def test_the_spare_weights_of_training_may_be_missing(
    waveform_folder: Callable[[str], Path], tmp_path: Path
):
    folder = Path(shutil.copytree(waveform_folder("wav2vec2"), tmp_path / "copy"))
    drop(folder, "masked_spec_embed")
    np.testing.assert_array_equal(
        SpeechEncoder(folder, layers=(1,))(noise(1)),
        SpeechEncoder(waveform_folder("wav2vec2"), layers=(1,))(noise(1)),
    )


@pytest.mark.parametrize("layers", [(), (0,), (1, 5), (-1,), (2, 2)])
def test_layers_that_are_not_there_are_refused(whisper_folder: Path, layers: tuple[int, ...]):
    with pytest.raises(EncoderError, match=r"layers are \[.*\]; .* has the layers 1 to 4"):
        SpeechEncoder(whisper_folder, layers=layers)


def test_another_family_is_refused(copy: Path):
    configure(copy, model_type="bert")
    known = "is of the family 'bert'; known: whisper, wav2vec2, hubert, wavlm"
    with pytest.raises(EncoderError, match=known):
        SpeechEncoder(copy)


def test_damaged_folders_are_refused(copy: Path):
    intact = (copy / "model.safetensors").read_bytes()
    for damage in (b"", b"x" * 100, intact[:5000], intact[:-1]):
        (copy / "model.safetensors").write_bytes(damage)
        with pytest.raises(EncoderError, match=r"cannot load the encoder .*copy: "):
            SpeechEncoder(copy)
    (copy / "model.safetensors").write_bytes(intact)
    configure(copy, d_model=64)
    with pytest.raises(EncoderError, match=r"cannot load the encoder .*copy: "):
        SpeechEncoder(copy)
    for config in ("{", "{}", '{"model_type": "no such family"}'):
        (copy / "config.json").write_text(config)
        with pytest.raises(EncoderError, match=r"cannot load the encoder .*copy: "):
            SpeechEncoder(copy)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.place,)


@pytest.mark.parametrize("family", ["whisper", "wav2vec2"])
def test_a_pickle_is_refused_and_not_opened(
    family: str, waveform_folder: Callable[[str], Path], whisper_folder: Path, tmp_path: Path
):
    source = whisper_folder if family == "whisper" else waveform_folder(family)
    folder = Path(shutil.copytree(source, tmp_path / "copy"))
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"no file named model\.safetensors"):
        SpeechEncoder(folder, layers=(1,))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "went off")))
    with pytest.raises(EncoderError, match=r"no file named model\.safetensors"):
        SpeechEncoder(folder, layers=(1,))
    assert not (tmp_path / "went off").exists()


# --- fingerprints ---


def test_the_fingerprint_names_weights_and_settings(copy: Path, whisper_folder: Path):
    encoder = SpeechEncoder(whisper_folder, layers=(1, 2))
    content = (whisper_folder / "model.safetensors").read_bytes()
    assert encoder.weights_sha256["model.safetensors"] == hashlib.sha256(content).hexdigest()
    plain = encoder.fingerprint
    assert SpeechEncoder(copy, layers=(1, 2)).fingerprint == plain  # not the place
    others = [
        SpeechEncoder(copy, layers=(1, 3)).fingerprint,
        SpeechEncoder(copy, layers=(1,)).fingerprint,
        SpeechEncoder(copy, layers=(1, 2), level="speech_rms").fingerprint,
        SpeechEncoder(copy, layers=(1, 2), trim=True).fingerprint,
    ]
    weights = load_file(copy / "model.safetensors")
    weights["encoder.conv1.bias"][0] += 1e-3
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    others.append(SpeechEncoder(copy, layers=(1, 2)).fingerprint)
    configure(copy, num_mel_bins=80, activation_function="relu")
    others.append(SpeechEncoder(copy, layers=(1, 2)).fingerprint)
    assert len({plain, *others}) == 7


# --- where an encoder is ---


def test_an_encoder_is_found_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "weights/tiny", "weights/base-encoder", "openai/small", "weights/small"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    weights = tmp_path / "weights"
    assert find_encoder("mine") == "mine"
    assert find_encoder(tmp_path / "mine", weights) == str(tmp_path / "mine")
    assert find_encoder("openai/tiny", weights) == str(weights / "tiny")
    assert find_encoder("openai/base", weights) == str(weights / "base-encoder")
    assert find_encoder("base", str(weights)) == str(weights / "base-encoder")
    assert find_encoder("openai/small", weights) == "openai/small"  # what lies here goes first
    assert find_encoder("openai/large", weights) == "openai/large"  # for the hub
    assert find_encoder("openai/tiny") == "openai/tiny"


@pytest.mark.parametrize("name", ["nowhere", "./nowhere", "/no/where", "~/nowhere", "a/b/c"])
def test_what_can_only_be_a_folder_must_be_there(name: str, tmp_path: Path):
    with pytest.raises(EncoderError, match=f"no encoder at {name}: a folder with config.json"):
        find_encoder(name, tmp_path)


def test_an_encoder_is_loaded_from_the_folder_of_weights(tmp_path: Path, whisper_folder: Path):
    shutil.copytree(whisper_folder, tmp_path / "weights" / "tiny-encoder")
    found = SpeechEncoder("openai/tiny", layers=(1,), weights=tmp_path / "weights")
    assert found.name == "openai/tiny"
    expected = SpeechEncoder(whisper_folder, layers=(1,))
    assert found.fingerprint == expected.fingerprint
    np.testing.assert_array_equal(found(noise(1)), expected(noise(1)))


@pytest.mark.parametrize("download", [False, True])
def test_the_hub_is_asked_only_if_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, download: bool
):
    told: list[bool] = []

    def no_network(source: str, *, local_files_only: bool, **_: Any) -> None:
        told.append(local_files_only)
        raise OSError("no network here")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", no_network)
    message = "no network here" if download else "nothing is fetched unasked: give its folder"
    with pytest.raises(EncoderError, match=message):
        SpeechEncoder("openai/whisper-none", download=download)
    assert told == [not download]


def test_weights_of_a_hub_name_are_not_asked_for_either(
    monkeypatch: pytest.MonkeyPatch, whisper_folder: Path
):
    told: list[bool] = []
    load = WhisperModel.from_pretrained

    def noted(source: str, *, local_files_only: bool, **options: Any) -> Any:
        told.append(local_files_only)
        return load(source, local_files_only=local_files_only, **options)

    monkeypatch.setattr(WhisperModel, "from_pretrained", noted)
    for download in (False, True):
        SpeechEncoder(whisper_folder, layers=(1,), download=download)
    assert told == [True, False]


# --- export ---


def assert_graph_equals(encoder: SpeechEncoder) -> bytes:
    graph = encoder_graph(encoder)
    check_graph(graph)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for seconds in (0.1, 0.987, 3.2):
        for batch in (1, 2):
            given = np.stack([encoder.front_end(noise(seconds, seed)) for seed in range(batch)])
            with torch.inference_mode():
                expected = encoder.network(torch.from_numpy(given)).numpy()
            (vector,) = session.run(None, {"input": given})
            assert vector.shape == expected.shape
            assert vector.shape[1] == encoder.dimensions or encoder.width
            np.testing.assert_allclose(vector, expected, atol=1e-4)
    return graph


def test_whispers_graph_equals_torch(whisper_folder: Path):
    assert_graph_equals(SpeechEncoder(whisper_folder, layers=(1, 2)))


def test_a_graph_of_frames_equals_torch(whisper_folder: Path):
    encoder = SpeechEncoder(whisper_folder, layers=(1, 2), frames=True)
    series = GraphEncoder(assert_graph_equals(encoder), encoder)(noise(1.3))
    np.testing.assert_allclose(series, encoder(noise(1.3)), atol=5e-3)
    assert series.dtype == np.float16


@pytest.mark.slow
@pytest.mark.parametrize("family", ["wav2vec2 large", "wavlm"])
def test_waveform_graphs_equal_torch(family: str, waveform_folder: Callable[[str], Path]):
    """Each norm once; in transformers HuBERT's layers are copies of those of wav2vec 2.0."""
    assert_graph_equals(SpeechEncoder(waveform_folder(family), layers=(1,)))
