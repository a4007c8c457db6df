/** The buttons that save files of the open recording. */

import { affectLabels } from "./affect-labels";
import { byId, save } from "./dom";
import { csvFile, jsonFile, picture, segmentsCsv } from "./export";
import { clock } from "./format";
import { headline } from "./headline";
import { t } from "./i18n";
import { lightPalette } from "./theme";
import type { Recording } from "./api";
import type { Segment } from "./segments";
import type { Voice } from "./voices";

export interface OpenRecording {
  recording: Recording;
  segments: readonly Segment[];
  /** That is shown in detail. */
  voice: Voice;
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

async function savePng({ recording: { name, prediction }, voice, peaks }: OpenRecording): Promise<void> {
  const { model, duration } = prediction;
  const { name: emotion, sure } = headline(voice);
  const words = {
    ...affectLabels(),
    title: `${name} · ${t("factsOf", { time: clock(duration), model })}`,
    emotion,
    confidenceText: sure,
    honest: t("honest"),
  };
  save(`${stem(name)}.png`, await picture(prediction, peaks(BARS), words, lightPalette()));
}

function stem(name: string): string {
  return name.replace(/\.[^.]+$/, "") || name;
}
