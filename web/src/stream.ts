/** A live stream: sends sound to the service, and receives events. */

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

export interface StreamHandlers {
  onReady: (ready: Ready) => void;
  onEvent: (event: StreamEvent) => void;
  /** The stream has ended: as asked, refused at the start, or lost (perhaps with an error). */
  onEnd: (how: "done" | "refused" | "lost", code: string, message: string) => void;
}

type Message =
  Ready | StreamEvent | { type: "done" } | { type: "error"; code: string; message: string };

export class Stream {
  private readonly socket: WebSocket;
  private readonly queue: Chunk[] = [];
  private ready = false;
  private ended = false;

  constructor(
    settings: Record<string, string>,
    private readonly handlers: StreamHandlers,
  ) {
    this.socket = new WebSocket(...streamAddress(settings));
    this.socket.onmessage = ({ data }: MessageEvent<string>): void =>
      this.receive(JSON.parse(data) as Message);
    this.socket.onclose = (): void => this.finish(this.ready ? "lost" : "refused");
  }

  /** Send a chunk; chunks are queued until the service is ready. */
  send(chunk: Chunk): void {
    if (this.ready) this.socket.send(chunk);
    else this.queue.push(chunk);
  }

  /** Ask for what is pending; `onEnd` is called when it has come. */
  end(): void {
    if (this.ready && !this.ended) this.socket.send(JSON.stringify({ type: "end" }));
    else this.finish("done");
  }

  private receive(message: Message): void {
    if (message.type === "ready") {
      this.ready = true;
      this.queue.splice(0).forEach((chunk) => this.socket.send(chunk));
      this.handlers.onReady(message);
    } else if (message.type === "done") this.finish("done");
    else if (message.type === "error") this.finish("lost", message.code, message.message);
    else this.handlers.onEvent(message);
  }

  private finish(how: "done" | "refused" | "lost", code = "", message = ""): void {
    if (this.ended) return;
    this.ended = true;
    this.socket.close();
    this.handlers.onEnd(how, code, message);
  }
}
