/** What a reviewer says of recordings: emotions of the whole and of segments, and notes. */

/** A stretch of a recording, of one channel or speaker where they were told apart. */
export interface Span {
  start: number;
  end: number;
  channel?: number;
  speaker?: number;
}

export interface Correction extends Span {
  emotion: string;
}

export interface Review {
  /** The emotion of the whole recording, where the reviewer says one. */
  emotion: string | null;
  note: string;
  segments: readonly Correction[];
}

export const NOTHING_SAID: Review = { emotion: null, note: "", segments: [] };

export function isSaid({ emotion, note, segments }: Review): boolean {
  return emotion !== null || note !== "" || segments.length > 0;
}

/** Say an emotion of the whole, or of a segment; saying the same again takes it back. */
export function labelled(review: Review, emotion: string, span: Span | null): Review {
  if (!span) return { ...review, emotion: review.emotion === emotion ? null : emotion };
  const same = labelOf(review, span) === emotion;
  const others = review.segments.filter((one) => !overlap(one, span));
  const { start, end, channel, speaker } = span;
  const who = { ...(channel ? { channel } : {}), ...(speaker ? { speaker } : {}) };
  const segments = same ? others : [...others, { start, end, ...who, emotion }];
  return { ...review, segments: segments.sort((one, other) => one.start - other.start) };
}

/** What the reviewer says of the whole, or of this very segment. */
export function labelOf({ emotion, segments }: Review, span: Span | null): string | null {
  if (!span) return emotion;
  const same = (one: Span): boolean => one.start === span.start && one.end === span.end;
  return segments.find((one) => same(one) && sameVoice(one, span))?.emotion ?? null;
}

function overlap(one: Span, other: Span): boolean {
  return one.start < other.end && other.start < one.end && sameVoice(one, other);
}

function sameVoice(one: Span, other: Span): boolean {
  const same = (key: "channel" | "speaker"): boolean => (one[key] ?? null) === (other[key] ?? null);
  return same("channel") && same("speaker");
}
