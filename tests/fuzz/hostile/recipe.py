"""The recipe parser: a TOML file from somebody else."""

from __future__ import annotations

import tempfile
from pathlib import Path

RECIPES = Path(__file__).parents[3] / "recipes"
FULL = b"""\
name = "all of it"
[data]
corpora = ["emodb"]
folder = "corpora"
merge = { calm = "neutral" }
leave_out = ["disgust"]
[features]
sets = ["mfcc", "expert"]
functionals = ["mean", "p20"]
step = 4
utterance_normalisation = true
level = "speech_rms"
trim = false
[model]
name = "logistic"
[training]
epochs = 10
[balance]
method = "smote"
[augmentation]
per_clip = 1
chain = ["speed", "noise"]
ranges = { speed = { rate = [0.9, 1.1] } }
probability = { speed = 0.5 }
[protocol]
split = "speaker_k_fold"
folds = 5
seed = 1
[search]
method = "grid"
trials = 3
nested = false
[search.space]
"model.C" = [0.1, 1.0]
[bundle]
licence = "CC0"
window_s = 2.0
hop_s = 1.0
"""


class RecipeTarget:
    """`serein.experiment.recipe_file.read_recipe`, which checks all that can be checked."""

    def __init__(self) -> None:
        from serein.emotions import EMOTIONS
        from serein.errors import RecipeError
        from serein.experiment.recipe_file import read_recipe
        from serein.models.catalogue import MODELS

        self._read, self._error = read_recipe, RecipeError
        self._folder = tempfile.TemporaryDirectory(prefix="serein-fuzz-")
        self._file = Path(self._folder.name) / "recipe.toml"
        some = sorted(RECIPES.glob("*.toml"))
        self.seeds = [FULL, *(file.read_bytes() for file in some)]
        self.tokens = (
            *(name.encode() for name in (*MODELS, *EMOTIONS)),
            *(b"[model]", b"[[data]]", b"[features]", b"[encoder]", b"[search.space]", b"a.b = 1"),
            *(b"1979-05-27T07:32:00Z", b'"""', b"'''", b"= {a = {", b"0xffffffffffffffff", b"-0.0"),
        )

    def __call__(self, data: bytes) -> str:
        self._file.write_bytes(data)
        try:
            self._read(self._file)
        except self._error as error:
            return type(error).__name__
        return "ok"

    def close(self) -> None:
        self._folder.cleanup()
