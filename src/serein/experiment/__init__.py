"""Third floor: the training story, from a recipe to a bundle with its scores."""

from importlib.util import find_spec

from serein.errors import MissingExtraError

if not all(map(find_spec, ("onnx", "sklearn", "torch", "transformers"))):
    raise MissingExtraError("training", "train")
