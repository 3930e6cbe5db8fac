/** `GET /v1/cluster/staleness`: what a choice of n, r and w costs and risks, here and now. */
import { DELAYS_WINDOW_MS } from "../../../core/delay-report.ts";
import { isNamespace } from "../../../core/keys.ts";
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import type { QuorumOptions, QuorumRules } from "../../../core/quorum-options.ts";
import type { StalenessResult } from "../../../core/results.ts";
import { forecast, rmseOf } from "../../staleness/forecast.ts";
import { watchOf } from "../backend/auto-choice.ts";
import type { Backend, ClusterView } from "../backend/backend.ts";
import { planOf } from "../backend/fleet-view.ts";
import { rulesOf } from "../backend/rules.ts";
import { refuseSites } from "../http/key-path.ts";
import { Problem } from "../http/problems.ts";

const TIMES_DEFAULT = "0,1,5,10,50,100";
const TIMES_COUNT_MAX = 50;
/** A day: a write that is not seen by then is not a matter of delays. */
const TIME_MS_MAX = 86_400_000;
const NAMES = ["namespace", "n", "r", "w", "dw", "t", "from"];
const WORDS: ReadonlySet<string> = new Set(["one", "quorum", "all"]);

const invalid = (option: string, detail: string): Problem =>
  new Problem("invalid-option", detail, { extras: { option } });

/** @throws Problem `invalid-option` */
function readQuery(text: string): ReadonlyMap<string, string> {
  const query = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (!NAMES.includes(name)) throw invalid(name, `"${name}" is none of ${NAMES.join(", ")}.`);
    if (query.has(name)) throw invalid(name, `${name} is given twice.`);
    query.set(name, value);
  }
  return query;
}

function timesOf(text: string): readonly number[] {
  const times = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  const isFine = times.every((t) => t >= 0 && t <= TIME_MS_MAX);
  if (isFine && times.length <= TIMES_COUNT_MAX) return times;
  const range = `from 0 to ${TIME_MS_MAX}, separated by commas`;
  throw invalid("t", `t takes at most ${TIMES_COUNT_MAX} times in ms ${range}.`);
}

/** A count, or a word for one. @throws Problem `invalid-option` */
function countOf(query: ReadonlyMap<string, string>, name: string): number | string | undefined {
  const text = query.get(name);
  if (text === undefined) return undefined;
  if (WORDS.has(text)) return text;
  if (/^[0-9]{1,4}$/.test(text)) return Number(text);
  throw invalid(name, `${name} takes a whole number, or one of ${[...WORDS].join(", ")}.`);
}

interface Asked {
  readonly namespace: string | null;
  readonly rules: QuorumRules;
  readonly isOne: (choice: { readonly r: number; readonly w: number }) => boolean;
}

function askedOf(view: ClusterView, query: ReadonlyMap<string, string>): Asked {
  const namespace = query.get("namespace") ?? null;
  if (namespace !== null) refuseSites(namespace);
  if (namespace !== null && !isNamespace(namespace)) {
    throw invalid("namespace", "namespace must name a namespace.");
  }
  const settings: NamespaceSettings =
    (namespace === null ? undefined : view.namespaces.get(namespace)) ?? view.defaults;
  const names = ["n", "r", "w", "dw"] as const;
  const given = names.map((name) => [name, countOf(query, name)] as const);
  const options = Object.fromEntries(
    given.filter(([, value]) => value !== undefined),
  ) as QuorumOptions;
  const rules = rulesOf(view, settings, options);
  const isOne: Asked["isOne"] = ({ r, w }) =>
    (!query.has("r") || r === rules.r) && (!query.has("w") || w === rules.w);
  return { namespace, rules, isOne };
}

/**
 * How old the knowledge that each member which told has of each other one is, in seconds; null: it
 * has none. Members that are away are among the others: of them it grows.
 */
function lagsOf({ reports }: StalenessResult, memberIds: readonly string[]) {
  return Object.fromEntries(
    [...reports].map(([id, { lagsMs }]) => {
      const lags = memberIds
        .filter((peer) => peer !== id)
        .map((peer) => {
          const lagMs = lagsMs.get(peer);
          return [peer, lagMs === undefined ? null : lagMs / 1000];
        });
      return [id, Object.fromEntries(lags)];
    }),
  );
}

/** @throws Problem `invalid-option`, `not-found` */
export async function answerStaleness(backend: Backend, text: string): Promise<Response> {
  const query = readQuery(text);
  const view = backend.view();
  const { namespace, rules, isOne } = askedOf(view, query);
  const from = query.get("from") ?? "other";
  if (from !== "same" && from !== "other") throw invalid("from", "from is same or other.");
  const times = timesOf(query.get("t") ?? TIMES_DEFAULT);
  const { n, dw } = rules;
  const told = await watchOf(backend).ask(backend);
  const predicted = forecast({ ...planOf(view, told, { n, dw }), from, times });
  const { samples, delays, assumed } = predicted;
  const choices = predicted.choices.filter(isOne);
  const window = DELAYS_WINDOW_MS / 1000;
  return Response.json(
    {
      namespace,
      model: { samples, window, ...delays, assumed },
      choices: choices.map(({ r, w, ...choice }) => ({ n, r, w, dw: Math.min(dw, w), ...choice })),
      rmse: rmseOf(choices),
      lag: lagsOf(told, view.ring.memberIds),
    },
    { headers: { "Cache-Control": "no-store" } },
  );
}
