/** The dialog that saves the whole batch. */

import {
  allSegmentsCsv,
  ANNOTATIONS,
  annotationFiles,
  batchJson,
  everything,
  recordingsCsv,
  type Annotation,
} from "./batch-files";
import { byId, save } from "./dom";
import { MARK } from "./export";
import { t } from "./i18n";
import type { Job } from "./jobs";
import { labelsCsv, segmentLabelsCsv } from "./labels";
import { saveProject, SUFFIX } from "./project";
import { reportHtml, showReport, type ReportParts } from "./report";
import { zipped } from "./zip";

export interface ExportEvents {
  jobs: () => readonly Job[];
  report: () => ReportParts;
  onProjectSaved: () => void;
}

export class BatchExport {
  private readonly dialog = byId<HTMLDialogElement>("export");

  constructor(private readonly on: ExportEvents) {
    const { jobs } = on;
    byId("batch-export").addEventListener("click", () => this.open());
    this.bind("batch-save", () => saveText("recordings.csv", MARK + recordingsCsv(jobs())));
    this.bind("save-segments", () => saveText("segments.csv", MARK + allSegmentsCsv(jobs())));
    this.bind("save-batch-json", () => saveText("predictions.json", batchJson(jobs())));
    this.bind("save-labels", () => saveText("labels.csv", MARK + labelsCsv(jobs())));
    this.bind("save-segment-labels", () =>
      saveText("segment-labels.csv", MARK + segmentLabelsCsv(jobs())),
    );
    for (const kind of Object.keys(ANNOTATIONS) as Annotation[]) {
      this.bind(`save-${kind}`, () => this.saveAnnotations(kind));
    }
    this.bind("save-report", () => {
      this.dialog.close();
      showReport(on.report());
    });
    this.bind("save-zip", async () => {
      save("serein.zip", await zipped(everything(jobs(), reportHtml(on.report()))));
    });
    this.bind("save-project", () => this.saveProject(false));
    this.bind("save-project-sound", () => this.saveProject(true));
  }

  /** Do it when its button is pressed; what goes wrong is said. */
  private bind(id: string, action: () => void | Promise<void>): void {
    byId(id).addEventListener("click", () => {
      byId("export-say").textContent = "";
      void (async () => action())().catch((error: unknown) => {
        byId("export-say").textContent = t("exportFailed", { reason: String(error) });
      });
    });
  }

  private open(): void {
    const jobs = this.on.jobs();
    const wholes = jobs.some(({ review }) => review.emotion !== null);
    const segments = jobs.some(({ review }) => review.segments.length > 0);
    byId<HTMLButtonElement>("save-labels").disabled = !wholes;
    byId<HTMLButtonElement>("save-segment-labels").disabled = !segments;
    byId<HTMLButtonElement>("save-project-sound").disabled = jobs.every(({ sound }) => !sound.size);
    byId("export-say").textContent = "";
    this.dialog.showModal();
  }

  /** One file as it is; several in a ZIP. */
  private async saveAnnotations(kind: Annotation): Promise<void> {
    const files = annotationFiles(this.on.jobs(), kind);
    const [[name, text] = ["", ""]] = files;
    if (files.size === 1) saveText(name.split("/").at(-1) as string, text);
    else save(`${kind}.zip`, await zipped(files));
  }

  private async saveProject(withSound: boolean): Promise<void> {
    const date = new Date().toISOString().slice(0, 10);
    save(`${date}${SUFFIX}`, await saveProject(this.on.jobs(), withSound));
    this.on.onProjectSaved();
  }
}

function saveText(name: string, text: string): void {
  save(name, new Blob([text], { type: "text/plain;charset=utf-8" }));
}
