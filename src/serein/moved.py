"""Where modules of version 0.1 are now: an import of an old name says the new one."""

from __future__ import annotations

import sys

MOVED = {
    "audio.play": "audio.microphone",
    "audio.record": "audio.microphone",
    "corpora.table": "corpora.corpus",
    "evaluation.plots": "evaluation.report.figures",
    "evaluation.record": "evaluation.result_file",
    "evaluation.side_by_side": "evaluation.report.side_by_side",
    "evaluation.space": "evaluation.search.space",
    "evaluation.tuned": "evaluation.search.tuned",
    "experiment.adaptation": "experiment.adapted_scores",
    "experiment.clips": "experiment.data",
    "experiment.reading": "experiment.recipe_file",
    "features.cache": "features.feature_cache",
    "features.normalise": "features.normalisation",
    "features.series": "features.feature_sets",
    "features.table": "tables",
    "inference.bulk": "bulk.predict_all",
    "inference.convert": "experiment.export.convert_bundle",
    "inference.explain": "analysis.occlusion",
    "inference.explanation": "analysis.explanation",
    "inference.export": "experiment.export",
    "inference.graph": "experiment.export.estimator_graph",
    "inference.picture": "analysis.picture",
    "inference.senses": "inference.multimodal",
    "inference.windows": "inference.timeline",
    "models.adaptation": "models.speaker_prior",
    "models.network": "models.network_classifier",
    "models.pooled": "models.pipelines",
    "models.ridge": "models.linear",
    "models.scaled": "models.pipelines",
    "models.semi_supervised": "models.fusion.semi_supervised",
    "models.series": "models.padding",
    "training.watch": "training.callbacks",
    "trials": "analysis",
}


class _Moved:
    """A finder that is asked last; importlib.abc would cost half as much as serein itself."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse an old name by naming the new one."""
        now = MOVED.get(fullname.removeprefix("serein."))
        if now and fullname.startswith("serein."):
            raise ModuleNotFoundError(f"{fullname} is called serein.{now} now", name=fullname)


sys.meta_path.append(_Moved())
