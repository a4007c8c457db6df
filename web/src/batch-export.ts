/** The dialog that saves the whole batch. */

import { byId, save } from "./dom";
import { errorText } from "./errors";
import { csvFile, predictionsCsv } from "./export";
import { pathOf, predictionOf, type Job } from "./jobs";
import { labelsCsv, segmentLabelsCsv } from "./labels";

export class BatchExport {
  private readonly dialog = byId<HTMLDialogElement>("export");

  constructor(private readonly jobs: () => readonly Job[]) {
    const bind = (id: string, action: () => void): void =>
      byId(id).addEventListener("click", action);
    bind("batch-export", () => this.open());
    bind("batch-save", () => save("serein.csv", csvFile(recordingsCsv(jobs()))));
    bind("save-labels", () => save("labels.csv", csvFile(labelsCsv(jobs()))));
    bind("save-segment-labels", () =>
      save("segment-labels.csv", csvFile(segmentLabelsCsv(jobs()))),
    );
  }

  private open(): void {
    const jobs = this.jobs();
    const wholes = jobs.some(({ review }) => review.emotion !== null);
    const segments = jobs.some(({ review }) => review.segments.length > 0);
    byId<HTMLButtonElement>("save-labels").disabled = !wholes;
    byId<HTMLButtonElement>("save-segment-labels").disabled = !segments;
    this.dialog.showModal();
  }
}

function recordingsCsv(jobs: readonly Job[]): string {
  return predictionsCsv(
    jobs.map((job) => ({
      name: pathOf(job),
      prediction: predictionOf(job),
      error: job.state.kind === "failed" ? errorText(job.state.error).text : null,
    })),
  );
}
