/** The facts about a model: its licence and scores. */

import type { Model, Score } from "./api";
import { h } from "./dom";
import { number } from "./format";
import { modelFact, t } from "./i18n";

export function modelFacts(model: Model): HTMLElement[] {
  return [
    h("p", {}, t("licence", { licence: modelFact(model.licence).text })),
    h(
      "details",
      {},
      h("summary", {}, t("scores")),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": t("scores") },
        table(model),
      ),
      h("p", {}, t("scoresNote")),
    ),
  ];
}

/** Scores of the precision in use, if there are any. */
function table({ scores, precision }: Model): HTMLElement {
  const same = scores.filter((score) => score.precision === precision);
  const heads = [`${t("corpus")} · ${t("protocol")}`, "UAR", "ECE"];
  return h(
    "table",
    { class: "scores" },
    h("caption", { class: "unseen" }, t("scores")),
    h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, ...(same.length ? same : scores).map(row)),
  );
}

function row(score: Score): HTMLElement {
  const [low, high] = score.uar_interval_95;
  const { text, lang } = modelFact(score.protocol);
  const interval = `${number(low)}–${number(high)}`;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, score.corpus, h("small", { lang }, text)),
    h("td", { class: "number" }, number(score.uar), h("small", {}, interval)),
    h("td", { class: "number" }, number(score.expected_calibration_error)),
  );
}
