/** A voice on its way to the service, and what the service says while it listens. */

import { streamAddress } from "./api";
import type { Chunk } from "./microphone";
import type { Segment } from "./segments";

export interface StreamEvent extends Segment {
  type: "voice" | "emotion" | "utterance";
  utterances_known: number;
}

export interface Ready {
  type: "ready";
  model: string;
  labels: string[];
}

export interface Hearing {
  onReady: (ready: Ready) => void;
  onEvent: (event: StreamEvent) => void;
  /** The stream is over: as asked, never begun, with an error of the service, or lost. */
  onOver: (how: "done" | "refused" | "lost", code: string, message: string) => void;
}

type Message =
  Ready | StreamEvent | { type: "done" } | { type: "error"; code: string; message: string };

export class Stream {
  private readonly socket: WebSocket;
  private readonly early: Chunk[] = [];
  private ready = false;
  private over = false;

  constructor(
    settings: Record<string, string>,
    private readonly hearing: Hearing,
  ) {
    this.socket = new WebSocket(...streamAddress(settings));
    this.socket.onmessage = ({ data }: MessageEvent<string>): void =>
      this.take(JSON.parse(data) as Message);
    this.socket.onclose = (): void => this.finish(this.ready ? "lost" : "refused");
  }

  /** Send a chunk; what comes before the service is ready waits for it. */
  send(chunk: Chunk): void {
    if (this.ready) this.socket.send(chunk);
    else this.early.push(chunk);
  }

  /** Ask for what is pending; `onOver` says when it has come. */
  end(): void {
    if (this.ready && !this.over) this.socket.send(JSON.stringify({ type: "end" }));
    else this.finish("done");
  }

  private take(message: Message): void {
    if (message.type === "ready") {
      this.ready = true;
      this.early.splice(0).forEach((chunk) => this.socket.send(chunk));
      this.hearing.onReady(message);
    } else if (message.type === "done") this.finish("done");
    else if (message.type === "error") this.finish("lost", message.code, message.message);
    else this.hearing.onEvent(message);
  }

  private finish(how: "done" | "refused" | "lost", code = "", message = ""): void {
    if (this.over) return;
    this.over = true;
    this.socket.close();
    this.hearing.onOver(how, code, message);
  }
}
