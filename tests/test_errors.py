"""Errors: what a message says, and that old names of parameters name the new ones."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator, clone

from serein.errors import (
    SettingError,
    cannot_write,
    check_name,
    check_range,
    reason_of,
    renamed,
)


@renamed(penalty="alpha")
@dataclass(frozen=True)
class Settings:
    alpha: float = 1.0


@renamed(penalty="alpha")
class Ridge(BaseEstimator):
    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha


@renamed(words="text")
def count(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize("call", [Settings, Ridge])
def test_a_renamed_parameter_of_a_class(call: type) -> None:
    assert call(alpha=2.0).alpha == call(2.0).alpha == 2.0
    with pytest.raises(SettingError, match="penalty is now called alpha"):
        call(penalty=2.0)


def test_an_estimator_is_still_cloned() -> None:
    assert clone(Ridge(3.0)).get_params() == {"alpha": 3.0}


def test_a_renamed_parameter_of_a_function() -> None:
    assert count("two words") == count(text="two words") == 2
    with pytest.raises(SettingError, match="words is now called text"):
        count(words="two words")


def test_a_name_and_a_range_are_checked() -> None:
    check_name("colour", "red", {"red": 1})
    check_range("share", 1, 0, 1)
    with pytest.raises(ValueError, match="unknown colour 'rad'; known: red, blue"):
        check_name("colour", "rad", ("blue", "red"))
    with pytest.raises(SettingError, match="penalty is now called alpha"):
        check_name("setting", "penalty", ("alpha", "tol"))
    with pytest.raises(SettingError, match="unknown setting 'penalty'; known: tol"):
        check_name("setting", "penalty", ("tol",))
    with pytest.raises(ValueError, match=r"share is 1\.5; allowed: 0 to 1"):
        check_range("share", 1.5, 0, 1)
    with pytest.raises(SettingError, match="share is nan"):
        check_range("share", float("nan"), 0, 1)


def test_what_a_library_said() -> None:
    assert reason_of(ValueError("no  such\n thing.")) == "no such thing"
    assert reason_of(OSError(2, "No such file", "a.wav")) == "No such file"
    with pytest.raises(UnicodeDecodeError) as found:
        b"name\xff".decode()
    assert reason_of(found.value) == "not UTF-8 (byte 4): save it as UTF-8"


def test_what_to_type_where_nothing_can_be_written() -> None:
    place = Path(__file__).parent / "a folder" / "x.csv"
    full = cannot_write(place, OSError(errno.ENOSPC, "No space left on device"))
    assert str(full) == f"cannot write {place}: No space left on device"
    assert full.to_try == f"df -h {Path(__file__).parent}"
    closed = cannot_write(place, PermissionError(errno.EACCES, "Permission denied"))
    assert closed.to_try == f"ls -ld {Path(__file__).parent}"
    disk = cannot_write(Path(__file__).parent, OSError(errno.ENOSPC, "No space left on device"))
    assert disk.to_try == f"df -h {Path(__file__).parent}"
