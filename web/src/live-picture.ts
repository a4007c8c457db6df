/** The last seconds of a live voice: how loud it was, and the curves of its emotions. */

import { fitted } from "./canvas";
import { drawCurves, sampled } from "./curves";
import { colourOf } from "./emotions";
import { emotionName } from "./i18n";
import { calm, inkNow, type Ink } from "./look";
import type { Chunk } from "./microphone";
import type { Segment } from "./segments";
import type { StreamEvent } from "./stream";

export const SHOWN_S = 20;

const BAR_S = 0.1;
const HOP_S = 0.5;
const CURVES_TOP = 0.38; // of the height: above is the sound

export class LivePicture {
  labels: readonly string[] = [];
  private peaks: number[] = [];
  private heard: Segment[] = [];
  private seconds = 0;
  private drawing = 0;

  constructor(private readonly canvas: HTMLCanvasElement) {
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  clear(): void {
    this.peaks = [];
    this.heard = [];
    this.seconds = 0;
    this.draw();
  }

  sound(chunk: Chunk, rate: number): void {
    let peak = 0;
    for (const sample of chunk) peak = Math.max(peak, Math.abs(sample) / 0x8000);
    const bar = Math.floor(this.seconds / BAR_S);
    this.peaks[bar] = Math.max(this.peaks[bar] ?? 0, peak);
    this.seconds += chunk.length / rate;
    if (!calm()) this.drawSoon();
  }

  /** Take in an answer, whose times count from `offset`. */
  answer(event: StreamEvent, offset: number): void {
    const end = event.end + offset;
    const silent = event.type === "utterance"; // which ends the curves
    this.heard.push({
      ...event,
      start: silent ? end : end - HOP_S,
      end,
      emotion: silent ? null : event.emotion,
    });
    this.drawSoon();
  }

  drawSoon(): void {
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    const place = fitted(this.canvas);
    if (!place) return;
    const [context, box] = place;
    const ink = inkNow();
    const range = [Math.max(0, this.seconds - SHOWN_S), Math.max(SHOWN_S, this.seconds)] as const;
    const height = box.height * CURVES_TOP;
    this.drawSound(context, { width: box.width, height }, range[0], ink);
    const recent = this.heard.filter(({ end }) => end >= range[0]);
    const curves = { ...box, top: height, height: box.height - height };
    drawCurves(
      context,
      curves,
      {
        points: sampled(recent, range, Infinity),
        labels: this.labels,
        hidden: new Set(),
        range,
        nameOf: emotionName,
      },
      ink,
    );
  }

  private drawSound(
    context: CanvasRenderingContext2D,
    { width, height }: { width: number; height: number },
    from: number,
    ink: Ink,
  ): void {
    const step = (width * BAR_S) / SHOWN_S;
    const first = Math.floor(from / BAR_S);
    for (let bar = first; bar < this.peaks.length; bar++) {
      const size = Math.max(2, Math.sqrt(this.peaks[bar] ?? 0) * height);
      const time = (bar + 0.5) * BAR_S;
      const voice = this.heard.find(({ start, end }) => start <= time && time < end);
      context.fillStyle = colourOf(voice?.emotion ?? null, ink.dark);
      context.beginPath();
      const left = (bar - from / BAR_S) * step;
      context.roundRect(left, (height - size) / 2, Math.max(1, step - 1.5), size, 2);
      context.fill();
    }
  }
}
