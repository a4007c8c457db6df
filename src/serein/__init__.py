"""serein: speech emotion recognition that people can trust.

A recording goes in; the emotion that a listener would hear in it comes out.

>>> import serein
>>> recognizer = serein.load()
>>> recognizer.labels
('anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise')

The packages, from the ground up: `audio` and `corpora` read sound and tables; `features` turns
sound into numbers; `training` and `models` turn numbers into labels; `evaluation` measures how
well; `inference` predicts; `experiment` runs recipes; `analysis` explains and tests a model; `bulk`
predicts very many recordings; `serve` is the service; `cli` is the command line.
"""

from __future__ import annotations

import os
from importlib import import_module

from serein import moved as moved

TYPE_CHECKING = False  # what `typing` has, whose import takes as long as all else here
if TYPE_CHECKING:
    from typing import Any

    from serein.audio.read import read_audio
    from serein.corpora import CORPORA, Corpus, Utterance
    from serein.defaults import Limits
    from serein.emotions import EMOTIONS
    from serein.errors import SereinError
    from serein.features.extractor import FeatureExtractor
    from serein.inference.load import bundled_models, load
    from serein.inference.multimodal import MultimodalRecognizer
    from serein.inference.prediction import Prediction, Segment
    from serein.inference.recognizer import Recognizer
    from serein.inference.stream import Stream

__version__ = "0.2.0"

NO_TELEMETRY = {  # libraries that would tell their makers; read as they are imported
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}
for _variable, _off in NO_TELEMETRY.items():
    os.environ.setdefault(_variable, _off)

_HOMES = {
    "CORPORA": "serein.corpora",
    "Corpus": "serein.corpora",
    "EMOTIONS": "serein.emotions",
    "FeatureExtractor": "serein.features.extractor",
    "Limits": "serein.defaults",
    "MultimodalRecognizer": "serein.inference.multimodal",
    "Prediction": "serein.inference.prediction",
    "Recognizer": "serein.inference.recognizer",
    "Segment": "serein.inference.prediction",
    "SereinError": "serein.errors",
    "Stream": "serein.inference.stream",
    "Utterance": "serein.corpora",
    "bundled_models": "serein.inference.load",
    "load": "serein.inference.load",
    "read_audio": "serein.audio.read",
}

__all__ = [
    "CORPORA",
    "EMOTIONS",
    "Corpus",
    "FeatureExtractor",
    "Limits",
    "MultimodalRecognizer",
    "Prediction",
    "Recognizer",
    "Segment",
    "SereinError",
    "Stream",
    "Utterance",
    "bundled_models",
    "load",
    "read_audio",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import serein` stays light."""
    from serein.errors import MissingExtraError

    if name not in _HOMES:
        raise AttributeError(f"module 'serein' has no attribute {name!r}")
    try:
        value = getattr(import_module(_HOMES[name]), name)
    except MissingExtraError as error:
        value = _placeholder(name, error)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def _placeholder(name: str, error: Exception) -> type:
    """Make a class for a name whose extra is missing: any use of it raises the error.

    Star imports, `help` and `inspect.getmembers`, which ask for every name, so work without it.
    """

    def use(cls: type, *args: object, **options: object) -> Any:
        if args and str(args[0]).startswith("_"):  # `inspect` asks any class for such names
            raise AttributeError(args[0])
        raise error.with_traceback(None)

    kind = type("Placeholder", (type,), {"__call__": use, "__getattr__": use})
    return kind(name, (), {"__doc__": f"{error}.", "__module__": __name__})
