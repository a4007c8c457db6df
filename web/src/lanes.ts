/** A lane for each voice: who speaks when, how long, and how; one is shown in detail. */

import { fitted, type Range } from "./canvas";
import { byId, h } from "./dom";
import { colourOf } from "./emotions";
import { clock, number } from "./format";
import { predictionName, t, voiceName } from "./i18n";
import { inRange } from "./segments";
import { dot } from "./table";
import { isDark } from "./theme";
import type { Voice } from "./voices";

export class Lanes {
  private voices: readonly Voice[] = [];
  private canvases: HTMLCanvasElement[] = [];
  private readonly place = byId("lanes");

  constructor(
    private readonly choose: (voice: Voice) => void,
    private readonly bindPointer: (canvas: HTMLElement, voice: Voice) => void,
  ) {}

  /** Draw them again; nothing where there is one voice. */
  draw(voices: readonly Voice[], chosen: Voice, duration: number): void {
    this.place.hidden = voices.length < 2;
    const focused = [...this.place.querySelectorAll("button")].indexOf(
      document.activeElement as HTMLButtonElement,
    );
    this.voices = voices;
    this.canvases = voices.map((voice) => {
      const canvas = h("canvas", { class: "lane" });
      this.bindPointer(canvas, voice);
      return canvas;
    });
    const rows = voices.map((voice, index) =>
      h("div", {}, this.head(voice, voice === chosen, duration), this.canvases[index] ?? null),
    );
    this.place.replaceChildren(...rows);
    this.place.querySelectorAll("button")[focused]?.focus();
  }

  drawRange(range: Range): void {
    this.canvases.forEach((canvas, index) => {
      const fit = fitted(canvas);
      if (!fit) return;
      const [context, { width, height }] = fit;
      const scale = width / (range[1] - range[0] || 1);
      for (const { start, end, emotion } of inRange(this.voices[index]?.timeline ?? [], range)) {
        context.fillStyle = colourOf(emotion, isDark());
        const thin = emotion === null ? height - 2 : 0;
        const left = (start - range[0]) * scale;
        context.fillRect(left, thin / 2, (end - start) * scale, height - thin);
      }
    });
  }

  private head(voice: Voice, chosen: boolean, duration: number): HTMLElement {
    const { whole, speechS } = voice;
    const share = Math.round((100 * speechS) / (duration || 1));
    const spoken = t("speaks", { time: clock(speechS), share });
    const choose = (): void => this.choose(voice);
    return h(
      "p",
      { class: "small" },
      h("button", { type: "button", "aria-pressed": String(chosen), onclick: choose }, voiceName(voice)),
      `${spoken} · `,
      dot(whole.emotion),
      `${predictionName(whole)} ${number(whole.confidence)}`,
    );
  }
}
