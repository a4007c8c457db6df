/** The prediction for a whole recording: in words, and as a list of all emotions. */

import { byId, h } from "./dom";
import { colourOf, UNSURE } from "./emotions";
import { number } from "./format";
import { emotionName, confidenceText, t, voiceName } from "./i18n";
import { isDark } from "./theme";
import { ranked } from "./segments";
import { dot } from "./table";
import type { Voice } from "./voices";

export function drawPrediction(voice: Voice, known: number): void {
  const { emotion, confidence, probabilities } = voice.whole;
  const likeliest = ranked(probabilities)[0]?.[0] ?? null;
  const unsure = emotion === UNSURE;
  const lead = emotion === null ? "" : t(unsure ? "predictionUnsure" : "predictionIs");
  byId("prediction-lead").textContent = [voiceName(voice), lead].filter(Boolean).join(": ");
  const name = byId("prediction-emotion");
  name.textContent = emotionName(unsure ? likeliest : emotion);
  byId("prediction").style.setProperty("--emotion", colourOf(emotion, isDark()));
  const notes: string[] = [];
  if (emotion === null) notes.push(t("noSpeechLong"));
  if (voice.whole.kind === "burst") notes.push(t("burstLong"));
  if (confidence !== null) {
    const value = number(confidence);
    byId("prediction-sure").textContent =
      `${confidenceText(confidence)} · ${t("confidenceOf", { value })}`;
    notes.push(t("calibration", { tenths: Math.round(confidence * 10) }));
  } else byId("prediction-sure").textContent = "";
  if (known > 0) notes.push(t("adaptedBy", { count: known }));
  byId("prediction-note").textContent = notes.join(" ");
  byId("bars").replaceChildren(...(emotion === null ? [] : [bars(probabilities)]));
}

function bars(probabilities: Record<string, number>): HTMLElement {
  const rows = ranked(probabilities).map(([label, value]) => {
    const bar = h("span", { class: "bar" });
    bar.style.width = `${(value * 100).toFixed(1)}%`;
    bar.style.background = colourOf(label, isDark());
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, dot(label), emotionName(label)),
      h("td", { class: "rail", "aria-hidden": "true" }, bar),
      h("td", { class: "number" }, number(value)),
    );
  });
  return h(
    "table",
    { class: "bars" },
    h("caption", { class: "unseen" }, t("probabilitiesTable")),
    h("tbody", {}, ...rows),
  );
}
