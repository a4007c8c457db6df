/** The emotions of `serein.emotions`: Chinese names, coordinates, colours on light and dark. */

export interface Place {
  valence: number;
  arousal: number;
}

interface Emotion extends Place {
  zh: string;
  /** As in serein's pictures, darkened or lightened until it stands out by 3 : 1. */
  light: string;
  dark: string;
}

export const EMOTIONS: Readonly<Record<string, Emotion>> = {
  neutral: { zh: "中性", valence: 0, arousal: 0, light: "#84848a", dark: "#bbbbbb" },
  calm: { zh: "平静", valence: 0.7, arousal: -0.7, light: "#2f94c4", dark: "#88ccee" },
  happiness: { zh: "快乐", valence: 0.9, arousal: 0.3, light: "#b98500", dark: "#e3b548" },
  sadness: { zh: "悲伤", valence: -0.9, arousal: -0.4, light: "#4477aa", dark: "#6fa0d3" },
  anger: { zh: "愤怒", valence: -0.6, arousal: 0.8, light: "#cc3311", dark: "#f2694c" },
  fear: { zh: "恐惧", valence: -0.7, arousal: 0.7, light: "#aa3377", dark: "#d968a6" },
  disgust: { zh: "厌恶", valence: -0.8, arousal: 0.3, light: "#228833", dark: "#4fb560" },
  surprise: { zh: "惊讶", valence: 0.3, arousal: 0.9, light: "#de6420", dark: "#f58b4f" },
  boredom: { zh: "无聊", valence: -0.5, arousal: -0.8, light: "#85852a", dark: "#b3b34a" },
  contempt: { zh: "轻蔑", valence: -0.6, arousal: 0.2, light: "#332288", dark: "#9a8cf0" },
  amusement: { zh: "逗乐", valence: 0.65, arousal: 0.05, light: "#cc44ee", dark: "#cc44ff" },
  contentment: { zh: "满足", valence: 0.8, arousal: -0.6, light: "#669966", dark: "#44ee88" },
  distress: { zh: "苦恼", valence: -0.7, arousal: 0.7, light: "#442211", dark: "#886655" },
  elation: { zh: "欢欣", valence: 0.7, arousal: 0.6, light: "#9900ff", dark: "#aa00ff" },
};

/** What a recipe may say of a label of its own. */
export interface OwnEmotion {
  valence: number | null;
  arousal: number | null;
  zh: string | null;
}

const own = new Map<string, OwnEmotion>();

/** Take in what models say of labels of their own. */
export function describeOwn(models: readonly { own_labels?: Record<string, OwnEmotion> }[]): void {
  for (const { own_labels: described = {} } of models) {
    for (const [label, one] of Object.entries(described)) own.set(label, one);
  }
}

export function placeOf(label: string): Place | null {
  const { valence, arousal } = EMOTIONS[label] ?? own.get(label) ?? {};
  return valence == null || arousal == null ? null : { valence, arousal };
}

/** The Chinese name, or else the label itself. */
export function chineseOf(label: string): string {
  return (EMOTIONS[label] ?? own.get(label))?.zh ?? label;
}

/** The service's label for a confidence below the threshold. */
export const UNSURE = "unsure";

/** Of labels of one's own, which their letters choose: as in serein's pictures. */
const OWN = [
  { light: "#6d5f4b", dark: "#c4b294" },
  { light: "#00796b", dark: "#4db6a6" },
  { light: "#8a4b2a", dark: "#d09a78" },
  { light: "#46627f", dark: "#93b0cf" },
  { light: "#5d6d1e", dark: "#b0bf63" },
  { light: "#7d3c5d", dark: "#cf9ab4" },
] as const;
const SILENT = { light: "#b9bec7", dark: "#4a5362" };
const GREY = { light: "#707884", dark: "#8e98a6" };

export function colourOf(emotion: string | null, dark: boolean): string {
  const shade = dark ? "dark" : "light";
  if (emotion === null) return SILENT[shade];
  if (emotion === UNSURE) return GREY[shade];
  return (EMOTIONS[emotion] ?? ownColour(emotion))[shade];
}

function ownColour(label: string): { light: string; dark: string } {
  const sum = [...label].reduce((total, one) => total + (one.codePointAt(0) as number), 0);
  return OWN[sum % OWN.length] as (typeof OWN)[number];
}

/** Lines of curves differ by their dashes too, for eyes that cannot tell their colours apart. */
const DASHES: readonly (readonly number[])[] = [
  [],
  [7, 4],
  [2, 3],
  [10, 4, 2, 4],
  [14, 5],
  [5, 2, 1, 2],
  [1, 4],
  [10, 3, 3, 3, 3, 3],
  [4, 4],
  [16, 3, 1, 3],
  [1, 2, 8, 2],
  [6, 6],
  [18, 6],
  [3, 1, 1, 1],
];

export function dashOf(label: string, labels: readonly string[]): number[] {
  return [...(DASHES[labels.indexOf(label) % DASHES.length] ?? [])];
}
