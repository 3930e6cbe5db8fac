/** Where scenarios are played: some nodes on virtual time, and all that they say to each other. */
import type { CausalContext } from "../../core/causal-context.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import { Group } from "../node/group.ts";
import { plainContent } from "../support/content.ts";
import { Words } from "./words.ts";

export interface Command {
  readonly verb: string;
  /** What stands behind the verb without `=`. */
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

/** Messages that scenarios are not about; changes by documents are told separately. */
const QUIET: ReadonlySet<string> = new Set(["ping", "pong", "greet", "greeted", "document"]);
/** By the names that a scenario has for them. */
const NUMBERS = ["n", "r", "w", "dw", "pr", "pw", "zones"] as const;

export class Stage {
  #group: Group | null = null;
  #words = new Words();
  #lines: string[] = [];
  readonly #cut = new Set<string>();
  readonly #held = new Set<string>();
  /** What open calls have asked for. */
  readonly #asked = new Map<string, string>();
  /** The ring as each node knew it when that was told last. */
  readonly #rings = new Map<string, string>();
  /** What clients may claim to have seen, by the name that the scenario gave it. */
  readonly #contexts = new Map<string, CausalContext>();
  /** Clients that wait for their answer, and the name for what they see. */
  #waiting: { readonly client: string; readonly token: number; readonly name: string }[] = [];

  /** Carries one command out. @returns what followed, line by line */
  run(command: Command): readonly string[] {
    this.#lines = [];
    this.#carryOut(command);
    this.#tellRings();
    this.#tellClients();
    return this.#lines.length === 0 ? ["nothing"] : this.#lines;
  }

  get #nodes(): Group {
    if (this.#group === null) throw new Error("a scenario begins with `cluster`");
    return this.#group;
  }

  #carryOut({ verb, words, options }: Command): void {
    const [first = ""] = words;
    switch (verb) {
      case "cluster":
        return this.#begin(Number(first), options);
      case "put":
      case "delete":
      case "get":
        return this.#operate(verb, first, options);
      case "cut":
        for (const id of words) this.#cut.add(id);
        return void this.#lines.push(`${words.join(" ")}: no message comes or goes`);
      case "heal":
        for (const id of words) this.#cut.delete(id);
        return void this.#lines.push(`${words.join(" ")}: reachable`);
      case "stop":
        this.#nodes.stop(first);
        return void this.#lines.push(`${first}: its process has ended`);
      case "start":
        this.#nodes.start(first);
        return void this.#lines.push(`${first}: runs`);
      case "wipe":
        this.#nodes.wipe(first);
        return void this.#lines.push(`${first}: its disk is empty`);
      case "hold":
        for (const kind of words) this.#held.add(kind);
        return void this.#lines.push(`${words.join(" ")}: held back`);
      case "let-go":
        this.#held.clear();
        return this.#nodes.letGo();
      case "pass":
        return this.#nodes.pass(Number(first));
      case "run":
        for (const id of words.slice(1)) this.#nodes.run(id, first);
        return;
      case "commit":
        return this.#commit(options);
      case "show":
        return this.#show(first);
      case "ring":
        for (const id of this.#ids) this.#lines.push(`${id}  ${this.#ringOf(id)}`);
        return;
      default:
        throw new Error(`no command ${verb}`);
    }
  }

  #begin(count: number, options: ReadonlyMap<string, string>): void {
    const n = Number(options.get("n") ?? Math.min(3, count));
    const group = new Group({ count, demo: { n } });
    this.#group = group;
    this.#words = new Words();
    group.loses = (message, to, from) => {
      const isLost = this.#cut.has(to) || this.#cut.has(from);
      this.#tell(message, { from, to, isLost });
      return isLost;
    };
    group.holdsBack = (message) => this.#held.has(message.body.kind);
    for (const id of group.ids) this.#rings.set(id, this.#ringOf(id));
    this.#lines.push(`${group.ids.join(" ")}, n=${n}`);
  }

