/** Adaptation to all recordings of the list: they are adapted to before the first is predicted. */

import type { Adaptation } from "./api";
import { byId } from "./dom";
import { t } from "./i18n";
import type { Settings } from "./jobs";
import { onRedraw } from "./theme";

interface Found {
  saved: Adaptation;
  count: number;
}

export class SetAdaptation {
  /** What the service found so far; it wants it back with each recording. */
  private readonly found = new Map<string, Found>();
  private able = false;
  private model = "";

  private readonly all = byId<HTMLInputElement>("adapt-all");
  private readonly one = byId<HTMLInputElement>("adapt-one");

  constructor(onChange: () => void) {
    onRedraw(() => this.draw());
    for (const input of [this.all, this.one]) {
      input.addEventListener("change", () => {
        this.draw();
        onChange();
      });
    }
  }

  /** What is adapted to, if anything. */
  get to(): Settings["to"] {
    if (!this.all.checked || !this.able) return null;
    return this.one.checked ? "speaker" : "recordings";
  }

  /** Say for which model this is, and whether it can adapt. */
  enable(model: string, able: boolean): void {
    this.model = model;
    this.able = able;
    this.draw();
  }

  /** Take what the service found once one more recording was added. */
  add(settings: Settings, saved: Adaptation): void {
    const count = (this.found.get(key(settings))?.count ?? 0) + 1;
    this.found.set(key(settings), { saved, count });
    this.draw();
  }

  savedFor(settings: Settings): Adaptation | null {
    return settings.to === null ? null : (this.found.get(key(settings))?.saved ?? null);
  }

  forget(): void {
    this.found.clear();
    this.draw();
  }

  private draw(): void {
    this.all.disabled = !this.able;
    this.one.disabled = this.to === null;
    byId("adapt-set-note").textContent = this.note();
  }

  private note(): string {
    if (!this.able) return t("adaptAllNot");
    const what = t(this.to === "speaker" ? "adaptOneNote" : "adaptAllNote");
    const found = this.found.get(`${this.model} ${this.to}`);
    if (!found) return what;
    const { saved, count } = found;
    return `${what} ${t(saved.counts ? "adaptedOn" : "adaptedNothing", { count })}`;
  }
}

function key({ query, to }: Settings): string {
  return `${query.model} ${to}`;
}
