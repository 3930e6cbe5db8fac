import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DiskFailure } from "../../replica/log-disk.ts";
import { NodeDisk } from "../../src/local/log/node-disk.ts";

describe("names that NodeDisk changes in the thread pool", () => {
  let dir = "";
  let disk: NodeDisk;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "starling-disk-"));
    disk = new NodeDisk(dir);
  });
  afterEach(async () => {
    await disk.close();
    rmSync(dir, { recursive: true });
  });

  const put = (file: string, text: string): void => writeFileSync(join(dir, file), text);
  function textOf(file: string): string {
    const into = new Uint8Array(disk.byteCount(file) ?? 0);
    return new TextDecoder().decode(into.subarray(0, disk.read(file, 0, into)));
  }

  it("shows a renamed file under its new name to whoever read the old one meanwhile", async () => {
    put("a", "old");
    put("a.new", "new");
    expect(textOf("a")).toBe("old");
    const renamed = disk.runLater({ do: "rename", file: "a.new", to: "a" });
    // Nothing has been awaited: this opens whichever of the two there is.
    expect(["old", "new"]).toContain(textOf("a"));
    await renamed;
    expect(textOf("a")).toBe("new");
    expect(readdirSync(dir)).toEqual(["a"]);
  });

  it("removes a file, and shows another one of that name", async () => {
    put("a", "old");
    expect(textOf("a")).toBe("old");
    await disk.runLater({ do: "remove", file: "a" });
    expect(disk.list()).toEqual([]);
    put("a", "anew");
    expect(textOf("a")).toBe("anew");
  });

  it("counts a file that is not there as removed", async () => {
    await expect(disk.runLater({ do: "remove", file: "a" })).resolves.toBeUndefined();
  });

  it("goes on while a file is removed, and other work passes", async () => {
    put("a", "old");
    const order: string[] = [];
    const removed = disk.runLater({ do: "remove", file: "a" }).then(() => order.push("removed"));
    order.push("went on");
    await Promise.resolve().then(() => order.push("other work"));
    await removed;
    expect(order).toEqual(["went on", "other work", "removed"]);
  });

  it("says as a failure of the disk what cannot be done", async () => {
    const missing = disk.runLater({ do: "rename", file: "a", to: "b" });
    await expect(missing).rejects.toThrow(new DiskFailure("failed", "rename failed: ENOENT"));
    mkdirSync(join(dir, "a"));
    const failure = await disk
      .runLater({ do: "remove", file: "a" })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DiskFailure);
    expect(failure).toMatchObject({ kind: "failed" });
  });
});
