import { describe, expect, it } from "vitest";
import { makeApp, tokensOf } from "./support.ts";

const named = async (response: Response): Promise<readonly string[]> => {
  const body = (await response.json()) as { namespaces: readonly { name: string }[] };
  return body.namespaces.map(({ name }) => name);
};

describe("the list of namespaces", () => {
  it("shows a token its own, created or not", async () => {
    const auth = tokensOf([
      { token: "rules-everything", role: "admin" },
      { token: "reads-a-and-b", role: "read", namespaces: ["a", "b", "none"] },
    ]);
    const { call } = await makeApp({ auth });
    const all = { Authorization: "Bearer rules-everything" };
    await call("PUT", "/v1/namespaces/b", { headers: all, body: "{}" });
    for (const name of ["a", "c"])
      await call("PUT", `/v1/kv/${name}/k`, { headers: all, body: "v" });
    expect(await named(await call("GET", "/v1/namespaces", { headers: all }))).toEqual([
      ...["a", "b", "c"],
    ]);
    const own = { Authorization: "Bearer reads-a-and-b" };
    const listed = await call("GET", "/v1/namespaces", { headers: own });
    expect(await named(listed)).toEqual(["a", "b"]);
  });
});
