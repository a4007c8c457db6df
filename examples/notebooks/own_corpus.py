# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A corpus of your own, evaluated on unseen speakers
#
# For want of people the corpus is made of two samples, played at four speeds to pass for four
# speakers. Needs `serein[train]`; run it in the folder of the repository.

# %%
import csv
import tempfile
from pathlib import Path

import soundfile

from serein.experiment.evaluate import evaluate
from serein.experiment.prepare import prepare
from serein.experiment.recipe_file import make_recipe

VOICES = {"anger": "espeak-english-fast-high", "sadness": "espeak-english-slow-low"}
folder = Path(tempfile.mkdtemp())
rows = [("file", "emotion", "speaker")]
for emotion, name in VOICES.items():
    sound, rate = soundfile.read(f"samples/{name}.flac")
    for speaker, speed in {"ann": 0.85, "bo": 0.95, "cy": 1.05, "di": 1.15}.items():
        for take in range(3):
            rows.append((f"{speaker}-{emotion}-{take}.wav", emotion, speaker))
            piece = sound[take * rate // 2 : (take + 1) * rate // 2]
            soundfile.write(folder / rows[-1][0], piece, round(rate * speed))
with (folder / "mine.csv").open("w", newline="") as table:
    csv.writer(table).writerows(rows)

# %% [markdown]
# A recipe, as a TOML file would hold it: data, features, model, protocol.

# %%
recipe = make_recipe(
    {
        "name": "mine",
        "data": {"corpora": ["mine.csv"], "folder": "."},
        "features": {"sets": ["mfcc"], "functionals": ["mean", "std"]},
        "model": {"name": "logistic"},
        "protocol": {"split": "leave_one_speaker_out"},
    },
    "this notebook",
    folder,
)
result = evaluate(prepare(recipe, cache=folder / "cache")).result
result

# %% [markdown]
# Here every prediction is right, which means nothing: two machine voices. Be as suspicious of your
# own data when it looks like this.

# %%
scores = result.scores()
print(scores["uar"], scores["uar_interval_95"])
