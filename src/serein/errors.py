"""The errors of serein: all that it raises on purpose.

::

    SereinError                 base of all
    ├── SettingError            a parameter or option with a value that is not allowed
    ├── AudioError              a recording that cannot be read, or is outside the limits
    │   ├── TooLongError        one that lasts longer than is read
    │   ├── FormatError         one of a format or encoding that is not read
    │   └── VideoError          the same for a video, a picture or a table of a face
    ├── TextError               a text that cannot be used, or is outside the limits
    ├── CorpusError             an invalid folder or table of a corpus
    ├── RecipeError             a recipe file with a wrong key or value
    ├── ProtocolError           an evaluation protocol that leaks or does not fit the data
    ├── EncoderError            a pre-trained encoder that cannot be found or used
    ├── BundleError             a model bundle that is damaged, of an unknown format or unsafe
    ├── ServiceError            a service that cannot start with its settings
    ├── ResultsError            a table of results that cannot be written or resumed
    ├── EngineError             a cluster or device that is missing or cannot be used
    └── MissingExtraError       an optional part that is not installed

A message says what was given, what is allowed and what to do; `SereinError.to_try` is a command
to type next, which the command line prints below it.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import SequenceMatcher
from functools import wraps
from math import inf
from pathlib import Path
from typing import Any, TypeVar

Call = TypeVar("Call", bound=Callable[..., Any])

RENAMED = {
    "penalty": "alpha",
    "halve_after": "pool_after",
    "copies": "per_clip",
    "normalise": "utterance_normalisation",
}
"""Setting or key of a recipe of serein 0.1 -> what it is called now."""


class SereinError(Exception):
    """Base of all errors that serein raises on purpose.

    Parameters
    ----------
    *message : object
        What was given, what is allowed and what to do.
    to_try : str, optional
        A command to type next; that of the class if not given. COMMAND stands for the one that
        failed.
    """

    to_try = "serein COMMAND --help"

    def __init__(self, *message: object, to_try: str | None = None) -> None:
        super().__init__(*message)
        if to_try is not None:
            self.to_try = to_try


class SettingError(SereinError, ValueError):
    """A parameter, setting or option with a value that is not allowed."""


class AudioError(SereinError, ValueError):
    """A recording that cannot be read, or is outside the limits."""

    to_try = "ffmpeg -i RECORDING -ac 1 -ar 16000 recording.wav"


LONGER = ", or raise max_s in the limits (--max-seconds of predict)"
"""The end of what is said of a recording that is too long."""


def in_pieces(max_s: float) -> str:
    """Return the command that cuts a recording into pieces, none longer than is read."""
    return f"ffmpeg -i RECORDING -f segment -segment_time {min(600, max_s):g} part-%03d.wav"


class TooLongError(AudioError):
    """A recording that lasts longer than is read."""

    to_try = in_pieces(inf)


class FormatError(AudioError):
    """A recording of a format or encoding that is not read."""


class VideoError(AudioError):
    """A video, a picture or a table of a face that cannot be read, or is outside the limits."""

    to_try = "ffmpeg -i VIDEO video.mp4"


class TextError(SereinError, ValueError):
    """A text that cannot be used, or is outside the limits."""


class BadFilesError(AudioError):
    """Recordings of which features were to be computed, and cannot be.

    Parameters
    ----------
    files : mapping of Path to str
        Each, and why.
    total : int
        How many recordings there were.
    """

    to_try = "serein COMMAND … --skip-bad"

    def __init__(self, files: Mapping[Path, str], total: int) -> None:
        self.files = dict(files)
        told = "; ".join([*self.files.values()][:10])
        more = f"; and {len(files) - 10} more" if len(files) > 10 else ""
        many = f"{len(files)} of {total} recordings cannot be used: {told}{more}"
        super().__init__(many if len(files) > 1 else told)


class CorpusError(SereinError, ValueError):
    """An invalid folder or table of a corpus."""

    to_try = "serein corpus NAME FOLDER"


class MissingFilesError(CorpusError, BadFilesError):
    """Recordings of a table that are not there.

    Parameters
    ----------
    files : mapping of Path to str
        Where each was looked for first, and why it cannot be used.
    said, to_try : str
        The message, and a command to type next.
    """

    def __init__(self, files: Mapping[Path, str], said: str, to_try: str) -> None:
        SereinError.__init__(self, said, to_try=to_try)
        self.files = dict(files)


class RecipeError(SereinError, ValueError):
    """A recipe with a wrong key or value."""


class ProtocolError(SereinError, ValueError):
    """An evaluation protocol that leaks, or does not fit the data."""


class EncoderError(SereinError, ValueError):
    """A pre-trained encoder that cannot be found or used."""

    to_try = "serein COMMAND RECIPE --download"


class BundleError(SereinError, ValueError):
    """A model bundle that is damaged, of an unknown format, or unsafe."""

    to_try = "serein models"


class ServiceError(SereinError, ValueError):
    """A service that cannot start with its settings."""


class ResultsError(SereinError, ValueError):
    """A table of results that cannot be written or resumed."""


class EngineError(SereinError, ValueError):
    """A cluster or device that is missing or cannot be used."""

    to_try = "serein doctor"


class MissingExtraError(SereinError, ImportError):
    """An optional part of serein is not installed.

    Parameters
    ----------
    needed : str
        What the missing part was needed for.
    extra : str
        Name of the extra that brings it.
    """

    def __init__(self, needed: str, extra: str) -> None:
        install = f"pip install 'serein[{extra}]'"
        super().__init__(f"{needed} needs the extra [{extra}]: {install}", to_try=install)


def unknown_name(kind: str, name: object, allowed: Iterable[str]) -> str:
    """Say that a name is unknown, and list the allowed ones, nearest first; or say its new name."""
    allowed = list(allowed)
    new = RENAMED.get(str(name))
    if new in allowed:
        return f"{name} is now called {new}"
    text = str(name).lower()
    near_first = sorted(
        allowed, key=lambda known: (-SequenceMatcher(None, text, known.lower()).ratio(), known)
    )
    return f"unknown {kind} {name!r}; known: {', '.join(near_first) or 'none'}"


def counted(number: int, word: str) -> str:
    """Write how many there are, as in ``1 speaker`` and ``2 speakers``."""
    return f"{number} {word}{'s' * (number != 1)}"


def check_name(kind: str, name: object, allowed: Collection[str]) -> None:
    """Raise `SettingError` if a name is not one of those allowed."""
    if name not in allowed:
        raise SettingError(unknown_name(kind, name, allowed))


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise `SettingError` if a number is not within a range, its ends included."""
    if isinstance(value, str) or not low <= value <= high:
        span = f"{low:g} to {high:g}" if high < inf else f"{low:g} or more"
        raise SettingError(f"{name} is {value!r}; allowed: {span}")


