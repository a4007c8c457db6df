/** The batch: recordings in a queue and a table, and the one that is open. */

import { limits } from "./api";
import type { Limits, Model, Recording } from "./api";
import { BatchFilter } from "./batch-filter";
import { BatchProgress } from "./batch-progress";
import { BatchSummary, factsText } from "./batch-summary";
import { BatchTable } from "./batch-table";
import { BatchExport } from "./batch-export";
import { byId } from "./dom";
import { errorText } from "./errors";
import { applyTable, isTable, readTable, type FactTable } from "./facts";
import { listed, predictionName, t } from "./i18n";
import { isFinished, newJob, predictionOf, sameSettings } from "./jobs";
import type { Given, Job, Settings } from "./jobs";
import { isAt, linkTo, momentOf, type Moment } from "./moment";
import { isProject, openProject, withSounds } from "./project";
import { Queue } from "./queue";
import { isSaid } from "./review";
import { Reviewer } from "./reviewer";
import { arranged, COLUMNS, speakerOf, type Column } from "./rows";
import type { ReportParts } from "./report";
import { SetAdaptation } from "./set-adaptation";
import type { Segment } from "./segments";
import { summary } from "./statistics";
import { onRedraw } from "./theme";
import { UndoBar } from "./undo";

const DRAW_EVERY_MS = 250; // the whole table, while predictions come

/** The view of the recording that is open. */
export interface Viewer {
  open: (recording: Recording, stay: boolean) => void;
  close: () => void;
  onMove: () => void;
  readonly segmentHere: Segment | undefined;
  readonly time: number;
  seek: (time: number) => void;
  loop: () => void;
  speed: number;
}

export interface BatchEvents {
  models: () => readonly Model[];
  onShow: () => void;
  /** Recordings were added or removed, or the open one was closed. */
  onList: () => void;
  onGone: (gone: boolean) => void;
}

export class Batch {
  private shown: Job | null = null;
  private drawing = 0;
  private tables: FactTable[] = [];

  readonly adaptation = new SetAdaptation(() => this.drawSoon());
  private readonly filter = new BatchFilter(() => this.draw());
  private readonly summary = new BatchSummary(() => this.draw());
  private readonly table: BatchTable;
  private readonly reviewer: Reviewer;
  private arranged: readonly Job[] = [];
  private readonly queue: Queue;
  private readonly progress = new BatchProgress();
  private readonly undo = new UndoBar();
  /** Whether something is not in a saved project. */
  private unsaved = false;
  private moment: Moment | null = momentOf(location.hash);

