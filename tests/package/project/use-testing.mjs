// A test of somebody else's: a cluster in the process, and an hour that takes no time.
import { TestCluster } from "starling-cache/testing";

const cluster = await TestCluster.start({ time: "virtual" });
const client = cluster.client({ namespace: "ns" });
await client.put("short", "lived", { ttl: 3600 });
await cluster.advance(3_600_001);
if ((await client.get("short")).exists) throw new Error("an hour has passed");
cluster.close();
console.log("testing: ok");
