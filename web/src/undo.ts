/** The bar that offers to take back what was removed. */

import { byId } from "./dom";
import { t } from "./i18n";

const SHOWN_MS = 30_000;

export class UndoBar {
  private back: (() => void) | null = null;
  private timer = 0;

  constructor() {
    byId("undo").addEventListener("click", () => {
      this.back?.();
      this.hide();
    });
  }

  /** Offer it for a while: `back` puts so many recordings where they were. */
  offer(count: number, back: () => void): void {
    this.back = back;
    byId("undo-words").textContent = t("removed", { count });
    byId("undo-bar").hidden = false;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.hide(), SHOWN_MS);
  }

  private hide(): void {
    this.back = null;
    byId("undo-bar").hidden = true;
  }
}
