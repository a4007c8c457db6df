/** The batch: recordings in a queue and a table, and the one that is open. */

import { limits } from "./api";
import type { Limits, Recording } from "./api";
import { BatchFilter } from "./batch-filter";
import { BatchSummary } from "./batch-summary";
import { BatchTable } from "./batch-table";
import { BatchExport } from "./batch-export";
import { byId } from "./dom";
import { errorText } from "./errors";
import { applyTable, isTable, readTable, type FactTable } from "./facts";
import { predictionName, t } from "./i18n";
import { isFinished, newJob, predictionOf, sameSettings } from "./jobs";
import type { Given, Job, Settings, State } from "./jobs";
import { Queue } from "./queue";
import { isSaid } from "./review";
import { Reviewer } from "./reviewer";
import { arranged, COLUMNS, speakerOf, type Column } from "./rows";
import { SetAdaptation } from "./set-adaptation";
import type { Segment } from "./segments";
import { onRedraw } from "./theme";

const ANNOUNCE_EVERY_MS = 4000; // to screen readers, at most
const DRAW_EVERY_MS = 250; // the whole table, while predictions come

/** The view of the recording that is open. */
export interface Viewer {
  open: (recording: Recording, stay: boolean) => void;
  close: () => void;
  onMove: () => void;
  readonly segmentHere: Segment | undefined;
  loop: () => void;
  speed: number;
}

export interface BatchEvents {
  labelsOf: (model: string) => readonly string[] | undefined;
  onShow: () => void;
  onClose: () => void;
  onGone: (gone: boolean) => void;
}

export class Batch {
  private shown: Job | null = null;
  private announced = 0;
  private drawing = 0;
  private tables: FactTable[] = [];

  readonly adaptation = new SetAdaptation(() => this.drawSoon());
  private readonly filter = new BatchFilter(() => this.draw());
  private readonly summary = new BatchSummary(() => this.draw());
  private readonly table: BatchTable;
  private readonly reviewer: Reviewer;
  private arranged: readonly Job[] = [];
  private readonly queue: Queue;
  private readonly bar = byId<HTMLProgressElement>("batch-bar");

  constructor(
    private readonly settings: () => Settings,
    private readonly viewer: Viewer,
    private readonly on: BatchEvents,
  ) {
    new BatchExport(() => this.queue.jobs);
    this.reviewer = new Reviewer({
      onChange: (job) => {
        this.table.update(job);
        this.drawSoon();
      },
      onStep: (step) => this.step(step),
      segmentHere: () => viewer.segmentHere,
      labelsOf: on.labelsOf,
      onLoop: () => viewer.loop(),
      onSpeed: (speed) => (viewer.speed = speed),
    });
    viewer.onMove = () => this.reviewer.moved();
    const actions = {
      open: (job: Job): void => this.openByHand(job),
      remove: (job: Job): void => this.remove(job),
      retry: (job: Job): void => this.retry(job),
    };
    this.table = new BatchTable((job) => job === this.shown, actions, () => this.draw());
    this.queue = new Queue(this.adaptation, {
      onChange: (job) => this.changed(job),
      onDone: (job) => job.openWhenDone && this.open(job),
      onIdle: () => {
        this.draw();
        this.announce(true);
      },
      onGone: on.onGone,
    });
    onRedraw(() => this.draw());
    const bind = (id: string, action: () => void): void =>
      byId(id).addEventListener("click", action);
    bind("batch-cancel", () => this.queue.cancelAll());
    bind("batch-clear", () => this.clear());
    bind("batch-retry", () => this.failed().forEach((job) => this.retry(job)));
    bind("run-again", () => this.again());
  }

  get isEmpty(): boolean {
    return this.queue.jobs.length === 0;
  }

  /** Ask for the limits of the service, so that nothing larger is sent. */
  async askLimits(): Promise<Limits> {
    this.queue.limits = await limits();
    return this.queue.limits;
  }

  /** Look at once whether the service is back. */
  look(): void {
    this.queue.look();
  }

