"""States on disk: what is read equals what was written, and a damaged file is refused."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from serein.training.checkpoint import fingerprint, read_state, write_state
from serein.training.plan import Training

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
)
STATES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)  # the disk decides the time
@given(state=STATES)
def test_what_is_read_is_what_was_written(tmp_path_factory: Any, state: Any):
    path = tmp_path_factory.mktemp("states") / "state"
    write_state(path, state)
    assert repr(read_state(path)) == repr(state)


TENSORS = [
    torch.tensor(1.5),
    torch.arange(6, dtype=torch.uint8),
    torch.randn(3, 4).T,
    torch.zeros(0, 2),
    torch.tensor([math.nan, math.inf, -0.0]),
    torch.randn(2, dtype=torch.float64),
    torch.tensor([1.0], dtype=torch.bfloat16),
]


def test_tensors_keep_bits_type_and_shape(tmp_path: Path):
    write_state(tmp_path / "state", {"deep": [(tensor,) for tensor in TENSORS]})
    for tensor, (found,) in zip(TENSORS, read_state(tmp_path / "state")["deep"], strict=True):
        assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(
            found.flatten().view(torch.uint8), tensor.contiguous().flatten().view(torch.uint8)
        )


def test_an_optimiser_goes_through(tmp_path: Path):
    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    write_state(tmp_path / "state", optimiser.state_dict())
    found = read_state(tmp_path / "state")
    assert repr(found) == repr(optimiser.state_dict())
    assert isinstance(found["param_groups"][0]["betas"], tuple)


def test_one_tensor_in_two_places_is_no_trouble(tmp_path: Path):
    tensor = torch.arange(4.0)
    write_state(tmp_path / "state", {"whole": tensor, "part": tensor[:2], "again": tensor})
    found = read_state(tmp_path / "state")
    assert [found[name].tolist() for name in ("part", "again")] == [[0, 1], [0, 1, 2, 3]]


def test_writing_replaces_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "new" / "state"
    for number in range(3):
        write_state(path, number)
    assert read_state(path) == 2
    assert [one.name for one in path.parent.iterdir()] == ["state"]


def test_what_cannot_be_held_is_named_and_the_old_state_stays(tmp_path: Path):
    path = tmp_path / "state"
    write_state(path, 1)
    with pytest.raises(TypeError, match="cannot hold set"):
        write_state(path, {"a": {1, 2}})
    assert read_state(path) == 1


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    save_file({"0": torch.zeros(1)}, path)


def broken_layout(path: Path) -> None:
    save_file({"0": torch.zeros(1)}, path, {"state": "{"})


def odd_layout(path: Path) -> None:
    save_file({"0": torch.zeros(1)}, path, {"state": json.dumps({"a": 1, "b": 2})})


def lost_tensor(path: Path) -> None:
    save_file({"0": torch.zeros(1)}, path, {"state": json.dumps({"tensor": "7"})})


@pytest.mark.parametrize("damage", [cut, emptied, foreign, broken_layout, odd_layout, lost_tensor])
def test_a_damaged_file_is_named_and_not_believed(tmp_path: Path, damage: Any):
    path = tmp_path / "state.safetensors"
    write_state(path, {"a": torch.ones(3)})
    damage(path)
    with pytest.warns(UserWarning, match=r"state\.safetensors is damaged .*: training starts anew"):
        assert read_state(path) is None


def test_a_state_is_for_its_user_alone_and_others_are_not_believed(tmp_path: Path):
    path = tmp_path / "new" / "state"
    assert read_state(path) is None
    write_state(path, 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(path)
    assert read_state(tmp_path / "link") is None
    path.chmod(0o666)
    assert read_state(path) is None


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path):
    tmp_path.chmod(0o755)
    write_state(tmp_path / "state", 1)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


# --- fingerprints ---


def test_a_fingerprint_tells_everything_apart():
    X, y = np.eye(2), np.array(["a", "b"])
    settings = [Training(), 0, None]
    prints = [
        fingerprint(settings, [X, y, None]),
        fingerprint([Training(epochs=31), 0, None], [X, y, None]),
        fingerprint([Training(), 1, None], [X, y, None]),
        fingerprint(settings, [X + 1e-12, y, None]),
        fingerprint(settings, [X.reshape(1, 4), y, None]),
        fingerprint(settings, [X.astype(np.float32), y, None]),
        fingerprint(settings, [X, y[::-1], None]),
        fingerprint(settings, [X, y, y]),
        fingerprint(settings, [X, None, y]),
    ]
    assert len(set(prints)) == len(prints)


def test_a_fingerprint_does_not_depend_on_where_things_lie():
    words = np.array(["joy", "fear"], dtype=object)
    copy = np.array(["".join(list(word)) for word in words], dtype=object)
    wide = np.zeros((4, 4))
    assert fingerprint([Training()], [words, wide[:, ::2]]) == fingerprint(
        [Training()], [copy, np.zeros((4, 2))]
    )
