/** Times along a picture whose width is time, as far apart as they can be read. */

import { font, type Box, type Range } from "./canvas";
import { clock } from "./format";
import type { Palette } from "./theme";

const STEPS_S = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800];
const TIME_PX = 80; // between two times
const TICK_PX = 5;

/** Write times at the lower edge of a box, and a tick over each. */
export function drawTimes(
  context: CanvasRenderingContext2D,
  box: Box,
  range: Range,
  palette: Palette,
): void {
  const [from, to] = range;
  const perSecond = box.width / (to - from || 1);
  const step = stepOf(TIME_PX / perSecond);
  const bottom = box.top + box.height;
  context.fillStyle = context.strokeStyle = palette.muted;
  context.lineWidth = 1;
  context.font = font(11);
  context.textAlign = "center";
  context.textBaseline = "bottom";
  for (let tick = Math.ceil(from / step); tick * step <= to; tick++) {
    const time = tick * step;
    const text = clock(time, step < 0.1 ? 2 : step < 1 ? 1 : 0);
    const half = context.measureText(text).width / 2;
    const x = box.left + (time - from) * perSecond;
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, bottom - 13 - TICK_PX);
    context.lineTo(Math.round(x) + 0.5, bottom - 13);
    context.stroke();
    const middle = Math.max(box.left + half, Math.min(box.left + box.width - half, x));
    context.fillText(text, middle, bottom);
  }
}

/** The step in seconds from one time to the next, where they must be so far apart. */
export function stepOf(leastS: number): number {
  return STEPS_S.find((seconds) => seconds >= leastS) ?? 3600;
}