def renamed(**new_names: str) -> Callable[[Call], Call]:
    """Decorate a class or function whose parameters were renamed, as in ``@renamed(old="new")``.

    A call with the old name raises a `SettingError` that says the new one.
    """

    def decorate(thing: Any) -> Any:
        call = vars(thing)["__init__"] if isinstance(thing, type) else thing

        @wraps(call)
        def checked(*args: Any, **options: Any) -> Any:
            for old in new_names.keys() & options.keys():
                raise SettingError(f"{old} is now called {new_names[old]}")
            return call(*args, **options)

        if isinstance(thing, type):
            setattr(thing, "__init__", checked)  # noqa: B010  # mypy knows no other way
            return thing
        return checked

    return decorate


def cannot_write(target: Path, cause: OSError) -> ResultsError:
    """Say that a file or folder cannot be written, and where to look for the reason."""
    return ResultsError(f"cannot write {target}: {reason_of(cause)}", to_try=look_at(target, cause))


def look_at(place: Path, cause: OSError) -> str:
    """Return the command that shows why a place cannot be written: the room left, or the rights."""
    full = cause.errno in (errno.ENOSPC, errno.EDQUOT)
    whole = place.absolute()
    there = next(one for one in (whole, *whole.parents) if os.path.lexists(one))
    return f"{'df -h' if full else 'ls -ld'} {shlex.quote(str(there))}"


def reason_of(cause: BaseException) -> str:
    """Tell what a library said, on one line, without numbers of errors and addresses."""
    if isinstance(cause, UnicodeDecodeError):
        return f"not UTF-8 (byte {cause.start}): save it as UTF-8"
    said = getattr(cause, "error_string", None) or getattr(cause, "strerror", None) or cause
    return " ".join(str(said).split()).removeprefix("Error : ").rstrip(".:")
