"""Tables of TOML against dataclasses and functions: what passes, and what a message says."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from serein.errors import RecipeError
from serein.experiment.toml_sections import arguments, plain, section, value_of


def model(
    kernel: str = "rbf",
    *,
    C: float = 1.0,
    trees: int = 10,
    balanced: bool = False,
    depth: int | None = None,
    channels: tuple[int, ...] = (1, 2),
    random_state: int | None = None,
    **more: Any,
) -> None:
    """Stand in for what builds a model; it has a default of every kind."""


class Widget:
    def __init__(self, width: int | None = None, *, size: int = 3) -> None:
        self.width = width
        self.size = size


def checked(**table: Any) -> dict[str, Any]:
    return arguments(model, table, "m.toml [model]", without=("random_state",))


# --- arguments ---


def test_values_of_the_right_kind_pass():
    table = {"kernel": "poly", "C": 0.5, "trees": 3, "balanced": True, "depth": 4}
    assert checked(**table) == table
    assert checked() == {}


def test_a_whole_number_is_a_number():
    found = checked(C=2)
    assert found == {"C": 2.0}
    assert type(found["C"]) is float


def test_lists_become_tuples_at_any_depth():
    assert checked(channels=[3, 4]) == {"channels": (3, 4)}
    assert checked(depth=[[1], [2, 3]]) == {"depth": ((1,), (2, 3))}


@pytest.mark.parametrize("value", [0.25, 3, "auto"])
def test_where_the_default_is_a_name_a_number_may_stand(value: Any):
    assert checked(kernel=value) == {"kernel": value}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"C": "much"}, "C is 'much'; allowed: float"),
        ({"C": True}, "C is True; allowed: float"),
        ({"trees": 2.5}, "trees is 2.5; allowed: int"),
        ({"trees": True}, "trees is True; allowed: int"),
        ({"trees": [1]}, r"trees is \[1\]; allowed: int"),
        ({"balanced": 1}, "balanced is 1; allowed: bool"),
        ({"balanced": "yes"}, "balanced is 'yes'; allowed: bool"),
        ({"kernel": True}, "kernel is True; allowed: str"),
        ({"kernel": ["rbf"]}, r"kernel is \['rbf'\]; allowed: str"),
        ({"channels": 3}, "channels is 3; allowed: a list"),
        ({"channels": "3"}, "channels is '3'; allowed: a list"),
    ],
)
def test_a_value_of_another_kind_is_refused(table: dict[str, Any], message: str):
    with pytest.raises(RecipeError, match=rf"m\.toml \[model\]: {message}"):
        checked(**table)


@pytest.mark.parametrize(
    ("key", "near"), [("tree", "trees"), ("kernl", "kernel"), ("c", "C"), ("dept", "depth")]
)
def test_an_unknown_key_names_the_near_ones(key: str, near: str):
    with pytest.raises(RecipeError, match=rf"\[model\]: unknown key '{key}'; known: {near}, "):
        checked(**{key: 1})


@pytest.mark.parametrize("key", ["random_state", "more"])
def test_what_is_not_for_a_recipe_is_unknown(key: str):
    with pytest.raises(RecipeError, match=f"unknown key '{key}'") as caught:
        checked(**{key: 1})
    assert key not in str(caught.value).split("known:")[-1]


def test_classes_are_checked_too():
    assert arguments(Widget, {"size": 5}, "w", without=("width",)) == {"size": 5}
    with pytest.raises(RecipeError, match=r"unknown key 'self'; known: size$"):
        arguments(Widget, {"self": 5}, "w", without=("width",))


def test_what_passes_can_be_given_to_the_function():
    made = Widget(**arguments(Widget, {"size": 5, "width": 2}, "w", without=()))
    assert (made.size, made.width) == (5, 2)


# --- sections ---


@dataclass(frozen=True)
class Inner:
    name: str
    sizes: tuple[int, ...] = ()
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outer:
    inner: Inner
    rate: float = 1.0
    limit: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def test_a_table_becomes_a_section():
    table = {
        "inner": {"name": "a", "sizes": [1, 2], "parts": {"x": 1, "y": 2.5}},
        "rate": 2,
        "limit": 3,
        "settings": {"span": [1, [2]], "name": "free"},
    }
    found = section(Outer, table, "r.toml")
    assert found == Outer(
        Inner("a", (1, 2), {"x": 1.0, "y": 2.5}), 2.0, 3, {"span": (1, (2,)), "name": "free"}
    )
    assert type(found.rate) is float
    assert section(Outer, {"inner": {"name": "a"}}, "r") == Outer(Inner("a"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "r.toml: inner is missing"),
        ({"inner": {}}, "r.toml: inner: name is missing"),
        ({"inner": 3}, r"r.toml: inner is 3; allowed: a table \[inner\]"),
        ({"inner": {"name": 3}}, "inner: name is 3; allowed: str"),
        ({"inner": {"name": "a", "size": [1]}}, "inner: unknown key 'size'; known: sizes, "),
        ({"inner": {"name": "a", "sizes": 1}}, r"sizes is 1; allowed: a list, as in \[1\]"),
        ({"inner": {"name": "a", "sizes": [1.5]}}, "sizes is 1.5; allowed: int"),
        ({"inner": {"name": "a", "parts": {"x": "y"}}}, "parts is 'y'; allowed: float"),
        ({"inner": {"name": "a"}, "limit": "no"}, "limit is 'no'; allowed: int"),
        ({"inner": {"name": "a"}, "rat": 1}, "r.toml: unknown key 'rat'; known: rate, "),
    ],
)
def test_a_table_that_is_no_section_is_refused(table: dict[str, Any], message: str):
    with pytest.raises(RecipeError, match=message):
        section(Outer, table, "r.toml")


def test_value_of_a_hint():
    assert value_of(tuple[float, ...], [1, 2.5], "x") == (1.0, 2.5)
    assert value_of(str | None, "a", "x") == "a"
    assert value_of(Any, [1, [2]], "x") == (1, (2,))


def test_plain_keeps_what_is_no_list():
    assert plain({"a": [1, {"b": [2]}], "c": "d"}) == {"a": (1, {"b": (2,)}), "c": "d"}
