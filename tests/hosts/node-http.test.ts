import { httpContract } from "../contract/http-suite.ts";
import { startCluster } from "../support/cluster.ts";

httpContract("five Node processes' worth of nodes", () => startCluster(5), {
  seesRawPath: true,
  parsesHttp: true,
});
