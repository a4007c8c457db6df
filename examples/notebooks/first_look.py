# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # First look
#
# Open it as a notebook (jupytext) or run it: `python examples/notebooks/first_look.py`, in the
# folder of the repository. The voices are a machine's.

# %%
from pathlib import Path

import serein

recognizer = serein.load()
prediction = recognizer.predict("samples/espeak-german-two-voices-with-pause.flac")
prediction

# %% [markdown]
# Over time: a segment for each window.

# %%
for segment in prediction.timeline:
    print(
        f"{segment.start:5.2f} to {segment.end:5.2f} s  {segment.emotion} {segment.confidence:.2f}"
    )

# %% [markdown]
# Adapted to recordings of one speaker, without labels; then forgotten again.

# %%
voices = sorted(Path("samples").glob("espeak-english-*.flac"))
recognizer.adapt(voices)
adapted = {file.name: recognizer.predict(file).emotion for file in voices}
recognizer.forget_speaker()
adapted
