// A whole deployment of Starling in a project of one's own, with one's own routes beside it.
export { default, KvBinding, Replica } from "starling-cache/worker";
