# npx workerd serve examples/workerd-kv/config.capnp, beside `npx starling dev`.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "kv", worker = .forward),
    (name = "starling", external = (address = "127.0.0.1:8787", http = ())),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-07-30",
  bindings = [(name = "KV", kvNamespace = "kv")],
);

const forward :Workerd.Worker = (
  modules = [(name = "forward.js", esModule = embed "forward.js")],
  compatibilityDate = "2026-07-30",
  bindings = [
    (name = "STARLING", service = "starling"),
    (name = "NAMESPACE", text = "visits"),
    # (name = "TOKEN", text = "…"), where tokens are asked for
  ],
);
