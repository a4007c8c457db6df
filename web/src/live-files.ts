/** What was recorded live, as files: its sound, and its utterances as the stream told them. */

import { textGrid } from "./annotations";
import { byId, save } from "./dom";
import { csvFile, segmentsCsv } from "./export";
import { t } from "./i18n";
import type { Segment } from "./segments";
import { tiersOfSegments } from "./spoken";

export interface LiveRecording {
  name: string;
  model: string;
  labels: string[];
  durationS: number;
  utterances: readonly Segment[];
  sound: () => Blob;
}

export function bindLiveFiles(recorded: () => LiveRecording): void {
  const bind = (id: string, ending: string, content: (live: LiveRecording) => Blob): void =>
    byId(id).addEventListener("click", () => {
      const live = recorded();
      save(`${live.name}.${ending}`, content(live));
    });
  bind("live-wav", "wav", ({ sound }) => sound());
  bind("live-csv", "csv", ({ name, utterances, labels }) =>
    csvFile(segmentsCsv(`${name}.wav`, utterances, labels)),
  );
  bind("live-json", "json", ({ name, model, durationS, utterances }) => {
    const values = { file: `${name}.wav`, model, duration: durationS, utterances };
    return new Blob([`${JSON.stringify(values, null, 2)}\n`], { type: "application/json" });
  });
  bind("live-textgrid", "TextGrid", ({ utterances, durationS }) =>
    new Blob([textGrid(tiersOfSegments(t("voiceTier"), utterances), durationS)], { type: "text/plain" }),
  );
}
