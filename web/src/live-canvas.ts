/** The last seconds of a live stream: its waveform, and the probability of each emotion. */

import { fitted } from "./canvas";
import { drawCurves, sampled } from "./curves";
import { colourOf } from "./emotions";
import { emotionName } from "./i18n";
import { reducedMotion, currentPalette, type Palette } from "./theme";
import type { Chunk } from "./microphone";
import type { Segment } from "./segments";
import type { StreamEvent } from "./stream";

export const SHOWN_S = 20;

const BAR_S = 0.1;
const HOP_S = 0.5;
const CURVES_TOP = 0.38; // of the height: above is the sound

export class LiveCanvas {
  labels: readonly string[] = [];
  readonly hidden = new Set<string>();
  private peaks: number[] = [];
  private events: Segment[] = [];
  private seconds = 0;
  private drawing = 0;

  constructor(private readonly canvas: HTMLCanvasElement) {
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  clear(): void {
    this.peaks = [];
    this.events = [];
    this.seconds = 0;
    this.draw();
  }

  addSound(chunk: Chunk, rate: number): void {
    let peak = 0;
    for (const sample of chunk) peak = Math.max(peak, Math.abs(sample) / 0x8000);
    const bar = Math.floor(this.seconds / BAR_S);
    this.peaks[bar] = Math.max(this.peaks[bar] ?? 0, peak);
    this.seconds += chunk.length / rate;
    if (!reducedMotion()) this.drawSoon();
  }

  /** Add an event, whose times count from `offset`. */
  addEvent(event: StreamEvent, offset: number): void {
    const end = event.end + offset;
    const silent = event.type === "utterance"; // it ends the curves
    this.events = this.events.filter((one) => one.end > end - SHOWN_S - HOP_S);
    this.events.push({
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
    const fit = fitted(this.canvas);
    if (!fit) return;
    const [context, box] = fit;
    const palette = currentPalette();
    const range = [Math.max(0, this.seconds - SHOWN_S), Math.max(SHOWN_S, this.seconds)] as const;
    const height = box.height * CURVES_TOP;
    this.drawSound(context, { width: box.width, height }, range[0], palette);
    const recent = this.events.filter(({ end }) => end >= range[0]);
    const curves = { ...box, top: height, height: box.height - height };
    drawCurves(
      context,
      curves,
      {
        points: sampled(recent, range, Infinity),
        labels: this.labels,
        hidden: this.hidden,
        range,
        nameOf: emotionName,
      },
      palette,
    );
  }

  private drawSound(
    context: CanvasRenderingContext2D,
    { width, height }: { width: number; height: number },
    from: number,
    palette: Palette,
  ): void {
    const step = (width * BAR_S) / SHOWN_S;
    const first = Math.floor(from / BAR_S);
    for (let bar = first; bar < this.peaks.length; bar++) {
      const size = Math.max(2, Math.sqrt(this.peaks[bar] ?? 0) * height);
      const time = (bar + 0.5) * BAR_S;
      const event = this.events.find(({ start, end }) => start <= time && time < end);
      context.fillStyle = colourOf(event?.emotion ?? null, palette.dark);
      context.beginPath();
      const left = (bar - from / BAR_S) * step;
      context.roundRect(left, (height - size) / 2, Math.max(1, step - 1.5), size, 2);
      context.fill();
    }
  }
}