  /** Add recordings and tables; if one may be opened, the first is, when it is predicted. */
  add(given: readonly Given[], opens = given.length === 1 || !this.shown): void {
    const jobs = given
      .filter(({ file }) => !isTable(file.name))
      .map((one) => newJob(one, this.settings()));
    if (jobs[0] && opens) jobs[0].openWhenDone = true;
    for (const table of this.tables) applyTable(table, jobs);
    this.queue.add(jobs);
    this.draw();
    for (const { file } of given) if (isTable(file.name)) void this.addTable(file);
  }

  private async addTable(file: File): Promise<void> {
    const table = readTable(file.name, await file.text());
    if (!table) return this.say(t("tableNoFile", { name: file.name }));
    this.tables.push(table);
    const count = applyTable(table, this.queue.jobs);
    this.say(t("tableRead", { name: file.name, count, columns: table.columns.join(", ") }));
    this.draw();
  }

  /** Open the newest recording, at once or as soon as its prediction has come. */
  openLast(): void {
    const job = this.queue.jobs.at(-1);
    if (job?.state.kind === "done") this.open(job);
    else if (job) job.openWhenDone = true;
  }

  /** Show whether recordings were predicted with other settings than those chosen now. */
  drawAgain(): void {
    const now = this.settings();
    const others = this.queue.jobs.filter(({ settings }) => !sameSettings(settings, now));
    byId("run-again").hidden = !others.length;
    byId("run-again").textContent = others.some(
      ({ settings }) => settings.query.model !== now.query.model,
    )
      ? t("runAgainModel", { model: now.query.model })
      : t("runAgain");
  }

  /** Predict the open recording again with the settings chosen now. */
  openAgain(): void {
    if (!this.shown) return;
    this.shown.settings = this.settings();
    this.retry(this.shown);
    this.draw();
  }

  /** Predict all again with the settings chosen now. */
  private again(): void {
    this.adaptation.forget();
    for (const job of this.queue.jobs) {
      job.adapted = false;
      job.settings = this.settings();
      if (!["failed", "cancelled"].includes(job.state.kind)) this.retry(job);
    }
    this.draw();
  }

  private changed(job: Job): void {
    this.table.update(job);
    this.drawProgress();
    this.drawSoon();
    this.announce(false);
  }

  /** Open a recording; of several, the page goes to it only where that is asked for. */
  private open(job: Job, byHand = false): void {
    const prediction = predictionOf(job);
    if (!prediction) return;
    const { name, sound, converted } = job;
    const unsureBelow = Number(job.settings.query["unsure_below"] ?? 0);
    const stay = this.shown === job || (!byHand && this.queue.jobs.length > 1);
    const before = this.shown;
    this.shown = job;
    this.queue.jobs.forEach((other) => (other.openWhenDone = false));
    this.on.onShow();
    this.viewer.open({ name, sound, converted, prediction, unsureBelow }, stay);
    this.viewer.speed = this.reviewer.speed;
    this.reviewer.open(job, prediction);
    if (before) this.table.update(before);
    this.table.update(job);
  }

  private openByHand(job: Job): void {
    this.open(job, true);
    byId("opened-name").focus();
  }

  /** Open the next or previous recording of the table that has a prediction. */
  private step(step: 1 | -1): void {
    const open = this.arranged.filter((job) => predictionOf(job) || job === this.shown);
    const next = this.shown && open[open.indexOf(this.shown) + step];
    if (!next) return;
    this.open(next);
    this.table.reveal(next);
  }

  private retry(job: Job): void {
    job.openWhenDone ||= job === this.shown;
    this.queue.retry(job);
  }

  private remove(job: Job): void {
    job.stop.abort();
    const { jobs } = this.queue;
    const next = jobs[jobs.indexOf(job) + 1] ?? jobs.at(-2);
    this.queue.jobs = jobs.filter((other) => other !== job);
    if (this.shown === job || this.isEmpty) this.close();
    this.draw();
    if (next) this.table.focus(next);
    else byId("choose").focus();
  }

