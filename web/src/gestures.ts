/** What a pointer does on a picture whose width is time: seeks, plays a segment, selects a loop. */

import type { Range } from "./canvas";

export interface Gestures {
  timeAt: (event: MouseEvent) => number;
  /** A click. */
  seek: (time: number) => void;
  /** A double click. */
  play: (time: number) => void;
  /** A drag goes on; it is `done` when the pointer is let go. */
  select: (range: Range, done: boolean) => void;
}

const DRAG_PX = 5; // less is a click of an unsteady hand

export function onGestures(element: HTMLElement, { timeAt, seek, play, select }: Gestures): void {
  let from: { x: number; time: number } | null = null;
  let dragged = false;
  const drag = (event: PointerEvent, done: boolean): void => {
    if (from && dragged) {
      const to = timeAt(event);
      select([Math.min(from.time, to), Math.max(from.time, to)], done);
    }
    if (done) from = null;
  };
  element.addEventListener("pointerdown", (event) => {
    const fits = event.button === 0 && event.pointerType !== "touch"; // which scrolls the page
    from = fits ? { x: event.clientX, time: timeAt(event) } : null;
    dragged = false;
  });
  element.addEventListener("pointermove", (event) => {
    if (!from || !(event.buttons & 1)) return;
    if (!dragged && Math.abs(event.clientX - from.x) < DRAG_PX) return;
    if (!dragged) element.setPointerCapture(event.pointerId);
    dragged = true;
    drag(event, false);
  });
  element.addEventListener("pointerup", (event) => drag(event, true));
  element.addEventListener("pointercancel", () => (from = null));
  element.addEventListener("click", (event) => {
    if (!dragged) seek(timeAt(event));
  });
  element.addEventListener("dblclick", (event) => {
    if (!dragged) play(timeAt(event));
  });
}
