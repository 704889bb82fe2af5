// Builds the page into src/bolus/serve/static. The same sources give the same bytes.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const out = "../src/bolus/serve/static";
mkdirSync(out, { recursive: true });
for (const name of readdirSync(out)) rmSync(`${out}/${name}`, { recursive: true });
await build({
  entryPoints: ["src/main.ts"],
  outdir: out,
  bundle: true,
  format: "esm",
  splitting: true, // NiiVue is a file of its own, fetched when the multiplanar view is opened
  chunkNames: "[name]-[hash]",
  minify: true,
  alias: { zarrita: "./src/no-zarr.ts" }, // NiiVue's reader of Zarr and its codecs: 1.5 MB not used here
  target: "es2022",
  legalComments: "linked",
  logLevel: "warning",
});
for (const name of ["index.html", "page.css", "icon.svg"]) copyFileSync(`src/${name}`, `${out}/${name}`);

// the licences of what is in the bundle ask for their text beside it
const text = ["@niivue/niivue", "nifti-reader-js", "fflate", "gl-matrix", "array-equal", "@lukeed/uuid", "@ungap/structured-clone"].map((name) => {
  const folder = `node_modules/${name}`;
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(`${folder}/${file}`, "utf8").trim() : ""}\n`;
});
writeFileSync(`${out}/licences.txt`, text.join(`\n${"-".repeat(72)}\n\n`));
