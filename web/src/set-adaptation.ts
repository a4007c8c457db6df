/** Adaptation to all recordings of the list: they are adapted to before the first is predicted. */

import type { Adaptation } from "./api";
import { byId } from "./dom";
import { t } from "./i18n";
import { onRedraw } from "./theme";

export class SetAdaptation {
  /** What the service found so far; it wants it back with each recording. */
  saved: Adaptation | null = null;
  private count = 0;
  private able = false;

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
  get to(): "recordings" | "speaker" | null {
    if (!this.all.checked || !this.able) return null;
    return this.one.checked ? "speaker" : "recordings";
  }

  /** Say whether the model can adapt. */
  enable(able: boolean): void {
    this.able = able;
    this.draw();
  }

  /** Take what the service found once one more recording was added. */
  add(saved: Adaptation): void {
    this.saved = saved;
    this.count += 1;
    this.draw();
  }

  forget(): void {
    this.saved = null;
    this.count = 0;
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
    if (this.to === null || !this.saved) return what;
    const found = t(this.saved.counts ? "adaptedOn" : "adaptedNothing", { count: this.count });
    return `${what} ${found}`;
  }
}
