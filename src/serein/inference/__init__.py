"""Prediction: a recording in, its emotion out. The core install is enough, but for faces and words.

`bundle` reads a model, `network` runs it, `window_model` predicts a window, `timeline` cuts
recordings into windows, `recognizer`, `multimodal` and `fusion` predict recordings, `stream` a
voice as it comes; what needs the extras [face] and [text] says so when it is used.
"""
