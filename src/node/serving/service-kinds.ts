/** Requests about data; all others come from background work, or for operators. */
export type DataKind =
  | "ping"
  | "greet"
  | "read"
  | "store"
  | "storeAlone"
  | "deliver"
  | "coordinate"
  | "merge"
  | "recall"
  | "inspect"
  | "status"
  | "keys"
  | "namespaces"
  | "roots"
  | "leaves"
  | "leafKeys"
  | "fetch";
