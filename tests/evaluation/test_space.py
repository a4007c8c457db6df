from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pytest

from serein.evaluation.search.space import Choice, Span, grid, read_space, read_values

TOML = """
C = {low = 0.01, high = 100.0, log = true, steps = 3}
k = {low = 1, high = 9}
share = {low = 0, high = 1.0}
kernel = ["rbf", "linear"]
hidden = [[64, 32], [128], []]
cap = [10, false, "none"]
"""


def test_toml_and_python_say_the_same():
    space = read_space(tomllib.loads(TOML))
    assert space == {
        "C": Span(0.01, 100.0, True, 3),
        "k": Span(1, 9),
        "share": Span(0.0, 1.0),
        "kernel": Choice(("rbf", "linear")),
        "hidden": Choice(((64, 32), (128,), ())),
        "cap": Choice((10, False, "none")),
    }
    assert read_space(space) == space
    assert read_space({"hidden": [(64, 32), None]}) == {"hidden": Choice(((64, 32), None))}
    assert read_space({"k": {"low": np.int64(1), "high": np.int64(9)}}) == {"k": Span(1, 9)}


def test_only_two_whole_ends_make_whole_numbers():
    assert Span(1, 9).whole
    assert not Span(0.0, 1.0).whole
    assert read_space({"k": {"low": 1, "high": 9.0}})["k"] == Span(1.0, 9.0)
    assert isinstance(read_space({"k": {"low": 1, "high": 9.0}})["k"].low, float)


@pytest.mark.parametrize(
    ("span", "points"),
    [
        (Span(0.01, 100.0, True, 5), [0.01, 0.1, 1.0, 10.0, 100.0]),
        (Span(0.0, 1.0), [0.0, 0.25, 0.5, 0.75, 1.0]),
        (Span(1, 9), [1, 3, 5, 7, 9]),
        (Span(1, 3), [1, 2, 3]),
        (Span(1, 1000, True, 4), [1, 10, 100, 1000]),
        (Span(2, 5, False, 2), [2, 5]),
        (Choice((True, "x", (1, 2))), [True, "x", "[1, 2]"]),
    ],
)
def test_grid_points(span: Span | Choice, points: list[Any]):
    assert span.points() == pytest.approx(points) if isinstance(span, Span) else points
    assert [type(point) for point in span.points()] == [type(point) for point in points]


def test_grid_has_each_point_once_in_an_order_of_its_seed():
    space = read_space({"a": {"low": 0, "high": 4}, "b": ["x", "y"], "c": [[1], [2], [3]]})
    points = grid(space, random_state=0)
    assert len(points) == 30
    assert len({tuple(point.values()) for point in points}) == 30
    assert points == grid(space, random_state=0) != grid(space, random_state=1)
    assert len({point["b"] for point in points[:8]}) == 2  # not in the order of a product


def test_labels_stand_for_values():
    choice = Choice(("rbf", (64, 32), (64.0, "a"), None))
    for option in choice.options:
        assert choice.value(choice.label(option)) == option
    assert choice.label([64, 32]) == "[64, 32]"
    assert Span(1, 9).label(3.0) == 3
    assert isinstance(Span(1, 9).label(3.0), int)
    assert isinstance(Span(1.0, 9.0).label(3), float)


def test_values_are_brought_into_the_order_of_the_space():
    space = read_space({"a": {"low": 0, "high": 4}, "b": [[1, 2], "x"]})
    assert list(read_values(space, {"b": [1, 2], "a": 3}, "start")) == ["a", "b"]
    assert read_values(space, {"b": [1, 2]}, "start") == {"b": "[1, 2]"}
    assert read_values(space, {}, "start") == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"aa": 1}, "start: unknown parameter 'aa'; known: a, b"),
        ({"a": 5}, "start: a is 5; allowed: whole numbers 0 to 4"),
        ({"a": 0.5}, "start: a is 0.5; allowed: whole numbers 0 to 4"),
        ({"a": "scale"}, "start: a is 'scale'; allowed"),
        ({"a": True}, "start: a is True; allowed"),
        ({"b": "y"}, "start: b is 'y'; allowed: 'x', 'z'"),
    ],
)
def test_values_that_are_refused(values: dict[str, Any], message: str):
    space = read_space({"a": {"low": 0, "high": 4}, "b": ["x", "z"]})
    with pytest.raises(ValueError, match=message):
        read_values(space, values, "start")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 1, "hihg": 2}, "C: unknown key 'hihg'; known: high, "),
        ({"low": 1}, "C has no high; a span needs both"),
        ({"low": 2, "high": 2}, "low is 2 and high is 2; low must be the smaller"),
        ({"low": 0, "high": 2, "log": True}, "low is 0; with log it must be above 0"),
        ({"low": -1.0, "high": 2, "log": True}, "with log it must be above 0"),
        ({"low": 1, "high": 2, "log": "yes"}, "log is 'yes'; allowed: true or false"),
        ({"low": 1, "high": 2, "steps": 1}, "steps is 1; need a whole number from 2"),
        ({"low": 1, "high": 2, "steps": 2.5}, "steps is 2.5"),
        ({"low": True, "high": 2}, "low is True; need a finite number"),
        ({"low": 0.0, "high": float("inf")}, "high is inf; need a finite number"),
        ({"low": "1", "high": 2}, "low is '1'; need a finite number"),
        ([], "C has no choices; give at least one"),
        (["a", "b", "a"], "C has 'a' twice; each choice once"),
        ([1, 1.0], "C has 1.0 twice"),
        ([[1, 2], (1, 2)], r"C has \(1, 2\) twice"),
        ([float("nan")], "nan is not plain data"),
        ([{"a": 1}], "is not plain data; choices are strings"),
        ([[object()]], "is not plain data"),
        ("rbf", "C is 'rbf'; allowed"),
        (3.0, "C is 3.0; allowed"),
    ],
)
def test_spaces_that_are_refused(given: Any, message: str):
    with pytest.raises(ValueError, match=message):
        read_space({"C": given})


@pytest.mark.parametrize("given", [{}, [], None])
def test_an_empty_space_is_refused(given: Any):
    with pytest.raises(ValueError, match=r"the search space is .*; give at least one name"):
        read_space(given)


def test_a_grid_too_large_is_refused():
    space = read_space({f"p{place}": {"low": 0.0, "high": 1.0} for place in range(8)})
    with pytest.raises(ValueError, match="the grid has 390625 points; at most 100000: give fewer"):
        grid(space, random_state=0)
