/** Structured lines for Workers Logs, which reads JSON into fields by itself and adds the time. */
import type { EventLog } from "../src/frontend/http/trace.ts";

export const logEvent: EventLog = (event, fields) => {
  console.log(JSON.stringify({ event, ...fields }));
};
