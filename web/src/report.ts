/** A report of the batch, to be printed, or saved as a page of its own. */

import type { Model } from "./api";
import { groupTable } from "./batch-summary";
import { byId, h, save } from "./dom";
import { colourOf } from "./emotions";
import { errorText } from "./errors";
import { clock, number } from "./format";
import { emotionName, language, modelFact, predictionName, t } from "./i18n";
import { pathOf, predictionOf, type Job } from "./jobs";
import css from "./report.css?inline";
import { merged } from "./segments";
import { summary, type Group } from "./statistics";

const STRIPS = 300; // recordings whose course is drawn

export interface ReportParts {
  jobs: readonly Job[];
  facts: string;
  groups: readonly Group[];
  models: readonly Model[];
}

/** Show the report, with the buttons to print and to save it. */
export function showReport(parts: ReportParts): void {
  const dialog = byId<HTMLDialogElement>("report");
  byId("report-place").replaceChildren(report(parts));
  byId("report-print").onclick = () => print();
  byId("report-save").onclick = () =>
    save("report.html", new Blob([reportHtml(parts)], { type: "text/html" }));
  dialog.showModal();
}

export function reportHtml(parts: ReportParts): string {
  const head = `<meta charset="utf-8"><title>${t("reportTitle")}</title><style>${css}</style>`;
  const body = report(parts).outerHTML;
  return `<!doctype html>\n<html lang="${language()}"><head>${head}</head><body>${body}</body></html>\n`;
}

function report({ jobs, facts, groups, models }: ReportParts): HTMLElement {
  const date = new Date().toLocaleString(language() === "zh" ? "zh-CN" : "en-GB");
  return h(
    "article",
    { class: "report" },
    h("h1", {}, t("reportTitle")),
    h("p", {}, t("reportMade", { date })),
    h("p", {}, facts),
    h("p", { class: "caveat" }, `${t("honest")} ${t("aboutNotText")}`),
    ...modelParts(jobs, models),
    h("h2", {}, t("reportShares")),
    ...shares(jobs),
    ...(groups.length
      ? [h("h2", {}, t("compare")), groupTable(groups, false), h("p", {}, t("compareNote"))]
      : []),
    h("h2", {}, t("recordings")),
    recordings(jobs),
  );
}

function modelParts(jobs: readonly Job[], models: readonly Model[]): HTMLElement[] {
  const used = new Set(jobs.map(({ settings }) => settings.query.model));
  const rows = models
    .filter(({ name }) => used.has(name))
    .map((model) => {
      const scores = model.scores.filter(({ precision }) => precision === model.precision);
      const text = scores.map(({ corpus, uar, uar_interval_95: [low, high] }) => {
        return `${corpus} ${number(uar)} (${number(low)}–${number(high)})`;
      });
      return h(
        "p",
        {},
        `${model.name}: ${t("licence", { licence: modelFact(model.licence).text })}. ${t("reportUar")} ${text.join("; ")}.`,
      );
    });
  return [h("h2", {}, t("model")), ...rows, ...settingsOf(jobs)];
}

function settingsOf(jobs: readonly Job[]): HTMLElement[] {
  const all = jobs.map(({ settings: { query, to } }) =>
    Object.entries({ ...query, adapt: to ?? "" })
      .filter(([, value]) => value !== "")
      .map(([name, value]) => `${name} = ${value}`)
      .join(", "),
  );
  return [...new Set(all)].map((text) => h("p", {}, t("reportSettings", { text })));
}

function shares(jobs: readonly Job[]): HTMLElement[] {
  const { emotions } = summary(jobs);
  const entries = emotions.map(({ emotion, count, share }) => {
    const words = {
      emotion: emotionName(emotion),
      count,
      share: t("percent", { value: Math.round(100 * share) }),
    };
    return h("li", {}, dot(emotion), t("sumEmotion", words));
  });
  return [
    strip(
      emotions.map(({ emotion, share }) => [emotion, share]),
      "strip large",
    ),
    h("ul", {}, ...entries),
  ];
}

function recordings(jobs: readonly Job[]): HTMLElement {
  const heads = [
    "column_name",
    "emotion",
    "confidence",
    "column_length",
    "overTime",
    "note",
  ] as const;
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...heads.map((key) => h("th", { scope: "col" }, t(key))))),
    h("tbody", {}, ...jobs.map((job, index) => row(job, index < STRIPS))),
  );
}

function row(job: Job, drawn: boolean): HTMLElement {
  const { state, review } = job;
  const prediction = predictionOf(job);
  const name = h("th", { scope: "row" }, pathOf(job));
  if (!prediction) {
    const text = state.kind === "failed" ? errorText(state.error).text : t(`state_unfinished`);
    return h("tr", {}, name, h("td", { colspan: 5 }, text));
  }
  const said = review.emotion && t("reviewedAs", { emotion: emotionName(review.emotion) });
  const parts = merged(prediction.timeline).map(
    ({ emotion, start, end }) => [emotion, end - start] as const,
  );
  return h(
    "tr",
    {},
    name,
    h(
      "td",
      {},
      dot(review.emotion ?? prediction.emotion),
      said
        ? `${said} ${t("predictedAs", { emotion: predictionName(prediction) })}`
        : predictionName(prediction),
    ),
    h("td", { class: "number" }, number(prediction.confidence)),
    h("td", { class: "number" }, clock(prediction.duration, 0)),
    h("td", {}, drawn ? strip(parts, "strip") : null),
    h("td", {}, review.note),
  );
}

function strip(parts: readonly (readonly [string | null, number])[], look: string): HTMLElement {
  const pieces = parts.map(([emotion, share]) => {
    const piece = h("span");
    piece.style.flexGrow = String(share);
    piece.style.background = colourOf(emotion, false);
    return piece;
  });
  return h("div", { class: look, "aria-hidden": "true" }, ...pieces);
}

function dot(emotion: string | null): HTMLElement {
  const element = h("span", { class: "dot" });
  element.style.background = colourOf(emotion, false);
  return element;
}
