/** Which emotions can occur: a checkbox for each of the model's. */

import { byId, h } from "./dom";
import { emotionName } from "./i18n";
import { dot } from "./table";

const LEAST = 2;

export class EmotionChoice {
  private readonly boxes = byId("emotions-boxes");
  private readonly left = new Set<string>();

  constructor(private readonly onChange: () => void) {}

  /** The emotions that can occur, for a query; nothing where all can. */
  get value(): string {
    const boxes = this.inputs();
    const chosen = boxes.filter(({ checked }) => checked).map(({ value }) => value);
    return chosen.length === boxes.length ? "" : chosen.join(",");
  }

  draw(labels: readonly string[]): void {
    const possible = labels.filter((label) => !this.left.has(label));
    const checked = possible.length < LEAST ? labels : possible;
    this.boxes.replaceChildren(...labels.map((label) => this.box(label, checked.includes(label))));
    this.keepLeast();
  }

  private box(label: string, checked: boolean): HTMLElement {
    const onchange = ({ target }: Event): void => {
      if ((target as HTMLInputElement).checked) this.left.delete(label);
      else this.left.add(label);
      this.keepLeast();
      this.onChange();
    };
    const input = h("input", { type: "checkbox", value: label, checked, onchange });
    return h("label", { class: "choice" }, input, dot(label), emotionName(label));
  }

  /** One emotion alone would be certain. */
  private keepLeast(): void {
    const boxes = this.inputs();
    const few = boxes.filter(({ checked }) => checked).length <= LEAST;
    for (const box of boxes) box.disabled = few && box.checked;
  }

  private inputs(): HTMLInputElement[] {
    return [...this.boxes.querySelectorAll("input")];
  }
}
