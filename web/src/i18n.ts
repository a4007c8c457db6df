/** The texts of the page, in two languages. */

import { chineseOf, UNSURE } from "./emotions";
import { ranked } from "./segments";
import { redraw } from "./theme";
import { en, type Key, type Words } from "./words/en";
import { inChinese } from "./words/model-facts";
import { zh } from "./words/zh";

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

const TABLES: Record<Language, Words> = { en, zh };
const STORED = "serein.language";

let current: Language = "en";

export function language(): Language {
  return current;
}

/** The language chosen last, or else the browser's. */
export function firstLanguage(): Language {
  const stored = localStorage.getItem(STORED);
  if (stored === "en" || stored === "zh") return stored;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function setLanguage(next: Language): void {
  current = next;
  document.documentElement.lang = next === "zh" ? "zh-Hans" : "en";
  document.title = t("title");
  translate(document);
  redraw();
}

export function chooseLanguage(next: Language): void {
  localStorage.setItem(STORED, next);
  setLanguage(next);
}

export function t(key: Key, values: Record<string, string | number> = {}): string {
  return TABLES[current][key]
    .replace(/\{(\w+)\|([^|}]*)\|([^|}]*)\}/g, (_, name: string, one: string, more: string) =>
      Number(values[name]) === 1 ? one : more,
    )
    .replace(/\{(\w+)\}/g, (_, name: string) => `${values[name] ?? ""}`);
}

/** Several names, as the language lists them. */
export function listed(names: readonly string[]): string {
  return names.join(current === "zh" ? "、" : ", ");
}

/** What a bundle says of itself in English, in the language of the page, and that language. */
export function modelFact(text: string): { text: string; lang: string } {
  const zh = current === "zh" ? inChinese(text) : null;
  return zh === null ? { text, lang: "en" } : { text: zh, lang: "zh-Hans" };
}

export function isKey(word: string): word is Key {
  return word in en;
}

/** Fill elements that name their text: content, a label, or the hint of an empty field. */
export function translate(root: ParentNode): void {
  const host = { host: location.host };
  for (const element of root.querySelectorAll<HTMLElement>("[data-t]")) {
    element.textContent = t(element.dataset["t"] as Key, host);
  }
  for (const element of root.querySelectorAll<HTMLElement>("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset["tLabel"] as Key, host));
  }
  for (const element of root.querySelectorAll<HTMLInputElement>("[data-t-hint]")) {
    element.placeholder = t(element.dataset["tHint"] as Key, host);
  }
}

/** The name of a predicted emotion; an unknown label stands for itself. */
export function emotionName(emotion: string | null): string {
  if (emotion === null) return t("noSpeech");
  if (emotion === UNSURE) return t("unsure");
  return current === "zh" ? chineseOf(emotion) : emotion;
}

/** The name of a prediction, of a vocal burst as such; where it is unsure, with its best guess. */
export function predictionName(prediction: {
  emotion: string | null;
  probabilities: Record<string, number>;
  kind?: string | null;
}): string {
  const { emotion, kind, probabilities } = prediction;
  const guess = ranked(probabilities)[0]?.[0];
  const unsure = emotion === UNSURE && guess;
  const name = unsure ? t("unsureGuess", { emotion: emotionName(guess) }) : emotionName(emotion);
  return kind === "burst" ? `${name} (${t("burst")})` : name;
}

interface Named {
  channel?: number | null;
  speaker?: number | null;
}

/** Name a channel, a speaker, or a speaker in a channel; nothing where none is told apart. */
export function voiceName({ channel, speaker }: Named): string {
  const names = [];
  if (channel) {
    const side = ([null, "left", "right"] as const)[channel];
    names.push(side ? t(side) : t("channelNumber", { number: channel }));
  }
  if (speaker) names.push(t("speakerNumber", { number: speaker }));
  return names.join(" · ");
}

/** A share of 1, as a percentage. */
export function percent(share: number): string {
  return t("percent", { value: Math.round(100 * share) });
}

/** Confidence in words. */
export function confidenceText(confidence: number): string {
  if (confidence >= 0.8) return t("sureVery");
  if (confidence >= 0.6) return t("sureFairly");
  return t(confidence >= 0.4 ? "sureBarely" : "sureGuess");
}
