/** How far the batch is, to be seen and heard. */

import { byId } from "./dom";
import { predictionName, t } from "./i18n";
import { isFinished, predictionOf, type Job, type State } from "./jobs";

const ANNOUNCE_EVERY_MS = 4000; // to screen readers, at most

export class BatchProgress {
  private announced = 0;
  private readonly bar = byId<HTMLProgressElement>("batch-bar");

  draw(jobs: readonly Job[]): void {
    const count = counts(jobs);
    byId("batch").hidden = jobs.length === 0;
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

  /** Say it, but not too often; when all is done, with the recording that is open. */
  announce(jobs: readonly Job[], shown: Job | null, finished: boolean): void {
    if (!finished && Date.now() - this.announced < ANNOUNCE_EVERY_MS) return;
    if (!jobs.length) return;
    this.announced = Date.now();
    const prediction = shown && predictionOf(shown);
    const progress = progressText(counts(jobs));
    byId("batch-say").textContent =
      finished && prediction
        ? t("announcedWith", { progress, name: shown.name, emotion: predictionName(prediction) })
        : t("announced", { progress });
  }
}

interface Counts {
  all: number;
  done: number;
  failed: number;
  finished: number;
}

function counts(jobs: readonly Job[]): Counts {
  const count = (kind: State["kind"]): number =>
    jobs.filter(({ state }) => state.kind === kind).length;
  const finished = jobs.filter(isFinished).length;
  return { all: jobs.length, done: count("done"), failed: count("failed"), finished };
}

function progressText({ all, done, failed }: Counts): string {
  return t(failed ? "progressFailed" : "progress", { all, done, failed });
}
