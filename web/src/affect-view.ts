/** The plane of valence and arousal, with the path of a recording and its present place. */

import { at, drawAffect, pathOf, plane } from "./affect";
import { affectLabels } from "./affect-labels";
import { fitted } from "./canvas";
import { byId } from "./dom";
import { number } from "./format";
import { t } from "./i18n";
import type { Segment } from "./segments";
import { currentPalette } from "./theme";
import type { Whole } from "./voices";

const STEPS = 150; // of the path

export class AffectView {
  private shown: { timeline: readonly Segment[]; whole: Whole } | null = null;
  private readonly canvas = byId<HTMLCanvasElement>("affect");

  constructor() {
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  show(timeline: readonly Segment[], whole: Whole): void {
    this.shown = { timeline, whole };
    this.draw();
  }

  /** Move the dot to a segment's place. */
  moveTo(segment: Segment | undefined): void {
    const here = byId("affect-dot");
    const { clientWidth: width, clientHeight: height } = this.canvas;
    here.hidden = !segment || segment.valence === null || segment.arousal === null || !width;
    if (here.hidden || !segment) return;
    const plot = plane({ left: 0, top: 0, width, height });
    const [x, y] = at(plot, { valence: segment.valence ?? 0, arousal: segment.arousal ?? 0 });
    here.style.transform = `translate(${x}px, ${y}px)`;
  }

  private draw(): void {
    if (!this.shown) return;
    const { timeline, whole } = this.shown;
    const { valence, arousal, probabilities } = whole;
    const place = valence === null || arousal === null ? null : { valence, arousal };
    const values = { valence: number(valence), arousal: number(arousal) };
    this.canvas.setAttribute("aria-label", place ? t("affectText", values) : t("affectNone"));
    const fit = fitted(this.canvas);
    if (!fit) return;
    const [context, box] = fit;
    const [path, labels] = [pathOf(timeline, STEPS), Object.keys(probabilities)];
    drawAffect(context, plane(box), path, place, labels, affectLabels(), currentPalette());
  }
}
