// Builds the page into src/bolus/serve/static, or into the folder given. The same sources give the
// same bytes; built.sha256 says which sources the page in src/bolus/serve/static was built from.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const page = "../src/bolus/serve/static";
const out = process.argv[2] ?? page;
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

if (out === page) {
  const sources = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json", ...readdirSync("src").map((name) => `src/${name}`)];
  const files = [...sources.map((name) => [name, `web/${name}`]), ...readdirSync(page).map((name) => [`${page}/${name}`, `src/bolus/serve/static/${name}`])];
  // as `sha256sum --check` reads it in the folder above
  const lines = files.map(([path, shown]) => `${createHash("sha256").update(readFileSync(path)).digest("hex")}  ${shown}\n`);
  writeFileSync("built.sha256", lines.join(""));
}
