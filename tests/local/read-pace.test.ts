import { describe, expect, it } from "vitest";
import { ReadPace } from "../../src/local/http/read-pace.ts";

const KIB = 1024;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Body {
  isPaused = false;

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }
}

describe("the pace at which large bodies are read", () => {
  it("lets those that have more to give wait for the next turn, once much was read", async () => {
    const pace = new ReadPace(128 * KIB);
    const bodies = Array.from({ length: 4 }, () => new Body());
    for (const body of bodies) pace.took(body, 64 * KIB, 200 * KIB);
    expect(bodies.map(({ isPaused }) => isPaused)).toEqual([false, true, true, true]);
    await turn();
    expect(bodies.some(({ isPaused }) => isPaused)).toBe(false);
  });

  it("begins anew with each turn", async () => {
    const pace = new ReadPace(128 * KIB);
    const body = new Body();
    for (let i = 0; i < 5; i++) {
      pace.took(body, 64 * KIB, (i + 2) * 64 * KIB);
      expect(body.isPaused).toBe(false);
      await turn();
    }
  });

  it("holds no short body up, however much was read", () => {
    const pace = new ReadPace(128 * KIB);
    const [long, short, begun] = [new Body(), new Body(), new Body()];
    pace.took(long, 200 * KIB, 200 * KIB);
    pace.took(short, 16 * KIB, 16 * KIB);
    pace.took(begun, 16 * KIB, 80 * KIB);
    expect([long, short, begun].map(({ isPaused }) => isPaused)).toEqual([true, false, true]);
  });
});
