/** The table of segments; each can be played. */

import { h, icon } from "./dom";
import { colourOf } from "./emotions";
import { clock, number } from "./format";
import { predictionName, t, voiceName } from "./i18n";
import { isDark } from "./theme";
import type { Segment } from "./segments";

const ROWS_AT_ONCE = 100;
const COLUMNS = [
  { key: "segment", look: "" },
  { key: "voice", look: "" },
  { key: "emotion", look: "" },
  { key: "confidence", look: "number" },
  { key: "valence", look: "number extra" },
  { key: "arousal", look: "number extra" },
] as const;

export function segmentTable(
  segments: readonly Segment[],
  caption: string,
  play: ((segment: Segment) => void) | null,
): HTMLElement {
  const body = h("tbody");
  const more = h("button", { type: "button", class: "quiet more", onclick: showMore });
  let shown = 0;
  function showMore(): void {
    const next = segments.slice(shown, shown + ROWS_AT_ONCE);
    body.append(...next.map((segment) => row(segment, play)));
    shown += next.length;
    more.hidden = shown >= segments.length;
    more.textContent = t("showMore", { count: Math.min(ROWS_AT_ONCE, segments.length - shown) });
  }
  showMore();
  const told = segments.some((segment) => voiceName(segment) !== "");
  const heads = COLUMNS.filter(({ key }) => told || key !== "voice").map(({ key, look }) =>
    h("th", { scope: "col", class: look }, t(key)),
  );
  const table = h(
    "table",
    { class: "segments" },
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, ...heads)),
    body,
  );
  return h("div", {}, table, more);
}

/** Mark the row at a time; while it plays, it stays in view. */
export function markRow(table: HTMLElement, time: number, playing: boolean): void {
  const rows = [...table.querySelectorAll<HTMLElement>("tr[data-start]")];
  const last = Number(rows.at(-1)?.dataset["end"]);
  if (playing && time >= last) table.querySelector<HTMLElement>(".more:not([hidden])")?.click();
  for (const row of rows) {
    const inside = Number(row.dataset["start"]) <= time && time < Number(row.dataset["end"]);
    const isNew = inside && !row.hasAttribute("aria-current");
    if (inside) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    if (isNew && playing && !table.matches(":hover")) bringIntoView(table, row);
  }
}

/** Scroll the table, and not the page. */
function bringIntoView(table: HTMLElement, row: HTMLElement): void {
  const [place, frame] = [row.getBoundingClientRect(), table.getBoundingClientRect()];
  const head = table.querySelector("thead")?.clientHeight ?? 0;
  if (place.top >= frame.top + head && place.bottom <= frame.bottom) return;
  table.scrollTop += place.top - frame.top - (frame.height - place.height) / 2;
}

/** The dot of an emotion's colour; its name stands beside it. */
export function dot(emotion: string | null): HTMLElement {
  const element = h("span", { class: "dot", "aria-hidden": "true" });
  element.style.background = colourOf(emotion, isDark());
  return element;
}

function row(segment: Segment, play: ((segment: Segment) => void) | null): HTMLElement {
  const voice = voiceName(segment);
  const [start, end] = [clock(segment.start), clock(segment.end)];
  const time = play
    ? h(
        "button",
        {
          type: "button",
          class: "segment",
          "aria-label": t("playSegment", { start, end }),
          onclick: () => play(segment),
        },
        icon("play"),
        `${start} – ${end}`,
      )
    : `${start} – ${end}`;
  return h(
    "tr",
    { "data-start": segment.start, "data-end": segment.end },
    h("th", { scope: "row" }, time),
    voice ? h("td", {}, voice) : null,
    h(
      "td",
      { class: segment.emotion === null ? "none" : "" },
      dot(segment.emotion),
      predictionName(segment),
    ),
    h("td", { class: "number" }, number(segment.confidence)),
    h("td", { class: "number extra" }, number(segment.valence)),
    h("td", { class: "number extra" }, number(segment.arousal)),
  );
}
