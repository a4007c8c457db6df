/** The list of recordings: sent one after the other, each with its state. */

import { adapt, limits, predict, ServiceError } from "./api";
import type { Limits, Prediction, Query, Recording, Sending } from "./api";
import { asWav } from "./audio";
import { byId, h, save } from "./dom";
import { errorText } from "./errors";
import { predictionsCsv, csvFile } from "./export";
import { bytes } from "./format";
import { predictionName, t } from "./i18n";
import { drawRow, type Job, type State } from "./jobs";
import { SetAdaptation } from "./set-adaptation";
import { onRedraw } from "./theme";

const BUSY_S = 5; // where the service does not say how long
const ANNOUNCE_EVERY_MS = 4000; // to screen readers, at most

type Send<T> = (sound: Blob, sending: Sending) => Promise<T>;

export class Batch {
  private jobs: Job[] = [];
  private running = false;
  private shown: Job | null = null;
  private announced = 0;
  private limits: Limits = {};

  readonly adaptation = new SetAdaptation(() => this.again(true));
  private readonly list = byId("list");
  private readonly bar = byId<HTMLProgressElement>("batch-bar");

  constructor(
    private readonly settings: () => Query & { model: string },
    private readonly show: (recording: Recording, again: boolean) => void,
    private readonly onClose: () => void,
  ) {
    onRedraw(() => this.drawAll());
    byId("batch-cancel").addEventListener("click", () => this.cancelAll());
    byId("batch-save").addEventListener("click", () => this.saveAll());
    byId("batch-clear").addEventListener("click", () => this.clear());
  }

  /** Ask for the limits of the service, so that nothing larger is sent. */
  async askLimits(): Promise<Limits> {
    this.limits = await limits();
    return this.limits;
  }

  /** Add recordings; if one may be opened, the first is, when its prediction has come. */
  add(files: readonly File[], opens = files.length === 1 || !this.shown): void {
    files.forEach((file, index) => {
      const job: Job = {
        name: file.name,
        sound: file,
        state: { kind: "waiting" },
        stop: new AbortController(),
        converted: false,
        adapted: false,
        row: h("li"),
        openWhenDone: opens && index === 0,
      };
      this.jobs.push(job);
      this.list.append(job.row);
    });
    this.drawAll();
    void this.run();
  }

  /** Open the newest recording, at once or as soon as its prediction has come. */
  openLast(): void {
    const job = this.jobs.at(-1);
    if (job?.state.kind === "done") this.open(job);
    else if (job) job.openWhenDone = true;
  }

