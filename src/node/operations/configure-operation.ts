/** Creates, changes or deletes a namespace. */
import type { Failure } from "../../../core/failure.ts";
import { NAMESPACES_COUNT_MAX } from "../../../core/limits.ts";
import type { Reply } from "../../../core/messages.ts";
import type { ConfigureOperation } from "../../../core/operations.ts";
import { majority } from "../../../core/quorum-options.ts";
import type { Millis } from "../../../core/time.ts";
import { isFullWithout, withNamespace } from "../../../ring/cluster-document.ts";
import { openChange } from "../../../ring/ring-change.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import { Pause } from "../peers/pause.ts";
import { type FrontendHost, fail, type Respond } from "../peers/tasks.ts";
import { tellDocument } from "../peers/tell-document.ts";
import { changeMsMax, tooLate } from "./lateness.ts";

/** How long the answer waits for a change of N, and how often that is looked at, in ms. */
const SETTLE_MS_MAX = 3000;
const SETTLE_POLL_MS = 100;

export class NamespaceConfigurator {
  readonly #host: FrontendHost;

  constructor(host: FrontendHost) {
    this.#host = host;
  }

  /**
   * Two rounds: first learn what the members know, so that the revision is above any of theirs,
   * then tell them. Done when a majority has it on stable storage; a member that was away learns by
   * the stamp.
   */
  start(operation: ConfigureOperation, answer: Respond<"configure">, now: Millis): void {
    const { knowledge } = this.#host;
    const { namespace, settings } = operation;
    this.#tellAll(now, (reached, at) => {
      const unreached = this.#shortOf(reached);
      if (unreached !== null) return answer(fail({ ...unreached, isWithoutEffect: true }));
      const refusal = this.#refusalOf(operation);
      if (refusal !== null) return answer(fail(refusal));
      this.#whetherEmpty(operation, at, (isEmpty, later) => {
        const asked = { at: now, forMs: changeMsMax(knowledge.timeoutMs) };
        const late = tooLate(asked, later);
        if (late !== null) return answer(fail(late));
        const created = !knowledge.namespaces.has(namespace);
        knowledge.learn(withNamespace(knowledge.document, namespace, settings, isEmpty));
        this.#tellAll(later, (told, toldAt) => {
          const untold = this.#shortOf(told);
          if (untold !== null) return answer(fail(untold));
          const done = (): void => answer({ kind: "configured", created });
          this.#awaitChange(namespace, { now: toldAt, until: toldAt + SETTLE_MS_MAX, done });
        });
      });
    });
  }

  /** By what the members know: a frontend's own view may be older. */
  #refusalOf({ namespace, settings }: ConfigureOperation): Failure | null {
    const { knowledge } = this.#host;
    const { document, defaults, ring } = knowledge;
    if (isFullWithout(document, namespace)) return tooManyNamespaces;
    const n = settings?.n ?? defaults.n;
    // The N that it has, or had: a change of N may always be called back.
    if ([knowledge.settingsOf(namespace).n, knowledge.countedOf(namespace)].includes(n))
      return null;
    if (openChange(document.ring) !== null) return membersChange;
    return n > ring.memberIds.length ? tooLargeN(ring.memberIds.length) : null;
  }

  /**
   * In a small namespace another N takes effect within moments: the answer may as well wait for it.
   */
  #awaitChange(
    namespace: string,
    of: { readonly now: Millis; readonly until: Millis; readonly done: () => void },
  ): void {
    const { knowledge } = this.#host;
    if (!knowledge.changes.has(namespace) || of.now >= of.until) return of.done();
    const again = (now: Millis): void => this.#awaitChange(namespace, { ...of, now });
    this.#host.run<null>(
      {
        timeoutMs: SETTLE_MS_MAX,
        again: null,
        make: (out) => new Pause(SETTLE_POLL_MS, out),
        finish: (_, now) => this.#tellAll(now, (__, at) => again(at)),
      },
      of.now,
    );
  }

  /** Whether every member says that it has nothing of the namespace; not asked unless N changes. */
  #whetherEmpty(
    { namespace, settings }: ConfigureOperation,
    now: Millis,
    done: (isEmpty: boolean, now: Millis) => void,
  ): void {
    const { knowledge } = this.#host;
    const members = knowledge.ring.memberIds;
    const n = settings?.n ?? knowledge.defaults.n;
    if (n === knowledge.countedOf(namespace)) return done(false, now);
    const hasNone = (reply: Reply | undefined): boolean =>
      reply?.kind === "listed" && reply.entries.length === 0;
    const tell = (replies: Replies, at: Millis): void =>
      done(
        members.every((id) => hasNone(replies.get(id))),
        at,
      );
    const body = { kind: "keys", namespace, prefix: "", after: "", limit: 1 } as const;
    const { timeoutMs } = knowledge;
    askAll(this.#host, { targets: members, body, timeoutMs, done: tell }, now);
  }

  /**
   * Why these are too few; null where they are a majority.
   *
   * @param achieved how many members have acknowledged
   */
  #shortOf(achieved: number): Failure | null {
    const required = majority(this.#host.knowledge.ring.memberIds.length);
    const detail = "Fewer than a majority of the members acknowledged the cluster document.";
    if (achieved >= required) return null;
    return { code: "quorum-unavailable", detail, required, achieved };
  }

  #tellAll(now: Millis, done: (acknowledgedCount: number, now: Millis) => void): void {
    const { ring, timeoutMs } = this.#host.knowledge;
    const targets = ring.memberIds;
    const count = (replies: Replies, at: Millis): void => {
      done([...replies.values()].filter(({ kind }) => kind === "documented").length, at);
    };
    tellDocument(this.#host, { targets, timeoutMs, done: count }, now);
  }
}

const tooManyNamespaces: Failure = {
  code: "invalid-request",
  detail: `A cluster remembers ${NAMESPACES_COUNT_MAX} namespaces, deleted ones among them.`,
  limit: NAMESPACES_COUNT_MAX,
};

const membersChange: Failure = {
  code: "ring-conflict",
  detail: "Members are changing. Change n when GET /v1/cluster/transfers is empty.",
};

const tooLargeN = (limit: number): Failure => ({
  code: "invalid-request",
  detail: `"n" must be at most ${limit}: there are no more members. Add members first.`,
  limit,
});
