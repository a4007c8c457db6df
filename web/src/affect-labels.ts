/** The labels of the valence–arousal plane, in the language of the page. */

import type { AffectLabels } from "./affect";
import { emotionName, t } from "./i18n";

export function affectLabels(): AffectLabels {
  const [valence, arousal, tense, lively] = [t("valence"), t("arousal"), t("tense"), t("lively")];
  const [low, relaxed, start, end] = [t("low"), t("relaxed"), t("start"), t("end")];
  return { valence, arousal, tense, lively, low, relaxed, start, end, nameOf: emotionName };
}
