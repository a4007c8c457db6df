"""Labels of one's own: what a recipe says of them is in predictions and in what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import serein
from made_bundles import OWN, own_bundle, pitched_bundle
from serein.emotions import OwnEmotion
from serein.errors import BundleError
from serein.inference.formats import FORMATS
from serein.inference.stream import Stream
from test_cli import run

HIGH = Path(__file__).parents[2] / "samples" / "espeak-english-fast-high.flac"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_bundle(tmp_path_factory.mktemp("own"))


def test_a_prediction_says_what_the_recipe_said(own: Path) -> None:
    found = serein.load(own).predict(HIGH, channels="each")
    assert found.own == {"frustrated": OwnEmotion(-0.5, 0.4, "沮丧")}
    parts = [found, *found.lanes, *found.timeline]
    for part in (one.to_dict() for one in parts):
        assert part["emotion_zh"] == {"frustrated": "沮丧", "xxx": "xxx"}[part["emotion"]]
        assert (part["valence"], part["arousal"]) == (-0.5, 0.4)  # the other label has no place
    assert found.emotion == "frustrated"
    assert "沮丧" in FORMATS["textgrid"].write(found, True).decode()


def test_a_stream_says_it_too(own: Path) -> None:
    sound, rate = serein.read_audio(HIGH), 16_000
    stream = Stream(serein.load(own), rate=rate)
    events = [event for event in [*stream.push(sound), *stream.end()] if event.emotion]
    assert {event.to_dict()["emotion_zh"] for event in events} == {"沮丧"}


def test_the_command_line_names_it_in_chinese(own: Path) -> None:
    assert "沮丧" in run("predict", HIGH, "--model", own, "--lang", "zh").stdout


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"frustrated": {"valence": -0.5}}, "a place together"),
        ({"frustrated": {"valence": "a", "arousal": "b"}}, "emotions: "),
        ({"frustrated": {"colour": "red"}}, "emotions: "),
        ({"anger": {"zh": "气"}}, "anger has its place"),
        (["frustrated"], "emotions: "),
        ({"frustrated": {"zh": "\x1b[31m"}}, "zh is "),
    ],
)
def test_wrong_descriptions_are_refused(said: Any, match: str, tmp_path: Path) -> None:
    place = pitched_bundle(tmp_path / "bad", OWN, emotions=said)
    with pytest.raises(BundleError, match=match):
        serein.load(place)
