/** What is known of a model's confidence: for which voices it was measured, and how often right. */

import type { Model } from "./api";
import { language, LANGUAGES, percent, t } from "./i18n";

/** Say it for predictions about as sure as this one; null leaves out how often they are right. */
export function measuredText(model: Model | undefined, confidence: number | null): string {
  if (!model?.languages.length) return t("measuredNot");
  const languages = listed(model.languages);
  const right = confidence === null ? null : rightAt(model, confidence);
  const found = right === null ? t("measured", { languages }) : t("measuredRight", { languages, right });
  const spoken = model.languages.map((tag) => new Intl.Locale(tag).language);
  const others = LANGUAGES.filter((tag) => !spoken.includes(tag));
  return `${found} ${others.length ? t("measuredOthers", { languages: listed(others) }) : ""}`.trim();
}

/** How often predictions about this sure were right, in recordings unlike those of training. */
function rightAt({ reliability }: Model, confidence: number): string | null {
  const bins = reliability["unseen corpora"] ?? reliability["unseen speakers"] ?? [];
  const away = (bin: { confidence: number }): number => Math.abs(bin.confidence - confidence);
  const [first, ...others] = bins;
  if (!first) return null;
  return percent(others.reduce((best, bin) => (away(bin) < away(best) ? bin : best), first).right);
}

function listed(tags: readonly string[]): string {
  const locale = language() === "zh" ? "zh-Hans" : "en";
  const names = new Intl.DisplayNames(locale, { type: "language" });
  return new Intl.ListFormat(locale).format(tags.map((tag) => names.of(tag) ?? tag));
}
