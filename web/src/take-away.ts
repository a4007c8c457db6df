/** What a press of a button saves of the recording that is open. */

import { affectWords } from "./affect-words";
import { byId, save } from "./dom";
import { csvFile, jsonFile, picture, segmentsCsv } from "./exports";
import { clock, number } from "./format";
import { emotionName, sureness, t } from "./i18n";
import { inkNow } from "./look";
import type { Recording } from "./opened";
import type { Segment } from "./segments";

export interface Open {
  recording: Recording;
  segments: readonly Segment[];
  /** Loudness of the sound, where this browser can read it. */
  peaks: (columns: number) => Float32Array | null;
}

const BARS = 490; // of the waveform in the picture

export function offerFiles(open: () => Open | null): void {
  const offer = (id: string, take: (opened: Open) => void): void =>
    byId(id).addEventListener("click", () => {
      const opened = open();
      if (opened) take(opened);
    });
  offer("save-csv", saveCsv);
  offer("save-json", saveJson);
  offer("save-png", (opened) => void savePng(opened));
}

function saveCsv({ recording: { name, prediction }, segments }: Open): void {
  const labels = Object.keys(prediction.probabilities);
  save(`${stem(name)}.csv`, csvFile(segmentsCsv(name, segments, labels)));
}

function saveJson({ recording: { name, prediction } }: Open): void {
  save(`${stem(name)}.json`, jsonFile(prediction));
}

async function savePng({ recording: { name, prediction }, peaks }: Open): Promise<void> {
  const { emotion, confidence, model, duration } = prediction;
  const sure = confidence === null ? "" : sureness(confidence);
  const words = {
    ...affectWords(),
    title: `${name} · ${t("heardWith", { time: clock(duration), model })}`,
    answer: emotionName(emotion),
    sureness: sure && `${sure} · ${t("confidenceOf", { value: number(confidence) })}`,
    honest: t("honest"),
  };
  save(`${stem(name)}.png`, await picture(prediction, peaks(BARS), words, inkNow()));
}

function stem(name: string): string {
  return name.replace(/\.[^.]+$/, "") || name;
}
