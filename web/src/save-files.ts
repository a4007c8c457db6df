/** The buttons that save files of the open recording. */

import { affectLabels } from "./affect-labels";
import { byId, save } from "./dom";
import { csvFile, jsonFile, picture, segmentsCsv } from "./export";
import { clock, number } from "./format";
import { confidenceText, predictionName, t } from "./i18n";
import { currentPalette } from "./theme";
import type { Recording } from "./api";
import type { Segment } from "./segments";

export interface OpenRecording {
  recording: Recording;
  segments: readonly Segment[];
  /** Loudness of the sound, where this browser can read it. */
  peaks: (columns: number) => Float32Array | null;
}

const BARS = 490; // of the waveform in the picture

export function bindSaveButtons(open: () => OpenRecording | null): void {
  const bind = (id: string, action: (opened: OpenRecording) => void): void =>
    byId(id).addEventListener("click", () => {
      const opened = open();
      if (opened) action(opened);
    });
  bind("save-csv", saveCsv);
  bind("save-json", saveJson);
  bind("save-png", (opened) => void savePng(opened));
}

function saveCsv({ recording: { name, prediction }, segments }: OpenRecording): void {
  const labels = Object.keys(prediction.probabilities);
  save(`${stem(name)}.csv`, csvFile(segmentsCsv(name, segments, labels)));
}

function saveJson({ recording: { name, prediction } }: OpenRecording): void {
  save(`${stem(name)}.json`, jsonFile(prediction));
}

async function savePng({ recording: { name, prediction }, peaks }: OpenRecording): Promise<void> {
  const { confidence, model, duration } = prediction;
  const sure = confidence === null ? "" : confidenceText(confidence);
  const words = {
    ...affectLabels(),
    title: `${name} · ${t("factsOf", { time: clock(duration), model })}`,
    emotion: predictionName(prediction),
    confidenceText: sure && `${sure} · ${t("confidenceOf", { value: number(confidence) })}`,
    honest: t("honest"),
  };
  save(`${stem(name)}.png`, await picture(prediction, peaks(BARS), words, currentPalette()));
}

function stem(name: string): string {
  return name.replace(/\.[^.]+$/, "") || name;
}
