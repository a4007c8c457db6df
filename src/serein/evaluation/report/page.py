"""The templates of pages: every text in them is escaped, nothing is fetched."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from serein.emotions import emotion_name
from serein.errors import MissingExtraError
from serein.language import translated

NONE = "–"


def in_language(lang: str) -> Callable[[str], str]:
    """Return what puts a text, or the name of an emotion, into a language."""
    return lambda text: emotion_name(translated(text, lang), lang)


def fill(template: str, lang: str = "en", **values: Any) -> str:
    """Fill in a template; a value that is missing raises LookupError."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError
    except ImportError as error:
        raise MissingExtraError("the report", "sound") from error
    environment = Environment(
        loader=PackageLoader("serein.evaluation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (score, signed, percent, span, p_value, position, sentence)
    environment.filters |= {one.__name__: one for one in filters}
    environment.globals |= {"_": in_language(lang), "lang": lang}
    try:
        return environment.get_template(template).render(**values)
    except UndefinedError as error:
        raise LookupError(f"{template}: {error}") from error


def score(value: float | None, digits: int = 3) -> str:
    """Write a number, or a dash if there is none."""
    return NONE if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """Write a number with its sign."""
    return NONE if value is None else f"{value:+.{digits}f}".replace("-", "−")


def percent(value: float | None, digits: int = 0) -> str:
    """Write a share as per cent."""
    return NONE if value is None else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def span(interval: Sequence[float] | None, *, sign: bool = False, digits: int = 3) -> str:
    """Write an interval from one end to the other."""
    if interval is None or any(math.isnan(end) for end in interval):
        return NONE
    write = signed if sign else score
    low, high = (write(end, digits) for end in interval)
    return f"{low} to {high}" if sign or "−" in low else f"{low}–{high}"


def p_value(value: float | None) -> str:
    """Write a p-value; below 0.001 only that it is."""
    if value is None:
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def position(value: float, low: float = 0.0, high: float = 1.0) -> str:
    """Give a value's position on a strip from `low` to `high`, as CSS has it."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return f"{100 * share:.1f}%"


def sentence(parts: Sequence[str]) -> str:
    """Join notes to one sentence."""
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
