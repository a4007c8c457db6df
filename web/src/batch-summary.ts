/** What the recordings of the table come to, as a whole and by groups. */

import { options } from "./batch-filter";
import { byId, h } from "./dom";
import { colourOf } from "./emotions";
import { clock, number } from "./format";
import { emotionName, listed, percent, t } from "./i18n";
import { isDark } from "./theme";
import type { Job } from "./jobs";
import { groups, summary, type Group, type Share, type Summary } from "./statistics";
import { dot } from "./table";

const FOLDER = "folder"; // beside the columns of tables

export class BatchSummary {
  private readonly by = byId<HTMLSelectElement>("group-by");

  constructor(onChange: () => void) {
    this.by.addEventListener("change", onChange);
  }

  /** Draw the summary of the jobs that are shown; groups come from folders or their facts. */
  draw(shown: readonly Job[], all: readonly Job[]): void {
    const found = summary(shown);
    byId("summary-facts").textContent = factsText(found);
    byId("summary-bar").replaceChildren(...found.emotions.map(piece));
    byId("summary-emotions").replaceChildren(...found.emotions.map(entry));
    const columns = new Set(all.flatMap(({ facts: told }) => Object.keys(told)));
    if (all.some(({ folder }) => folder)) columns.add(FOLDER);
    options(
      this.by,
      [...columns].sort(),
      (column) => (column === FOLDER ? t("column_folder") : column),
      t("compareNone"),
    );
    const compared = this.groups(shown);
    byId("groups").replaceChildren(...(compared.length ? [groupTable(compared)] : []));
    byId("groups-note").hidden = !compared.length;
  }

  /** The groups that are compared, if any are. */
  groups(jobs: readonly Job[]): Group[] {
    const by = this.by.value;
    return by ? groups(jobs, valueOf(by)) : [];
  }
}

function valueOf(column: string): (job: Job) => string {
  return (job) => (column === FOLDER ? job.folder : (job.facts[column] ?? ""));
}

export function factsText(found: Summary): string {
  const parts = [
    t("sumRecordings", { count: found.recordings, time: clock(found.seconds, 0) }),
    found.confidence === null ? "" : t("sumConfidence", { value: number(found.confidence) }),
    found.unsure ? t("sumUnsure", { count: found.unsure }) : "",
    found.silent ? t("sumSilent", { count: found.silent }) : "",
    found.failed ? t("sumFailed", { count: found.failed }) : "",
    found.models.length ? t("sumModels", { names: listed(found.models) }) : "",
    found.languages.length ? t("sumLanguages", { names: listed(found.languages) }) : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

function piece({ emotion, share }: Summary["emotions"][number]): HTMLElement {
  const element = h("span");
  element.style.flexGrow = String(share);
  element.style.background = colourOf(emotion, isDark());
  return element;
}

function entry({ emotion, count, share }: Summary["emotions"][number]): HTMLElement {
  const words = { emotion: emotionName(emotion), count, share: percent(share) };
  return h("li", {}, dot(emotion), t("sumEmotion", words));
}

/** A table of groups; on the page one that looks like the scores. */
export function groupTable(found: readonly Group[], onPage = true): HTMLElement {
  const time = new Map<string, number>();
  for (const { shares } of found) {
    for (const [label, { share }] of shares) time.set(label, (time.get(label) ?? 0) + share);
  }
  const labels = [...time].sort(([, one], [, other]) => other - one).map(([label]) => label);
  const heads = [t("group"), t("recordings"), t("confidence"), ...labels.map(emotionName)];
  return h(
    "table",
    onPage ? { class: "scores" } : {},
    onPage ? h("caption", { class: "unseen" }, t("compare")) : null,
    h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, ...found.map((group) => groupRow(group, labels))),
  );
}

function groupRow(
  { name, recordings, units, confidence, shares }: Group,
  labels: string[],
): HTMLElement {
  const count = units < recordings ? t("groupUnits", { recordings, units }) : String(recordings);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, name),
    h("td", { class: "number" }, count),
    h("td", { class: "number" }, number(confidence)),
    ...labels.map((label) => h("td", { class: "number" }, shareText(shares.get(label)))),
  );
}

export function shareText(found: Share | undefined): string {
  const { share, interval } = found ?? { share: 0, interval: null };
  const ends = interval?.map((end) => Math.round(100 * end)).join("–");
  return ends ? `${percent(share)} (${ends})` : percent(share);
}
