/** The prediction for a whole recording, or a voice: in words, and as a list of all emotions. */

import type { Model, Prediction } from "./api";
import { byId, h } from "./dom";
import { colourOf } from "./emotions";
import { number } from "./format";
import { headline } from "./headline";
import { emotionName, percent, t } from "./i18n";
import { measuredText } from "./measured";
import { isDark } from "./theme";
import { ranked } from "./segments";
import { dot } from "./table";
import type { Voice } from "./voices";

export function drawPrediction(
  voice: Voice,
  { utterances_known: known }: Prediction,
  model: Model | undefined,
): void {
  const { emotion, lead, name, sure, shares } = headline(voice);
  const { confidence, probabilities } = voice.whole;
  byId("prediction-lead").textContent = lead;
  byId("prediction-emotion").textContent = name;
  byId("prediction").style.setProperty("--emotion", colourOf(emotion, isDark()));
  byId("prediction-sure").textContent = sure;
  const likeliest = ranked(probabilities)[0];
  const notes: string[] = [];
  if (confidence === null) notes.push(t("noSpeechLong"));
  if (voice.whole.kind === "burst") notes.push(t("burstLong"));
  if (shares && likeliest) {
    const words = { emotion: emotionName(likeliest[0]), value: number(likeliest[1]) };
    notes.push(t("onAverage", words));
  }
  if (known > 0) notes.push(t("adaptedBy", { count: known }));
  if (confidence !== null) notes.push(measuredText(model, shares || known ? null : confidence));
  byId("prediction-note").textContent = notes.join(" ");
  byId("bars").replaceChildren(
    ...(shares
      ? [bars(shares, t("sharesTable"), percent)]
      : confidence === null
        ? []
        : [bars(ranked(probabilities), t("probabilitiesTable"), number)]),
  );
}

function bars(
  values: [label: string, value: number][],
  caption: string,
  written: (value: number) => string,
): HTMLElement {
  const rows = values.map(([label, value]) => {
    const bar = h("span", { class: "bar" });
    bar.style.width = `${(value * 100).toFixed(1)}%`;
    bar.style.background = colourOf(label, isDark());
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, dot(label), emotionName(label)),
      h("td", { class: "rail", "aria-hidden": "true" }, bar),
      h("td", { class: "number" }, written(value)),
    );
  });
  return h(
    "table",
    { class: "bars" },
    h("caption", { class: "unseen" }, caption),
    h("tbody", {}, ...rows),
  );
}
