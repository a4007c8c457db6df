/** The keys that move and play: on the position, and the plainest of them everywhere. */

import type { Player } from "./player";

const EVERYWHERE = ["ArrowLeft", "ArrowRight", " ", "Escape"];
const OTHER_USE = "input, select, textarea, dialog";
const PRESSED = "button, a, summary"; // by space

export function bindKeys(slider: HTMLElement, player: () => Player | null): void {
  slider.addEventListener("keydown", (event) => onKey(event, player()));
  document.addEventListener("keydown", (event) => {
    const { key, target, altKey, ctrlKey, metaKey, defaultPrevented } = event;
    if (defaultPrevented || altKey || ctrlKey || metaKey || !(target instanceof Element)) return;
    if (target.closest(OTHER_USE) || slider.contains(target)) return;
    if (key === " " && target.closest(PRESSED)) return;
    if (EVERYWHERE.includes(key)) onKey(event, player());
  });
}

function onKey(event: KeyboardEvent, player: Player | null): void {
  if (!player) return;
  const step = event.shiftKey ? 5 : 1;
  const { time, duration } = player;
  const moves: Record<string, () => void> = {
    ArrowLeft: () => player.seek(time - step),
    ArrowDown: () => player.seek(time - step),
    ArrowRight: () => player.seek(time + step),
    ArrowUp: () => player.seek(time + step),
    PageDown: () => player.seek(time - 10),
    PageUp: () => player.seek(time + 10),
    Home: () => player.seek(0),
    End: () => player.seek(duration),
    " ": () => player.toggle(),
    Enter: () => player.toggle(),
    Escape: () => player.select(null),
  };
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  move();
}
