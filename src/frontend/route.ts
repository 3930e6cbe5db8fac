/** What a route is: what a request must be allowed to do, and then how it is answered. */
import type { Access, Grant } from "./auth.ts";
import type { Answer } from "./exchange.ts";
import type { Target } from "./key-path.ts";

export interface Call {
  readonly request: Request;
  readonly target: Target;
  /** The path after the route's prefix. */
  readonly rest: string;
}

export interface Plan {
  /** null: for everybody. */
  readonly access: Access | null;
  answer(grant: Grant): Response | Answer | Promise<Response | Answer>;
}

export interface Route {
  /** For metrics and for nothing else: no key, no namespace. */
  readonly pattern: string;
  readonly methods: readonly string[];
  /** @throws Problem when the path is malformed */
  plan(call: Call): Plan;
}

export interface Found {
  readonly route: Route;
  readonly rest: string;
}
