/** What is asked about data; the rest is asked by background work, and for operators. */
export type DataKind =
  | "ping"
  | "greet"
  | "read"
  | "store"
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
