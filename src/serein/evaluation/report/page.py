"""The templates of pages: every text in them is escaped, nothing is fetched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from serein.errors import MissingExtraError

if TYPE_CHECKING:
    from jinja2 import Environment

NONE = "–"


def fill(template: str, **values: Any) -> str:
    """Fill in a template."""
    filled = environment().get_template(template)
    from jinja2 import UndefinedError

    try:
        return filled.render(**values)
    except UndefinedError as error:
        raise LookupError(f"{template}: {error}") from error


def environment() -> Environment:
    """Make the environment of the templates."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("the report", "sound") from error
    made = Environment(
        loader=PackageLoader("serein.evaluation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "score": score,
        "signed": signed,
        "percent": percent,
        "span": span,
        "p_value": p_value,
        "position": position,
        "sentence": sentence,
    }
    return made


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
