/** The curves of a recording, with their legend, cursor and readout. */

import { fitted, type Range } from "./canvas";
import { byMean, drawCurves, sampled } from "./curves";
import { byId } from "./dom";
import { clock, number } from "./format";
import { emotionName, t } from "./i18n";
import { drawLegend } from "./legend";
import { ranked, segmentAt, type Segment } from "./segments";
import { currentPalette } from "./theme";

const POINTS = 600; // of a curve
const READOUT = 3; // emotions named under the curves

export class CurvesView {
  private timeline: readonly Segment[] = [];
  private labels: readonly string[] = []; // in the order of their mean
  private range: Range = [0, 0];
  private readonly hidden = new Set<string>();

  readonly canvas = byId<HTMLCanvasElement>("curves");

  constructor() {
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  show(timeline: readonly Segment[], probabilities: Record<string, number>): void {
    this.timeline = timeline;
    const all = sampled(timeline, [0, timeline.at(-1)?.end ?? 0], POINTS);
    this.labels = byMean(all, Object.keys(probabilities));
    drawLegend(byId("legend"), this.labels, this.hidden, () => this.draw());
    this.draw();
  }

  view(range: Range): void {
    this.range = range;
    this.draw();
  }

  moveTo(time: number, playable: boolean): void {
    const [from, to] = this.range;
    const share = (time - from) / (to - from || 1);
    const cursor = byId("curves-cursor");
    cursor.hidden = !playable || share < 0 || share > 1;
    cursor.style.left = `${share * 100}%`;
    this.drawReadout(time);
  }

  /** Write the probabilities at a time. */
  drawReadout(time: number): void {
    const segment = segmentAt(this.timeline, time);
    if (!segment) return;
    const emotionsNow = ranked(segment.probabilities)
      .slice(0, READOUT)
      .map(([label, value]) => `${emotionName(label)} ${number(value)}`);
    const emotions = emotionsNow.length ? emotionsNow.join(" · ") : t("noSpeech");
    byId("readout").textContent = t("readout", { time: clock(time), emotions });
  }

  private draw(): void {
    this.canvas.setAttribute("aria-label", t("curvesText"));
    const fit = fitted(this.canvas);
    if (!fit) return;
    const [context, box] = fit;
    const { hidden, range } = this;
    const { labels } = this;
    const points = sampled(this.timeline, range, POINTS);
    const shown = { points, labels, hidden, range, nameOf: emotionName };
    drawCurves(context, box, shown, currentPalette());
  }
}
