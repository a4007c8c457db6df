/** How numbers, times and sizes are written, in any language. */

const NEARLY_SURE = 0.995; // which two digits would write as certainty

/** 0.7 -> 0.70; a dash where there is none. */
export function number(value: number | null): string {
  if (value === null) return "–";
  if (value >= NEARLY_SURE) return "> 0.99";
  return value.toFixed(2).replace("-0.00", "0.00").replace("-", "−");
}

/** 75.26 s -> 1:15.3; hours where there are some. */
export function clock(seconds: number, digits = 1): string {
  const rounded = Number(seconds.toFixed(digits));
  const [hours, minutes] = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60];
  const rest = (rounded % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export function bytes(count: number): string {
  const mega = count / 2 ** 20;
  return mega >= 1024 ? `${(mega / 1024).toFixed(1)} GB` : `${Math.round(mega)} MB`;
}
