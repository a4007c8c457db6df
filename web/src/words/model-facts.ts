/** What bundles say of themselves in English, in Chinese: protocols and licences. */

const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/^leave one speaker out/, "留一说话人交叉验证"],
  [/^(\d+) folds of unseen speakers/, "$1 折交叉验证，说话人不重叠"],
  [/^leave one corpus out, (\d+) emotions/, "留一语料库（跨语料库），$1 种情绪"],
  [/; adapted to the recordings of a corpus, without labels/, "；对语料库的录音做无监督自适应"],
  [/; adapted to the speaker's utterances, without labels/, "；对说话人的语句做无监督自适应"],
  [
    /; adapted to the speaker by all other utterances, without labels/,
    "；用该说话人的其他语句做无监督自适应",
  ],
  [/; not for commercial use/, "；不可用于商业用途"],
  [/; commercial use allowed/, "；可用于商业用途"],
  [/ \(from ([^)]+)\)/, "（源自 $1）"],
  [
    / \((\S+) is (\S+) according to (\S+); the encoder is (\S+)\)/,
    "（据 $3，$1 为 $2；编码器为 $4）",
  ],
];

/** Translate what is known; null where English is left. */
export function inChinese(text: string): string | null {
  const replaced = PHRASES.reduce((sum, [phrase, zh]) => sum.replace(phrase, zh), text);
  const listed = replaced.replace(/（源自 .*?）/, (one) => one.replace(/, | and /g, "、"));
  return /[a-z]{3,} [a-z]{2,}/.test(listed) ? null : listed;
}
