// node compare-trees.mjs ORIGINAL COPY IMPORT.json: the copy has every file of the original, byte for
// byte, but for those that the import reported by name; and it has nothing else.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [original, copy, report] = process.argv.slice(2);
const filesOf = (dir) =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((item) => !item.isDirectory())
    .map((item) => join(item.parentPath, item.name).slice(dir.length + 1))
    .sort();
const leftOut = JSON.parse(readFileSync(report, "utf8")).leftOut.map(({ file }) => file);
const expected = filesOf(original).filter((file) => !leftOut.includes(file));
const found = filesOf(copy);
const missing = expected.filter((file) => !found.includes(file));
const extra = found.filter((file) => !expected.includes(file));
const differing = expected.filter(
  (file) =>
    found.includes(file) &&
    !readFileSync(join(original, file)).equals(readFileSync(join(copy, file))),
);
console.log(
  `${original}: ${expected.length} files equal but ${missing.length} missing,`,
  `${extra.length} extra, ${differing.length} differing; ${leftOut.length} were left out by name`,
);
for (const file of leftOut) console.log(`  left out: ${file}`);
process.exit(missing.length + extra.length + differing.length === 0 ? 0 : 1);
