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
  addEventListener("beforeprint", startPrinting);
  addEventListener("afterprint", applyTheme);
  applyTheme();
}

export function switchTheme(): void {
  localStorage.setItem(STORED, isDark() ? "light" : "dark");
  applyTheme();
}

/** Paper is light, whatever the screen is. */
function startPrinting(): void {
  document.documentElement.dataset["theme"] = "light";
  redraw();
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

/** The colours of pictures that are saved: they go into documents. */
export function lightPalette(): Palette {
  const { dataset } = document.documentElement;
  const { theme = "light" } = dataset;
  dataset["theme"] = "light";
  const palette = currentPalette();
  dataset["theme"] = theme;
  return palette;
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