  constructor(
    private readonly settings: () => Settings,
    private readonly viewer: Viewer,
    private readonly on: BatchEvents,
  ) {
    new BatchExport({
      jobs: () => this.queue.jobs,
      report: () => this.report(),
      onProjectSaved: () => (this.unsaved = false),
    });
    this.reviewer = new Reviewer({
      onChange: (job) => {
        this.unsaved = true;
        this.table.update(job);
        this.drawSoon();
      },
      onStep: (step) => this.step(step),
      segmentHere: () => viewer.segmentHere,
      labelsOf: (model) => on.models().find(({ name }) => name === model)?.labels,
      onLoop: () => viewer.loop(),
      onSpeed: (speed) => (viewer.speed = speed),
    });
    viewer.onMove = () => this.reviewer.moved();
    const actions = {
      open: (job: Job): void => this.openByHand(job),
      remove: (job: Job): void => this.remove(job),
      retry: (job: Job): void => this.retry(job),
    };
    this.table = new BatchTable(
      (job) => job === this.shown,
      actions,
      () => this.draw(),
    );
    this.queue = new Queue(this.adaptation, {
      onChange: (job) => this.changed(job),
      onDone: (job) => this.predicted(job),
      onIdle: () => {
        this.draw();
        this.progress.announce(this.queue.jobs, this.shown, true);
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
    bind("copy-link", () => void this.copyLink());
    addEventListener("hashchange", () => this.follow());
    addEventListener("beforeunload", (event) => {
      if (this.unsaved && !this.isEmpty) event.preventDefault(); // the browser asks
    });
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

  /** Add recordings, tables and projects; if one may be opened, the first is, when predicted. */
  add(given: readonly Given[], opens = given.length === 1 || !this.shown): void {
    const of = (kind: (name: string) => boolean): Given[] =>
      given.filter(({ file }) => kind(file.name));
    const sounds = of((name) => !isTable(name) && !isProject(name));
    const { found, others } = withSounds(this.queue.jobs, sounds);
    const jobs = others.map((one) => newJob(one, this.settings()));
    if (jobs[0] && opens) jobs[0].openWhenDone = true;
    for (const table of this.tables) applyTable(table, jobs);
    this.queue.add(jobs);
    this.unsaved ||= jobs.length > 0;
    if (this.shown && found.includes(this.shown)) this.open(this.shown);
    this.draw();
    for (const { file } of of(isTable)) void this.addTable(file);
    for (const { file } of of(isProject)) void this.addProject(file);
  }

  private async addProject(file: File): Promise<void> {
    try {
      const jobs = await openProject(file);
      this.queue.add(jobs);
      const without = jobs.filter(({ missing }) => missing !== null).length;
      const key = without ? "projectOpenedWithout" : "projectOpened";
      this.say(t(key, { name: file.name, count: jobs.length, without }));
      const first = jobs.find(predictionOf);
      if (first && !this.shown) this.open(first);
      this.draw();
      this.follow();
    } catch (error) {
      this.say(t("projectBad", { name: file.name, reason: String(error) }));
    }
    this.on.onList();
  }

  private async addTable(file: File): Promise<void> {
    const table = readTable(file.name, await file.text());
    if (!table) return this.say(t("tableNoFile", { name: file.name }));
    this.tables.push(table);
    const count = applyTable(table, this.queue.jobs);
    this.say(t("tableRead", { name: file.name, count, columns: listed(table.columns) }));
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
    const others = this.queue.jobs.filter(({ settings, missing }) => {
      return missing === null && !sameSettings(settings, now);
    });
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
      if (job.missing === null) job.settings = this.settings();
      const { kind } = job.state;
      if (job.missing === null && kind !== "failed" && kind !== "cancelled") this.retry(job);
    }
    this.draw();
  }

  private changed(job: Job): void {
    this.table.update(job);
    this.progress.draw(this.queue.jobs);
    this.drawSoon();
    this.progress.announce(this.queue.jobs, this.shown, false);
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
    this.offerUndo(1);
    this.queue.jobs = jobs.filter((other) => other !== job);
    if (this.shown === job || this.isEmpty) this.close();
    this.draw();
    if (next) this.table.focus(next);
    else byId("choose").focus();
  }

  private clear(): void {
    this.queue.cancelAll();
    this.offerUndo(this.queue.jobs.length);
    this.queue.jobs = [];
    this.tables = [];
    this.say("");
    this.adaptation.forget();
    this.close();
    this.draw();
    byId("choose").focus();
  }

  private offerUndo(count: number): void {
    const { queue, tables } = this;
    const before = [...queue.jobs];
    this.undo.offer(count, () => {
      const added = queue.jobs.filter((job) => !before.includes(job));
      queue.jobs = [...before, ...added];
      this.tables = [...new Set([...tables, ...this.tables])];
      for (const job of before) if (job.stop.signal.aborted && !isFinished(job)) this.retry(job);
      this.on.onList(); // the list has something again
      this.draw();
    });
  }

  /** Copy a link to the position, and have it in the address bar. */
  private async copyLink(): Promise<void> {
    if (!this.shown) return;
    const link = linkTo(this.shown, this.viewer.time);
    history.replaceState(null, "", link);
    const copied = await navigator.clipboard?.writeText(link).then(
      () => true,
      () => false,
    );
    this.say(t(copied ? "linkCopied" : "linkInAddress"));
  }

  private predicted(job: Job): void {
    this.unsaved = true;
    if (job.openWhenDone) this.open(job);
    if (this.moment && isAt(job, this.moment)) this.follow();
  }

  /** Open the moment of the address, once its recording is there. */
  private follow(): void {
    this.moment = momentOf(location.hash) ?? this.moment;
    const { moment } = this;
    const job = moment && this.queue.jobs.find((one) => predictionOf(one) && isAt(one, moment));
    if (!job) return;
    if (job !== this.shown) this.open(job, true);
    this.viewer.seek(moment.time);
    this.moment = null;
  }

  private report(): ReportParts {
    const { jobs } = this.queue;
    const facts = factsText(summary(jobs));
    return { jobs, facts, groups: this.summary.groups(jobs), models: this.on.models() };
  }

  /** Close the open recording; it stays in the list. */
  close(): void {
    const before = this.shown;
    this.shown = null;
    if (before) this.table.update(before);
    this.viewer.close();
    this.reviewer.close();
    this.on.onList();
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
    this.progress.draw(this.queue.jobs);
    this.drawAgain();
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
  return [folder, name, emotion, settings.query.model, ...Object.values(facts), said, told].join(
    " ",
  );
}
