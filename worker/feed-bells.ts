/**
 * How a feed hears of news on Workers. A question that is held would keep its object awake, and the
 * platform bills an object that is awake. So an idle feed holds nothing but a WebSocket to each of
 * its sources, which the platform keeps while the object hibernates. A write wakes the object, and
 * it rings. What is new is then asked for like everything else.
 */
import type { ReplicaId } from "../core/ids.ts";
import type { FeedBell } from "../src/frontend/backend/backend.ts";

/** Connections of one request that the platform takes at once. */
const BELLS_COUNT_MAX = 6;
const PATH = "https://replica/bell";

/** The object's end: sockets by the namespace that they are for. */
export class BellTower {
  readonly #state: DurableObjectState;
  /** Namespaces that were rung for, and that nobody has looked at since. */
  readonly #rung = new Set<string>();

  constructor(state: DurableObjectState) {
    this.#state = state;
  }

  /** Takes a bell's socket. It outlives this object's memory. */
  hang(request: Request): Response {
    const namespace = new URL(request.url).searchParams.get("namespace");
    if (request.headers.get("Upgrade") !== "websocket" || namespace === null) {
      return new Response(null, { status: 426, headers: { Upgrade: "websocket" } });
    }
    const { 0: theirs, 1: ours } = new WebSocketPair();
    this.#state.acceptWebSocket(ours, [namespace]);
    // The frontend that hangs this one has not been rung for.
    this.#rung.delete(namespace);
    return new Response(null, { status: 101, webSocket: theirs });
  }

  /** Something of the namespace was written. The output gate holds this back until it is stored. */
  ring(namespace: string): void {
    if (this.#rung.has(namespace)) return;
    const bells = this.#state.getWebSockets(namespace);
    if (bells.length > 0) this.#rung.add(namespace);
    for (const bell of bells) ringOne(bell);
  }

  /** Something that concerns all feeds has changed. */
  ringAll(): void {
    for (const bell of this.#state.getWebSockets()) ringOne(bell);
  }

  /** Somebody looks: the next write rings again. */
  looked(namespace: string): void {
    this.#rung.delete(namespace);
  }
}

function ringOne(bell: WebSocket): void {
  try {
    bell.send("");
  } catch {
    // It is closed, and its other end knows.
  }
}

/** The frontend's end. */
export class FeedBells implements FeedBell {
  readonly #namespace: string;
  readonly #stubOf: (id: ReplicaId) => Pick<Fetcher, "fetch">;
  readonly #hanging = new Map<ReplicaId, WebSocket>();
  #hasRung = false;
  #wake: (() => void) | null = null;

  constructor(namespace: string, stubOf: (id: ReplicaId) => Pick<Fetcher, "fetch">) {
    this.#namespace = namespace;
    this.#stubOf = stubOf;
  }

  async hang(replicaIds: readonly ReplicaId[]): Promise<"hung" | "hangs" | "none"> {
    if (replicaIds.length > BELLS_COUNT_MAX) return "none";
    for (const id of this.#hanging.keys()) if (!replicaIds.includes(id)) this.#takeDown(id);
    const missing = replicaIds.filter((id) => !this.#hanging.has(id));
    const hung = await Promise.all(missing.map((id) => this.#hang(id)));
    if (!hung.every(Boolean)) return "none";
    return missing.length > 0 ? "hung" : "hangs";
  }

  silence(): void {
    this.#hasRung = false;
  }

  async rings(withinMs: number): Promise<boolean> {
    if (this.#hasRung) return true;
    let timer: ReturnType<typeof setTimeout> | null = null;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
      this.#wake = resolve;
    });
    clearTimeout(timer);
    this.#wake = null;
    return this.#hasRung;
  }

  close(): void {
    for (const id of [...this.#hanging.keys()]) this.#takeDown(id);
    this.#ring();
  }

  async #hang(id: ReplicaId): Promise<boolean> {
    try {
      const url = `${PATH}?namespace=${encodeURIComponent(this.#namespace)}`;
      const headers = { Upgrade: "websocket" };
      const { webSocket } = await this.#stubOf(id).fetch(url, { headers });
      if (webSocket === null) return false;
      webSocket.accept();
      webSocket.addEventListener("message", () => this.#ring());
      const fell = (): void => {
        if (this.#hanging.get(id) !== webSocket) return;
        this.#hanging.delete(id);
        this.#ring();
      };
      webSocket.addEventListener("close", fell);
      webSocket.addEventListener("error", fell);
      this.#hanging.set(id, webSocket);
      return true;
    } catch {
      return false;
    }
  }

  #takeDown(id: ReplicaId): void {
    const bell = this.#hanging.get(id);
    this.#hanging.delete(id);
    bell?.close(1000);
  }

  #ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }
}
