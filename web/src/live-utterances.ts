/** The utterances of a live stream, the newest first, and what they come to. */

import { byId } from "./dom";
import { clock } from "./format";
import { emotionName, percent, t } from "./i18n";
import { ranked, secondsOf, type Segment } from "./segments";
import { segmentTable } from "./table";

export class LiveUtterances {
  private readonly all: Segment[] = [];

  get list(): readonly Segment[] {
    return this.all;
  }

  add(utterance: Segment): void {
    this.all.push(utterance);
    this.draw();
  }

  clear(): void {
    this.all.length = 0;
    this.draw();
  }

  draw(): void {
    const place = byId("utterances");
    byId("live-summary").textContent = this.all.length ? this.summary() : "";
    if (!this.all.length) place.textContent = t("noUtterances");
    else place.replaceChildren(segmentTable(this.all.toReversed(), t("utterancesCaption"), null));
  }

  private summary(): string {
    const seconds = secondsOf(this.all);
    const time = [...seconds.values()].reduce((sum, one) => sum + one, 0);
    const shares = ranked(Object.fromEntries(seconds)).map(
      ([label, spoken]) => `${emotionName(label)} ${percent(spoken / (time || 1))}`,
    );
    const words = { count: this.all.length, time: clock(time, 0) };
    return [t("liveSummary", words), ...shares].join(" · ");
  }
}
