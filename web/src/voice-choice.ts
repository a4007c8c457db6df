/** Which voices are told apart: channels, and speakers. */

import type { Query } from "./api";
import { byId } from "./dom";

export class VoiceChoice {
  private readonly channels = byId<HTMLSelectElement>("channels");
  private readonly speakers = byId<HTMLSelectElement>("speakers");

  constructor(private readonly onChange: () => void) {
    for (const select of [this.channels, this.speakers]) {
      select.addEventListener("change", onChange);
    }
  }

  /** For a query; voices that are told apart are predicted utterance by utterance. */
  get value(): Query {
    const [channels, speakers] = [this.channels.value, this.speakers.value];
    if (channels === "mix" && !speakers) return {};
    return { channels, segments: "utterances", ...(speakers ? { speakers } : {}) };
  }

  /** Take each channel for itself. */
  splitChannels(): void {
    this.channels.value = "each";
    this.onChange();
  }
}
