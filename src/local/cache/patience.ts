/** How long an origin may take: for a connection, and then for each sign of life. */
import type { SiteSettings } from "../../../core/site.ts";
import { OriginError } from "../../door/ports.ts";

/** Made only when it happens: to make one for each wait takes a fourteenth of a fetch. */
export const silentFor = (ms: number): OriginError =>
  new OriginError("origin-timeout", `No byte came for ${ms} ms.`);

type Limits = Pick<SiteSettings, "connectTimeoutMs" | "originTimeoutMs">;

/**
 * The wait for the head of an origin's answer. While the client's next bytes are awaited the origin
 * is not late, however long the upload is.
 */
export class Patience {
  readonly #limits: Limits;
  readonly #giveUp: (error: OriginError) => void;
  #timer: NodeJS.Timeout | undefined;
  #phase: "connecting" | "connected" | "over" = "connecting";
  #isClientsTurn = false;

  /** @param giveUp called once, unless it is over before */
  constructor(limits: Limits, giveUp: (error: OriginError) => void) {
    this.#limits = limits;
    this.#giveUp = giveUp;
    const ms = limits.connectTimeoutMs;
    const detail = `No connection came about within ${ms} ms.`;
    this.#arm(ms, () => new OriginError("origin-unreachable", detail));
  }

  connected(): void {
    if (this.#phase === "connecting") this.#phase = "connected";
    this.heard();
  }

  /** The origin took or said something: it has all its time again. */
  heard(): void {
    if (this.#phase !== "connected") return;
    clearTimeout(this.#timer);
    const ms = this.#limits.originTimeoutMs;
    if (!this.#isClientsTurn) this.#arm(ms, () => silentFor(ms));
  }

  /** It is the client's turn to send bytes, or they have come. */
  waitForClient(isClientsTurn: boolean): void {
    this.#isClientsTurn = isClientsTurn;
    this.heard();
  }

  end(): void {
    this.#phase = "over";
    clearTimeout(this.#timer);
  }

  #arm(ms: number, error: () => OriginError): void {
    this.#timer = setTimeout(() => this.#giveUp(error()), ms);
  }
}
