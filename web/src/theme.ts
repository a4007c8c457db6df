/** Light and dark colours, and what is redrawn when they or the language change. */

const STORED = "serein.theme";
const DARK = matchMedia("(prefers-color-scheme: dark)");

const listeners = new Set<() => void>();

/** Call `draw` whenever colours or language change. */
export function onRedraw(draw: () => void): void {
  listeners.add(draw);
}

export function redraw(): void {
  for (const draw of listeners) draw();
}

export function isDark(): boolean {
  return document.documentElement.dataset["theme"] === "dark";
}

export function startTheme(): void {
  DARK.addEventListener("change", applyTheme);
  applyTheme();
}

export function switchTheme(): void {
  localStorage.setItem(STORED, isDark() ? "light" : "dark");
  applyTheme();
}

/** The colours of canvases; the style sheet defines them. */
export interface Palette {
  ink: string;
  muted: string;
  line: string;
  card: string;
  dark: boolean;
}

export function currentPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const [ink, muted, line, card] = [colour("ink"), colour("muted"), colour("line"), colour("card")];
  return { ink, muted, line, card, dark: isDark() };
}

/** Whether the person prefers no animations. */
export function reducedMotion(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function applyTheme(): void {
  const stored = localStorage.getItem(STORED);
  const dark = stored === null ? DARK.matches : stored === "dark";
  document.documentElement.dataset["theme"] = dark ? "dark" : "light";
  redraw();
}
