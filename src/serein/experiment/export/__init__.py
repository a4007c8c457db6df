"""Any estimator and encoder as ONNX, int8 and parity."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

OPSET = 20
OPSETS = {"": OPSET, "ai.onnx.ml": 3}
HEAD = "head"  # nodes whose name begins so stay float32: they are small and decide


@contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters' chatter about their own insides from the user."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def first_line(error: BaseException) -> str:
    """Take the part of another library's error that is fit for a message of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
