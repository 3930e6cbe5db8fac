/** MessagePack as a media type: the one that answers have, and others that clients know it by. */

export const MSGPACK = "application/msgpack";
export const MSGPACK_TYPES = [MSGPACK, "application/vnd.msgpack", "application/x-msgpack"] as const;

/** Whether a `Content-Type`, or an `Accept` of one type, names it. */
export const isMsgpack = (type: string | null): boolean =>
  /^application\/(x-|vnd\.)?msgpack\b/i.test(type ?? "");