  private clear(): void {
    this.queue.cancelAll();
    this.queue.jobs = [];
    this.tables = [];
    this.adaptation.forget();
    this.close();
    this.draw();
    byId("choose").focus();
  }

  /** Close the open recording; it stays in the list. */
  close(): void {
    const before = this.shown;
    this.shown = null;
    if (before) this.table.update(before);
    this.viewer.close();
    this.reviewer.close();
    this.on.onClose();
  }

  private failed(): Job[] {
    return this.queue.jobs.filter(({ state }) => state.kind === "failed");
  }

  private drawSoon(): void {
    this.drawing ||= window.setTimeout(() => this.draw(), DRAW_EVERY_MS);
  }

  /** Draw everything: the table, what it comes to, and how far the queue is. */
  private draw(): void {
    clearTimeout(this.drawing);
    this.drawing = 0;
    const { jobs } = this.queue;
    this.filter.draw(jobs);
    const shown = arranged(jobs, this.filter.value, this.table.order, wordsOf);
    const filled = new Set<Column>(COLUMNS);
    if (!jobs.some(speakerOf)) filled.delete("speaker");
    if (!jobs.some(({ folder }) => folder)) filled.delete("folder");
    this.arranged = shown;
    this.table.show(shown, filled);
    this.summary.draw(shown, jobs);
    byId("filter").hidden = byId("summary").hidden = jobs.length < 2;
    byId("none-found").hidden = shown.length > 0;
    this.drawProgress();
    this.drawAgain();
  }

  private drawProgress(): void {
    const count = this.counts();
    byId("batch").hidden = this.isEmpty;
    byId("batch-progress").textContent = progressText(count);
    const busy = count.finished < count.all;
    this.bar.hidden = byId("batch-cancel").hidden = !busy;
    this.bar.max = count.all || 1;
    this.bar.value = count.finished;
    this.bar.setAttribute("aria-label", t("recordings"));
    byId("batch-export").hidden = count.done === 0;
    byId("batch-clear").hidden = busy;
    byId("batch-retry").hidden = count.failed < 2;
    byId("batch-retry").textContent = t("retryFailed", { count: count.failed });
  }

  private counts(): { all: number; done: number; failed: number; finished: number } {
    const { jobs } = this.queue;
    const count = (kind: State["kind"]): number =>
      jobs.filter(({ state }) => state.kind === kind).length;
    const finished = jobs.filter(isFinished).length;
    return { all: jobs.length, done: count("done"), failed: count("failed"), finished };
  }

  private announce(finished: boolean): void {
    if (!finished && Date.now() - this.announced < ANNOUNCE_EVERY_MS) return;
    if (this.isEmpty) return;
    this.announced = Date.now();
    const prediction = this.shown && predictionOf(this.shown);
    const emotion = prediction ? predictionName(prediction) : "";
    const opened = finished && emotion ? ` ${this.shown?.name}: ${emotion}` : "";
    byId("batch-say").textContent = `${progressText(this.counts())}.${opened}`;
  }

  private say(text: string): void {
    byId("batch-note").textContent = text;
  }
}

/** What a search finds of a recording. */
function wordsOf(job: Job): string {
  const { name, folder, state, facts, settings, review } = job;
  const failure = state.kind === "failed" ? errorText(state.error) : null;
  const prediction = predictionOf(job);
  const emotion = prediction ? `${prediction.emotion} ${predictionName(prediction)}` : "";
  const said = isSaid(review) ? `${review.emotion ?? ""} ${review.note}` : "";
  const told = failure ? `${failure.text} ${failure.detail}` : "";
  return [folder, name, emotion, settings.query.model, ...Object.values(facts), said, told].join(" ");
}

function progressText({
  all,
  done,
  failed,
}: {
  all: number;
  done: number;
  failed: number;
}): string {
  return t(failed ? "progressFailed" : "progress", { all, done, failed });
}
