/** The table of recordings: of a long one, only the rows in view are on the page. */

import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
} from "@tanstack/virtual-core";

import type { Prediction } from "./api";
import { byId, h, icon } from "./dom";
import { errorText } from "./errors";
import { clock, number } from "./format";
import { emotionName, predictionName, t } from "./i18n";
import { pathOf, predictionOf, type Job } from "./jobs";
import { COLUMNS, speakerOf, type Column, type Order } from "./rows";
import { dot } from "./table";

const ROW_PX = 44;

export interface RowActions {
  open: (job: Job) => void;
  remove: (job: Job) => void;
  retry: (job: Job) => void;
}

export class BatchTable {
  order: Order | null = null;
  private jobs: readonly Job[] = [];
  private readonly drawn = new Map<Job, HTMLElement>();

  private readonly scroller = byId("batch-table");
  private readonly heads = byId("heads");
  private readonly list = byId("list");
  private readonly virtual: Virtualizer<HTMLElement, HTMLElement>;

  constructor(
    private readonly isShown: (job: Job) => boolean,
    private readonly actions: RowActions,
    private readonly onOrder: () => void,
  ) {
    this.virtual = new Virtualizer({
      count: 0,
      getScrollElement: () => this.scroller,
      estimateSize: () => ROW_PX,
      scrollToFn: elementScroll,
      observeElementRect,
      observeElementOffset,
      overscan: 6,
      onChange: () => this.drawRows(),
    });
    this.virtual._didMount();
    this.virtual._willUpdate();
    let width = 0;
    new ResizeObserver(() => {
      if (this.scroller.clientWidth === width) return;
      width = this.scroller.clientWidth;
      this.virtual.measure(); // lines break elsewhere
    }).observe(this.scroller);
    this.list.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Show these recordings; columns that none of them fills are left out. */
  show(jobs: readonly Job[], filled: ReadonlySet<Column>): void {
    this.jobs = jobs;
    for (const column of COLUMNS)
      this.scroller.classList.toggle(`no-${column}`, !filled.has(column));
    this.drawHeads();
    this.virtual.setOptions({ ...this.virtual.options, count: jobs.length });
    this.virtual.measure();
    this.drawRows();
  }

  /** Draw a recording's row again, if it is in view. */
  update(job: Job): void {
    const row = this.drawn.get(job);
    if (!row) return;
    this.fill(row, job);
    this.fit(this.jobs.indexOf(job), row, job);
  }

  /** Bring a recording into view. */
  reveal(job: Job): void {
    const index = this.jobs.indexOf(job);
    if (index >= 0) this.virtual.scrollToIndex(index);
  }

  /** Bring a recording into view, and its button into focus. */
  focus(job: Job): void {
    this.reveal(job);
    this.drawRows();
    this.drawn.get(job)?.querySelector("button")?.focus();
  }

  private drawHeads(): void {
    const focused = this.heads.contains(document.activeElement)
      ? (document.activeElement as HTMLElement).dataset["by"]
      : null;
    this.heads.replaceChildren(...COLUMNS.map((column) => this.head(column)), h("span"));
    if (focused) this.heads.querySelector<HTMLElement>(`[data-by=${focused}]`)?.focus();
    this.scroller.setAttribute("aria-rowcount", String(this.jobs.length + 1));
  }

  private head(column: Column): HTMLElement {
    const here = this.order?.by === column ? this.order : null;
    const sorted = here ? (here.down ? "descending" : "ascending") : "none";
    const mark = here ? (here.down ? " ↓" : " ↑") : "";
    return h(
      "div",
      { role: "columnheader", class: `col-${column}`, "aria-sort": sorted },
      h(
        "button",
        { type: "button", class: "link", "data-by": column, onclick: () => this.sort(column) },
        `${t(`column_${column}`)}${mark}`,
      ),
    );
  }

  /** Sort by a column; again, the other way round; a third time, not at all. */
  private sort(by: Column): void {
    const { order } = this;
    if (order?.by !== by) this.order = { by, down: false };
    else this.order = order.down ? null : { by, down: true };
    this.onOrder();
  }

  private drawRows(): void {
    const items = this.virtual.getVirtualItems();
    const wanted = new Set(items.map(({ index }) => this.jobs[index]));
    for (const [job, row] of this.drawn) {
      if (wanted.has(job)) continue;
      row.remove();
      this.drawn.delete(job);
    }
    this.list.style.height = `${this.virtual.getTotalSize()}px`;
    const rows: [number, HTMLElement, Job][] = [];
    items.forEach(({ index, start }, place) => {
      const job = this.jobs[index];
      if (!job) return;
      const row = this.drawn.get(job) ?? h("div", { role: "row" });
      this.drawn.set(job, row);
      row.style.transform = `translateY(${start}px)`;
      row.setAttribute("aria-rowindex", String(index + 2));
      this.fill(row, job);
      if (this.list.children[place] !== row) {
        this.list.insertBefore(row, this.list.children[place] ?? null);
      }
      rows.push([index, row, job]);
    });
    for (const row of rows) this.fit(...row);
  }

  /** Give a row the height that it takes: why a recording failed may have several lines. */
  private fit(index: number, row: HTMLElement, job: Job): void {
    const height = job.state.kind === "failed" ? row.offsetHeight : ROW_PX;
    if (index >= 0 && this.jobs[index] === job) this.virtual.resizeItem(index, height || ROW_PX);
  }

  /** Fill a row; a focus inside it is kept. */
  private fill(row: HTMLElement, job: Job): void {
    const { state } = job;
    const focused = row.contains(document.activeElement);
    row.className = `job ${state.kind}`;
    row.setAttribute("aria-current", String(this.isShown(job)));
    row.replaceChildren(...this.cells(job), this.buttons(job));
    if (focused) row.querySelector("button")?.focus();
  }

  private cells(job: Job): HTMLElement[] {
    const cell = (column: Column, ...children: (Node | string)[]): HTMLElement =>
      h("div", { role: "cell", class: `col-${column}` }, ...children);
    const prediction = predictionOf(job);
    const rest = [
      cell("speaker", speakerOf(job)),
      cell("folder", job.folder),
      cell("model", job.settings.query.model),
    ];
    if (!prediction) return [cell("name", this.name(job)), this.progress(job), ...rest];
    const { confidence, duration } = prediction;
    return [
      cell("name", this.name(job)),
      cell("emotion", ...emotionCell(job, prediction)),
      cell("confidence", number(confidence)),
      cell("length", clock(duration, 0)),
      ...rest,
    ];
  }

  /** How far a recording is, or why it has no prediction. */
  private progress(job: Job): HTMLElement {
    const { state } = job;
    const failure = state.kind === "failed" ? errorText(state.error) : null;
    const retry = { type: "button", class: "quiet", onclick: () => this.actions.retry(job) };
    const again = failure || state.kind === "cancelled";
    return h(
      "div",
      {
        role: "cell",
        class: "col-progress",
        title: failure ? `${failure.text} ${failure.detail}` : "",
      },
      again ? h("button", retry, t("tryAgain")) : null,
      h("span", { class: "state" }, failure ? failure.text : stateText(state)),
      failure?.detail ? h("span", { class: "detail", lang: "en" }, ` ${failure.detail}`) : null,
    );
  }

  private name(job: Job): HTMLElement {
    const title = pathOf(job);
    if (job.state.kind !== "done") return h("span", { class: "entry", title }, job.name);
    const open = (): void => this.actions.open(job);
    return h("button", { type: "button", class: "entry", title, onclick: open }, job.name);
  }

  private buttons(job: Job): HTMLElement {
    const remove = {
      "aria-label": t("remove", { name: job.name }),
      onclick: () => this.actions.remove(job),
    };
    const button = h("button", { type: "button", class: "bare", ...remove }, icon("close"));
    return h("div", { role: "cell", class: "acts" }, button);
  }

  /** Go from row to row with the arrow keys. */
  private onKey(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = (event.target as HTMLElement).closest("[role=row]");
    const from = [...this.drawn].find(([, element]) => element === row)?.[0];
    if (!step || !from) return;
    event.preventDefault();
    const next = this.jobs[this.jobs.indexOf(from) + step];
    if (next) this.focus(next);
  }
}

/** The emotion of a recording: the reviewer's, with the predicted one, or that alone. */
function emotionCell({ review }: Job, prediction: Prediction): HTMLElement[] {
  const said = review.emotion;
  const name = predictionName(prediction);
  const shown = said === null ? name : t("reviewedAs", { emotion: emotionName(said) });
  const cells = [h("span", { class: "state" }, dot(said ?? prediction.emotion), shown)];
  if (said !== null && said !== prediction.emotion) {
    cells.push(h("span", { class: "detail" }, ` ${t("predictedAs", { emotion: name })}`));
  }
  if (review.note)
    cells.push(h("span", { title: review.note, class: "detail" }, ` “${review.note}”`));
  return cells;
}

function stateText(state: Job["state"]): string {
  if (state.kind === "sending") return t("sending", { share: Math.round(state.share * 100) });
  if (state.kind === "busy") return t("busyWait", { seconds: state.seconds });
  if (state.kind === "done") return "";
  return t(state.kind);
}
