"""Third floor: the training story, from a recipe to a bundle with its scores."""

from importlib.util import find_spec

from serein.errors import MissingExtraError

NEEDED = (
    *("hmmlearn", "imblearn", "onnx", "optuna", "skl2onnx", "sklearn", "skorch", "tomli_w"),
    *("torch", "transformers"),
)
if not all(map(find_spec, NEEDED)):
    raise MissingExtraError("training", "train")
