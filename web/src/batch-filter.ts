/** The controls above the table that say which recordings it shows. */

import { byId, h } from "./dom";
import { emotionName, t } from "./i18n";
import type { Job } from "./jobs";
import { ALL, emotionOf, SILENT, speakerOf, STATES, valuesOf } from "./rows";
import type { Bounds, Filter } from "./rows";

export class BatchFilter {
  private readonly text = byId<HTMLInputElement>("find");
  private readonly emotion = byId<HTMLSelectElement>("find-emotion");
  private readonly speaker = byId<HTMLSelectElement>("find-speaker");
  private readonly folder = byId<HTMLSelectElement>("find-folder");
  private readonly state = byId<HTMLSelectElement>("find-state");

  constructor(onChange: () => void) {
    byId("filter").addEventListener("input", onChange);
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    byId("filter").addEventListener("reset", () => setTimeout(onChange)); // once it is done
  }

  get value(): Filter {
    return {
      text: this.text.value,
      emotion: this.emotion.value,
      speaker: this.speaker.value,
      folder: this.folder.value,
      state: this.state.value as Filter["state"],
      confidence: bounds("find-confidence"),
      length: bounds("find-length"),
    };
  }

  /** Whether all recordings are shown. */
  get isEmpty(): boolean {
    return JSON.stringify(this.value) === JSON.stringify(ALL);
  }

  draw(jobs: readonly Job[]): void {
    const emotions = valuesOf(jobs, emotionOf);
    options(this.emotion, emotions, (one) => emotionName(one === SILENT ? null : one));
    options(this.speaker, valuesOf(jobs, speakerOf));
    options(
      this.folder,
      valuesOf(jobs, ({ folder }) => folder),
    );
    options(this.state, STATES, (state) => t(`state_${state as (typeof STATES)[number]}`));
    byId("filter-clear").hidden = this.isEmpty;
  }
}

/** Fill a choice; what was chosen stays, and it is hidden where there is nothing to choose. */
export function options(
  select: HTMLSelectElement,
  values: readonly string[],
  nameOf: (value: string) => string = String,
  none: string = t("all"),
): void {
  const { value } = select;
  const names = values.map((one) => h("option", { value: one }, nameOf(one)));
  select.replaceChildren(h("option", { value: "" }, none), ...names);
  select.value = values.includes(value) ? value : "";
  (select.closest("label") as HTMLElement).hidden = values.length === 0;
}

function bounds(id: string): Bounds {
  const number = (end: string): number | null => {
    const { value, valueAsNumber } = byId<HTMLInputElement>(`${id}-${end}`);
    return value === "" ? null : valueAsNumber;
  };
  return [number("least"), number("most")];
}
