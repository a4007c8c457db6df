/** The queue: recordings are sent one after the other; while the service is gone, they wait. */

import { adapt, answers, NoAnswer, predict, ServiceError } from "./api";
import type { Limits, Prediction, Sending } from "./api";
import { asWav } from "./audio";
import { isFinished, type Job, type State } from "./jobs";
import type { SetAdaptation } from "./set-adaptation";

const BUSY_S = 5; // where the service does not say how long
const GONE_S = 3; // between two looks whether the service is back
const LOST_AT_MOST = 3; // times that one recording may lose a connection to a service that answers

type Send<T> = (sound: Blob, sending: Sending) => Promise<T>;

export interface QueueEvents {
  onChange: (job: Job) => void;
  onDone: (job: Job) => void;
  onIdle: () => void;
  /** Whether the service is gone. */
  onGone: (gone: boolean) => void;
}

/** Why a recording is not even sent. */
export class Refused extends Error {
  override name = "Refused";

  constructor(readonly code: "empty" | "too_large" | "missing") {
    super(code);
  }
}

export class Queue {
  jobs: Job[] = [];
  limits: Limits = {};
  private running = false;
  private lookNow: (() => void) | null = null;

  constructor(
    private readonly adaptation: SetAdaptation,
    private readonly on: QueueEvents,
  ) {}

  add(jobs: readonly Job[]): void {
    this.jobs.push(...jobs);
    void this.run();
  }

  retry(job: Job): void {
    job.stop.abort();
    job.stop = new AbortController();
    this.set(job, { kind: "waiting" });
    void this.run();
  }

  cancelAll(): void {
    for (const job of this.jobs) {
      if (isFinished(job)) continue;
      job.stop.abort();
      this.set(job, { kind: "cancelled" });
    }
  }

  /** Look at once whether the service is back. */
  look(): void {
    this.lookNow?.();
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let job = this.next(); job; job = this.next()) await this.process(job);
    this.running = false;
    this.on.onIdle();
  }

  /** The next recording: all are adapted to before the first is predicted. */
  private next(): Job | undefined {
    const waiting = this.jobs.filter(({ state }) => state.kind === "waiting");
    return waiting.find(({ settings, adapted }) => settings.to && !adapted) ?? waiting[0];
  }

  private async process(job: Job): Promise<void> {
    const { stop, settings } = job;
    try {
      if (job.missing !== null) throw new Refused("missing");
      if (!job.sound.size) throw new Refused("empty");
      if (job.sound.size > (this.limits.max_bytes ?? Infinity)) throw new Refused("too_large");
      if (settings.to && !job.adapted) return await this.adaptTo(job);
      const prediction = await this.sendOrConvert<Prediction>(job, (sound, sending) =>
        predict(sound, settings.query, sending),
      );
      if (job.stop !== stop) return;
      this.set(job, { kind: "done", prediction });
      this.on.onDone(job);
    } catch (error) {
      if (job.stop !== stop) return; // cancelled, and already being retried
      if (stop.signal.aborted) this.set(job, { kind: "cancelled" });
      else if (error instanceof NoAnswer && job.lost < LOST_AT_MOST) await this.waitForService(job);
      else this.fail(job, error);
    }
  }

  private fail(job: Job, error: unknown): void {
    this.set(job, { kind: "failed", error });
    if (!job.openWhenDone) return;
    job.openWhenDone = false; // the first that can be read is opened in its place
    const next = this.jobs.slice(this.jobs.indexOf(job)).find((other) => !isFinished(other));
    if (next) next.openWhenDone = true;
  }

  /** Wait until the service answers; nothing of the queue is lost. */
  private async waitForService(job: Job): Promise<void> {
    job.lost += 1;
    this.set(job, { kind: "waiting" });
    if (await answers()) return;
    this.on.onGone(true);
    do {
      await new Promise<void>((resolve) => {
        this.lookNow = resolve;
        setTimeout(resolve, GONE_S * 1000);
      });
    } while (this.next() && !(await answers()));
    this.lookNow = null;
    job.lost = 0;
    this.on.onGone(false);
  }

  /** Adapt to one more recording; what cannot be read, or holds no speech, is left out. */
  private async adaptTo(job: Job): Promise<void> {
    const { stop, settings } = job;
    const { model } = settings.query;
    try {
      const saved = await this.sendOrConvert(job, (sound, sending) =>
        adapt(sound, { model, to: settings.to ?? "" }, sending),
      );
      if (job.stop !== stop) return;
      this.adaptation.add(settings, saved);
    } catch (error) {
      if (stop.signal.aborted || error instanceof NoAnswer) throw error;
    }
    job.adapted = true;
    this.set(job, { kind: "waiting" });
    this.jobs
      .filter(({ state, settings: { to, query } }) => {
        return state.kind === "done" && to === settings.to && query.model === model;
      })
      .forEach((done) => this.retry(done));
  }

  /** Send; formats that the service does not read, such as video, the browser converts. */
  private async sendOrConvert<T>(job: Job, send: Send<T>): Promise<T> {
    try {
      return await this.sendOrWait(job, job.sound, send);
    } catch (error) {
      const unread = error instanceof ServiceError && error.code === "unsupported_format";
      if (!unread) throw error; // of what is damaged, the browser would play the rest as if whole
      this.set(job, { kind: "converting" });
      const wav = await asWav(job.sound).catch(() => null);
      if (wav === null || job.stop.signal.aborted) throw error;
      job.converted = true;
      return await this.sendOrWait(job, wav, send);
    }
  }

  /** Send; while the service is busy, wait as long as it asks for. */
  private async sendOrWait<T>(job: Job, sound: Blob, send: Send<T>): Promise<T> {
    const { name, stop, settings } = job;
    const kind = settings.to && !job.adapted ? "adapting" : "predicting";
    const adaptation = this.adaptation.savedFor(settings);
    for (;;) {
      try {
        this.set(job, { kind: "sending", share: 0 });
        const onSent = (share: number): void => {
          if (job.stop === stop) this.set(job, share < 1 ? { kind: "sending", share } : { kind });
        };
        return await send(sound, { name, adaptation, signal: stop.signal, onSent });
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
    this.on.onChange(job);
  }
}
