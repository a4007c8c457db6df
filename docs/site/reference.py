"""What the reference shows in full: as with `import serein`, numpydoc docstrings.

All other public names are listed there too, module by module: their docstrings say in a few lines
what types do not. `tests/test_house.py` holds both.
"""

from __future__ import annotations

REFERENCE: dict[str, dict[str, tuple[str, ...]]] = {  # section -> module -> public names
    "Errors": {
        "serein.errors": (
            *(
                "SettingError",
                "AudioError",
                "BadFilesError",
                "VideoError",
                "TextError",
                "CorpusError",
            ),
            *("RecipeError", "ProtocolError", "EncoderError", "BundleError", "ServiceError"),
            *("ResultsError", "EngineError", "MissingExtraError"),
        ),
    },
    "Sound": {
        "serein.audio.denoise": ("denoise",),
        "serein.audio.chain": ("draw", "Chain"),
    },
    "Features": {
        "serein.features.frontend": ("FrontEnd",),
        "serein.features.encoder": ("SpeechEncoder",),
    },
    "Models": {
        "serein.models.catalogue": ("make_model",),
        "serein.training.plan": ("Training",),
    },
    "Evaluation": {
        "serein.evaluation.cross_validation": ("cross_validate", "FittedFolds", "Augmented"),
        "serein.evaluation.protocol": (
            *("leave_one_speaker_out", "speaker_k_fold", "ravdess_actor_folds", "folds_of"),
            *("leave_one_sentence_out", "leave_one_corpus_out", "train_and_test"),
        ),
        "serein.evaluation.metrics": (
            *("confusion_matrix", "class_scores", "uar", "expected_calibration_error"),
            "concordance",
        ),
        "serein.evaluation.search.search": ("search", "SearchResult"),
    },
    "Analysis": {
        "serein.analysis.occlusion": ("explain",),
        "serein.analysis.robustness": ("stress_model", "stress_folds"),
    },
    "Experiment": {
        "serein.experiment.recipe_file": ("read_recipe", "short_recipe"),
        "serein.experiment.recipe": (
            *("Recipe", "Data", "Encoder", "Features", "Model", "Balance", "Augmentation"),
            *("Fusion", "Face", "Text", "Search", "Protocol", "Packing"),
        ),
        "serein.experiment.prepare": ("prepare", "Prepared"),
        "serein.experiment.evaluate": ("evaluate", "Evaluation", "write_evaluation"),
        "serein.experiment.train": ("fit", "pack"),
        "serein.experiment.tune": ("tune",),
    },
    "Bundles, bulk and engines": {
        "serein.inference.personalise": ("personalise",),
        "serein.inference.stream": ("Event",),
        "serein.bulk.predict_all": ("predict_all",),
        "serein.engine": ("engine", "each"),
    },
}