  #tell(message: Message, way: { from: string; to: string; isLost: boolean }): void {
    this.#tellRings();
    const isRequest = message.type === "request";
    const callOf = (caller: string, callee: string): string =>
      `${caller}>${callee}#${message.call}`;
    if (isRequest) this.#asked.set(callOf(way.from, way.to), message.body.kind);
    const asked = isRequest ? message.body.kind : this.#asked.get(callOf(way.to, way.from));
    if (QUIET.has(message.body.kind) || QUIET.has(asked ?? "")) return;
    const what = isRequest ? this.#words.request(message.body) : this.#words.reply(message.body);
    const isRefused = isRequest && !this.#nodes.members.has(way.to);
    const end = way.isLost ? " (lost)" : isRefused ? " (refused)" : "";
    const isHeld = this.#held.has(message.body.kind);
    this.#lines.push(`${way.from} > ${way.to}  ${what}${end}${isHeld ? " (held back)" : ""}`);
  }

  #operate(verb: "put" | "delete" | "get", what: string, given: ReadonlyMap<string, string>): void {
    const [keyName = "", value = ""] = what.split(":");
    const at = given.get("at") ?? "r1";
    const options: Record<string, unknown> = {};
    for (const number of NUMBERS) {
      const said = given.get(number);
      if (said !== undefined) options[number] = Number(said);
    }
    if (given.get("sloppy") === "false") options["sloppy"] = false;
    const key = storeKey("demo", keyName);
    const context = this.#contexts.get(given.get("context") ?? "") ?? null;
    const rules = options as QuorumOptions;
    const content = verb === "put" ? plainContent(value) : null;
    const rest = { content, ttlMs: 0, context, precondition: null };
    const operation: Operation =
      verb === "get"
        ? { kind: "get", key, options: rules, session: context }
        : { kind: "write", key, options: rules, ...rest };
    const token = this.#nodes.begin(at, operation);
    const name = given.get("as") ?? "";
    const client = `client of ${at}${name === "" ? "" : ` (${name})`}`;
    this.#waiting.push({ client, token, name });
  }

  #commit(given: ReadonlyMap<string, string>): void {
    const add = (given.get("add") ?? "").split(",").filter((id) => id !== "");
    const remove = (given.get("remove") ?? "").split(",").filter((id) => id !== "");
    const members = add.map((id) => ({
      id,
      zone: "a",
      url: `http://127.0.0.1:${8000 + Number(id.slice(1))}`,
    }));
    const change = given.has("abort")
      ? { abort: true }
      : {
          ...(members.length === 0 ? {} : { add: members }),
          ...(remove.length === 0 ? {} : { remove }),
        };
    const at = given.get("at") ?? "r1";
    const token = this.#nodes.begin(at, { kind: "commit", change });
    this.#waiting.push({ client: `client of ${at}`, token, name: "" });
  }

  /** Clients that have their answer by now. */
  #tellClients(): void {
    this.#waiting = this.#waiting.filter(({ client, token, name }) => {
      const result = this.#group?.answerOf(token);
      if (result === undefined) return true;
      this.#lines.push(`${client}: ${this.#words.result(result)}`);
      const context = result.kind === "got" ? result.entry.context : null;
      const told = result.kind === "written" ? result.context : context;
      if (told !== null && name !== "") this.#contexts.set(name, told);
      return false;
    });
  }

  /** What each replica has of a key, and what it keeps for others. */
  #show(name: string): void {
    const key = storeKey("demo", name);
    for (const id of this.#ids) {
      const { keeper } = this.#nodes.node(id).service ?? {};
      if (keeper === undefined) continue;
      const own = keeper.store.readEntry(key);
      this.#lines.push(`${id}  ${own === undefined ? "nothing" : this.#words.bytes(own)}`);
      for (const target of keeper.store.hintTargets(key)) {
        const hint = keeper.store.readHint(target, key);
        if (hint !== undefined)
          this.#lines.push(`${id}  for ${target}: ${this.#words.bytes(hint)}`);
      }
    }
  }

  get #ids(): readonly string[] {
    return [...this.#nodes.ids].sort();
  }

  #ringOf(id: string): string {
    return this.#words.ring(this.#nodes.node(id).knowledge.document.ring);
  }

  /** What nodes have come to know of a change of members, when that is news. */
  #tellRings(): void {
    for (const id of this.#group === null ? [] : this.#ids) {
      const ring = this.#ringOf(id);
      const before = this.#rings.get(id);
      if (before !== undefined && before !== ring) this.#lines.push(`${id} knows of ${ring}`);
      this.#rings.set(id, ring);
    }
  }
}
