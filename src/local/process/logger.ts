/** Structured logs: one JSON object a line on stderr. Never a value, a token or a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;
export type Log = (event: string, fields?: LogFields) => void;

/** Logs to a stream; the node's id, once known, is in every line. */
export function jsonLog(stream: { write(text: string): unknown }, base: LogFields = {}): Log {
  return (event, fields = {}) => {
    const time = new Date().toISOString();
    stream.write(`${JSON.stringify({ time, event, ...base, ...fields })}\n`);
  };
}
