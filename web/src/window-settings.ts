/** How finely a recording is cut, and what counts as unsure. */

import type { Query } from "./api";
import { byId } from "./dom";

export class WindowSettings {
  private readonly unsure = byId<HTMLInputElement>("unsure-below");
  private readonly window = byId<HTMLInputElement>("window");
  private readonly hop = byId<HTMLInputElement>("hop");
  private model = 0;

  constructor(onChange: () => void) {
    for (const input of [this.unsure, this.window, this.hop]) {
      input.addEventListener("input", () => {
        this.hop.max = numberOf(this.window, this.window.defaultValue);
        onChange();
      });
    }
  }

  /** Say the model's own threshold, which holds where none is given. */
  draw(unsureBelow: number): void {
    this.model = unsureBelow;
    this.unsure.placeholder = String(unsureBelow);
  }

  get value(): Query {
    return {
      unsure_below: numberOf(this.unsure, String(this.model)),
      window_s: numberOf(this.window, this.window.defaultValue),
      hop_s: numberOf(this.hop, this.hop.defaultValue),
    };
  }
}

/** The number of a field, or its usual one while what is written is none, or not allowed. */
function numberOf(input: HTMLInputElement, usual: string): string {
  return input.value !== "" && input.checkValidity() ? String(input.valueAsNumber) : usual;
}
