/** Canvases that are sharp on every screen, and the places on them. */

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export type Range = readonly [from: number, to: number];

const FONT = 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';

export function font(px: number, weight = 400): string {
  return `${weight} ${px}px ${FONT}`;
}

/** Fit a canvas to its place on the page and clear it; null while it is not shown. */
export function fitted(canvas: HTMLCanvasElement): [CanvasRenderingContext2D, Box] | null {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext("2d");
  if (!width || !height || !context) return null;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return [context, { left: 0, top: 0, width, height }];
}

/** Draw bars for the peaks of equal parts, each in the colour of its time. */
export function drawWave(
  context: CanvasRenderingContext2D,
  box: Box,
  peaks: Float32Array,
  colourAt: (share: number) => string,
): void {
  const step = box.width / peaks.length;
  const loudest = Math.max(0.05, ...peaks);
  peaks.forEach((peak, index) => {
    const height = Math.max(1.5, (peak / loudest) * box.height);
    context.fillStyle = colourAt((index + 0.5) / peaks.length);
    context.beginPath();
    const [left, top] = [box.left + index * step, box.top + (box.height - height) / 2];
    context.roundRect(left, top, Math.max(1, step - 1), height, 1);
    context.fill();
  });
}

/** Write with a rim in the colour of the ground, so that lines behind do not run into it. */
export function halo(
  context: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  colour: string,
  ground: string,
): void {
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = ground;
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}