  /** Predict all again with other settings; `anew`, what is adapted to is another thing too. */
  again(anew: boolean): void {
    if (anew) this.adaptation.forget();
    for (const job of this.jobs) {
      if (anew) job.adapted = false;
      if (["failed", "cancelled"].includes(job.state.kind)) continue;
      job.stop.abort();
      this.retry(job);
    }
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let job = this.next(); job; job = this.next()) await this.process(job);
    this.running = false;
    this.announce(true);
  }

  /** The next recording: all are adapted to before the first is predicted. */
  private next(): Job | undefined {
    const waiting = this.jobs.filter(({ state }) => state.kind === "waiting");
    return (this.adaptation.to && waiting.find(({ adapted }) => !adapted)) || waiting[0];
  }

  private async process(job: Job): Promise<void> {
    const { stop } = job;
    const to = job.adapted ? null : this.adaptation.to;
    try {
      const { max_bytes: limit } = this.limits;
      if (limit !== undefined && job.sound.size > limit) {
        throw new Error(t("errorTooLargeHere", { size: bytes(limit) }));
      }
      if (to) return await this.adaptTo(job, to);
      const prediction = await this.sendOrConvert<Prediction>(job, (sound, sending) =>
        predict(sound, this.settings(), sending),
      );
      if (job.stop !== stop) return;
      this.set(job, { kind: "done", prediction });
      if (job.openWhenDone) this.open(job);
    } catch (error) {
      if (job.stop !== stop) return; // cancelled, and already being retried
      this.set(job, stop.signal.aborted ? { kind: "cancelled" } : { kind: "failed", error });
    }
  }

  /** Adapt to one more recording; what cannot be read, or holds no speech, is left out. */
  private async adaptTo(job: Job, to: string): Promise<void> {
    const { stop } = job;
    const { model } = this.settings();
    try {
      const saved = await this.sendOrConvert(job, (sound, sending) =>
        adapt(sound, { model, to }, sending),
      );
      if (job.stop !== stop) return;
      this.adaptation.add(saved);
    } catch (error) {
      if (stop.signal.aborted) throw error;
    }
    job.adapted = true;
    this.set(job, { kind: "waiting" });
    this.jobs.filter(({ state }) => state.kind === "done").forEach((done) => this.retry(done));
  }

  /** Send; what the service cannot read, such as video, the browser converts. */
  private async sendOrConvert<T>(job: Job, send: Send<T>): Promise<T> {
    try {
      return await this.sendOrWait(job, job.sound, send);
    } catch (error) {
      const unread =
        error instanceof ServiceError &&
        ["unreadable", "unsupported_type", "decoder_failed"].includes(error.code);
      if (!unread) throw error;
      this.set(job, { kind: "converting" });
      const wav = await asWav(job.sound).catch(() => null);
      if (wav === null || job.stop.signal.aborted) throw error;
      job.converted = true;
      return await this.sendOrWait(job, wav, send);
    }
  }

  /** Send; while the service is busy, wait as long as it asks for. */
  private async sendOrWait<T>(job: Job, sound: Blob, send: Send<T>): Promise<T> {
    const { to, saved } = this.adaptation;
    const { name, stop } = job;
    const kind = to && !job.adapted ? "adapting" : "predicting";
    for (;;) {
      try {
        this.set(job, { kind: "sending", share: 0 });
        const onSent = (share: number): void => {
          if (job.stop === stop) this.set(job, share < 1 ? { kind: "sending", share } : { kind });
        };
        return await send(sound, { name, adaptation: to && saved, signal: stop.signal, onSent });
      } catch (error) {
        const busy = error instanceof ServiceError && [429, 503].includes(error.status);
        if (!busy) throw error;
        await this.wait(job, error.retryAfterS ?? BUSY_S);
      }
    }
  }

  private async wait(job: Job, seconds: number): Promise<void> {
    const { signal } = job.stop;
    for (let left = Math.max(1, Math.ceil(seconds)); left > 0; left--) {
      this.set(job, { kind: "busy", seconds: left });
      await new Promise((resolve) => {
        setTimeout(resolve, 1000);
        signal.addEventListener("abort", resolve, { once: true });
      });
      signal.throwIfAborted();
    }
  }

  private set(job: Job, state: State): void {
    job.state = state;
    this.drawRow(job);
    this.drawProgress();
    this.announce(false);
  }

  private open(job: Job): void {
    if (job.state.kind !== "done") return;
    const { name, sound, converted, state } = job;
    const again = this.shown === job;
    this.shown = job;
    this.jobs.forEach((other) => (other.openWhenDone = false));
    this.show({ name, sound, converted, prediction: state.prediction }, again);
    this.jobs.forEach((other) => this.drawRow(other));
  }

  private cancelAll(): void {
    for (const job of this.jobs) {
      if (["done", "failed", "cancelled"].includes(job.state.kind)) continue;
      job.stop.abort();
      this.set(job, { kind: "cancelled" });
    }
  }

  private retry(job: Job): void {
    job.stop = new AbortController();
    job.openWhenDone ||= job === this.shown;
    this.set(job, { kind: "waiting" });
    void this.run();
  }

  private remove(job: Job): void {
    job.stop.abort();
    this.jobs = this.jobs.filter((other) => other !== job);
    job.row.remove();
    if (this.shown === job || !this.jobs.length) this.close();
    this.drawProgress();
    if (this.adaptation.to && job.adapted) this.again(true);
    (this.list.querySelector("button") ?? byId("choose")).focus();
  }

  private clear(): void {
    this.cancelAll();
    this.jobs = [];
    this.adaptation.forget();
    this.list.replaceChildren();
    this.close();
    this.drawProgress();
    byId("choose").focus();
  }

  /** Close the open recording; it stays in the list. */
  close(): void {
    this.shown = null;
    this.jobs.forEach((job) => this.drawRow(job));
    this.onClose();
  }

  private saveAll(): void {
    const rows = this.jobs.map(({ name, state }) => ({
      name,
      prediction: state.kind === "done" ? state.prediction : null,
      error: state.kind === "failed" ? errorText(state.error).text : null,
    }));
    save("serein.csv", csvFile(predictionsCsv(rows)));
  }

  private drawAll(): void {
    this.jobs.forEach((job) => this.drawRow(job));
    this.drawProgress();
  }

  private drawRow(job: Job): void {
    drawRow(job, this.shown === job, {
      open: () => {
        this.open(job);
        byId("opened-name").focus();
      },
      remove: () => this.remove(job),
      retry: () => this.retry(job),
    });
  }

  private drawProgress(): void {
    const count = this.counts();
    byId("batch").hidden = this.jobs.length === 0;
    byId("batch-progress").textContent = progressText(count);
    const busy = count.finished < count.all;
    this.bar.hidden = byId("batch-cancel").hidden = !busy;
    this.bar.max = count.all || 1;
    this.bar.value = count.finished;
    this.bar.setAttribute("aria-label", t("recordings"));
    byId("batch-save").hidden = count.done === 0 || count.all < 2;
    byId("batch-clear").hidden = busy;
  }

  private counts(): { all: number; done: number; failed: number; finished: number } {
    const count = (...kinds: State["kind"][]): number =>
      this.jobs.filter(({ state }) => kinds.includes(state.kind)).length;
    const [done, failed, cancelled] = [count("done"), count("failed"), count("cancelled")];
    return { all: this.jobs.length, done, failed, finished: done + failed + cancelled };
  }

  private announce(finished: boolean): void {
    if (!finished && Date.now() - this.announced < ANNOUNCE_EVERY_MS) return;
    if (!this.jobs.length) return;
    this.announced = Date.now();
    const state = this.shown?.state;
    const emotion = state?.kind === "done" ? predictionName(state.prediction) : "";
    const opened = finished && emotion ? ` ${this.shown?.name}: ${emotion}` : "";
    byId("batch-say").textContent = `${progressText(this.counts())}.${opened}`;
  }
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
