// The boxes beside the grid: a voxel's numbers and curves, quality, motion, arteries.

import { button, clear, el } from "./dom";
import { legend, plot, type Line } from "./plot";
import type { Viewer } from "./viewer";
import { ask, post, type Manifest, type Voxel, type Xyz } from "./wire";

const METHOD_COLOURS = ["#f6ca34", "#6fe3c1", "#c99bff", "#ff9dbb", "#9bd0ff", "#d8e06a"];
/** A position as the sides of the patient: "L 23.8, A 54.0, S 11.0". */
function sides(ras: number[]): string {
  return ras.map((mm, k) => `${["RL", "AP", "SI"][k][mm < 0 ? 1 : 0]} ${Math.abs(mm).toFixed(1)}`).join(", ");
}

/** The fewest digits that are this float32 and no other: 36.445759, not 36.44575881958008. */
function shortest(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}

const AIF = "#ff6e3c";
const VOF = "#5ab4ff";

export function box(title: string, open: boolean, ...children: (Node | string)[]): HTMLDetailsElement {
  return el("details", { class: "box", open }, el("summary", {}, title), ...children);
}

/** What the voxel under the crosshair says. */
export class VoxelBox {
  readonly root: HTMLDetailsElement;
  private readonly body = el("div", {}, el("p", { class: "faint" }, "Click a voxel."));
  private asking: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly viewer: Viewer,
    private readonly manifest: Manifest,
    private readonly curves: boolean,
  ) {
    this.root = box("Voxel", true, this.body);
  }

  show(at: Xyz): void {
    this.fill(at, null, "");
    if (!this.curves) return;
    clearTimeout(this.timer);
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.timer = setTimeout(async () => {
      try {
        const path = `/api/exams/${this.manifest.id}/voxel/${at.join("/")}`;
        this.fill(at, await ask<Voxel>(path, { signal: asking.signal }), "");
      } catch (error) {
        if (!asking.signal.aborted) this.fill(at, null, (error as Error).message);
      }
    }, 40);
  }

  private fill(at: Xyz, said: Voxel | null, trouble: string): void {
    const shape = this.manifest.shape_xyz;
    const affine = this.manifest.affine_xyz_to_ras;
    const ras = [0, 1, 2].map((r) => affine[r][0] * at[0] + affine[r][1] * at[1] + affine[r][2] * at[2] + affine[r][3]);
    const rows = this.viewer.valuesAt(at).map(({ panel, value }) => {
      const served = said?.values[panel.info.key];
      // the server's number is the file's, and so is the page's own: both are float32 in full
      const shown = served === undefined ? value : served;
      const text = shown === null || Number.isNaN(shown) ? "–" : shortest(shown);
      return el(
        "tr",
        {},
        el("th", { scope: "row" }, panel.name),
        el("td", { "data-key": panel.info.key, "data-file": String(value) }, text),
        el("td", { class: "unit" }, panel.info.unit),
      );
    });
    const parts: Node[] = [
      el("p", { class: "where", "data-at": at.join(",") }, `voxel ${at.join(", ")} of ${shape.join(" × ")} · ${sides(ras)} mm`),
    ];
    const lines = this.lines(said);
    if (lines.length > 0) {
      const figure = el("figure", {});
      figure.append(plot("Curves of this voxel", "time (s)", "tissue HU", "AIF, VOF HU", lines), legend(lines));
      parts.push(figure);
    }
    if (trouble) parts.push(el("p", { class: "trouble", role: "status" }, trouble));
    parts.push(el("table", { class: "values" }, el("tbody", {}, ...rows)));
    clear(this.body);
    this.body.append(...parts);
    if (said) this.body.dataset.answered = at.join(",");
  }

  private lines(said: Voxel | null): Line[] {
    const lines: Line[] = [];
    if (!said?.curve_hu || !said.time_s) return lines;
    lines.push({ name: "filtered curve", x: said.time_s, y: said.curve_hu, colour: "#ffffff", dots: true });
    Object.entries(said.fits ?? {}).forEach(([method, fit], k) => {
      lines.push({ name: `${method} fit`, x: said.fit_time_s ?? said.time_s ?? [], y: fit, colour: METHOD_COLOURS[k % METHOD_COLOURS.length] });
    });
    const curves = this.manifest.curves;
    if (curves) {
      lines.push({ name: "AIF", x: curves.time_s, y: curves.aif_hu, colour: AIF, axis: "right" });
      lines.push({ name: "VOF", x: curves.time_s, y: curves.vof_hu, colour: VOF, axis: "right", dashed: true });
    }
    return lines;
  }
}

const MARK: Record<string, string> = { fail: "✕", warning: "!", note: "✓", info: "i" };

export function qualityBox(manifest: Manifest): HTMLElement {
  const verdict = manifest.verdict;
  const node = box("Quality", verdict?.grade === "fail");
  if (verdict) {
    node.append(el("p", { class: `verdict ${verdict.grade}` }, `${MARK[verdict.grade] ?? ""} ${verdict.text}`));
    for (const reason of verdict.reasons) node.append(el("p", { class: "reason" }, reason));
  }
  const rows = (manifest.checks ?? []).map((check) =>
    el("tr", { class: check.grade },
      el("td", { class: "mark", title: check.grade }, MARK[check.grade] ?? "·"),
      el("td", {}, el("b", {}, check.name), ` ${check.message}`, check.remedy && check.grade !== "note" ? el("p", { class: "remedy" }, check.remedy) : null),
      el("td", { class: "number" }, check.value === null ? "" : `${Number(check.value.toPrecision(4))} ${check.unit}`)),
  );
  node.append(el("table", { class: "checks" }, el("tbody", {}, ...rows)));
  for (const finding of manifest.findings ?? [])
    if (finding.message) node.append(el("p", { class: "reason" }, finding.message, finding.remedy ? ` ${finding.remedy}` : ""));
  return node;
}

export function motionBox(manifest: Manifest): HTMLElement | null {
  const motion = manifest.motion;
  if (!motion || !motion.time_s?.length) return null;
  const lines: Line[] = [{ name: "displacement", x: motion.time_s, y: motion.displacement_mm, colour: "#f6ca34" }];
  ["x", "y", "z"].forEach((axis, k) => {
    if (motion.translation_mm) lines.push({ name: axis, x: motion.time_s, y: motion.translation_mm.map((one) => one[k]), colour: ["#ff6e3c", "#6fe3c1", "#5ab4ff"][k], dashed: true });
  });
  const dropped = motion.time_s.filter((_, k) => motion.kept[k] === false);
  if (dropped.length > 0) lines.push({ name: "frame left out", x: dropped, y: dropped.map(() => 0), colour: "#ff4d5e", dots: true });
  const node = box("Motion", false);
  node.append(plot("Motion of the head", "time (s)", "mm", "", lines) as unknown as Node, legend(lines));
  node.append(el("p", { class: "faint" }, dropped.length === 0 ? "No frame was left out." : `${dropped.length} frames were left out.`));
  return node;
}

/** AIF and VOF: drag their marks, compute again, see the new rows beside the old. */
export class ArteryBox {
  readonly root: HTMLDetailsElement;
  private moved: { aif: Xyz | null; vof: Xyz | null } = { aif: null, vof: null };
  private readonly text = el("p", { class: "faint" }, "Drag the AIF (circle) or VOF (square) mark on any panel, then compute again.");
  private readonly state = el("p", { role: "status" });
  private runs = 0;

  constructor(
    private readonly viewer: Viewer,
    private readonly manifest: Manifest,
    private readonly made: () => void, // another exam is there
  ) {
    const here = (name: "AIF" | "VOF"): HTMLButtonElement =>
      button(`${name} here`, `Take the voxel under the crosshair as ${name}`, () => {
        if (!viewer.cursor) {
          this.state.textContent = "Click a voxel first.";
          return;
        }
        const at: Xyz = [viewer.cursor[0], viewer.cursor[1], viewer.z];
        viewer.markers = viewer.markers.map((one) => (one.name === name ? { name, at: [at] } : one));
        viewer.redraw();
        this.marker(name, at);
      });
    const show = (name: "AIF" | "VOF"): HTMLButtonElement =>
      button(`Show ${name}`, `Go to the slice of the ${name}`, () => {
        const at = viewer.markers.find((one) => one.name === name)?.at[0];
        if (at) viewer.goTo(at[2]);
      });
    const method = el("select", { "aria-label": "Method to compute again" }, ...manifest.methods.map((one) => el("option", { value: one }, one)));
    const go = button("Recompute", "Compute this method again with the moved AIF and VOF", () => void this.run(method.value, go));
    this.root = box("AIF and VOF", false, this.text, el("p", { class: "row" }, show("AIF"), show("VOF"), here("AIF"), here("VOF")), el("p", { class: "row" }, method, go), this.state);
  }

  marker(name: "AIF" | "VOF", at: Xyz): void {
    if (name === "AIF") this.moved.aif = at;
    else this.moved.vof = at;
    this.root.open = true;
    this.text.textContent = `AIF ${this.moved.aif ? `at ${this.moved.aif.join(", ")}` : "as found"}, VOF ${this.moved.vof ? `at ${this.moved.vof.join(", ")}` : "as found"}.`;
  }

  private async run(method: string, go: HTMLButtonElement): Promise<void> {
    if (!this.moved.aif && !this.moved.vof) {
      this.state.textContent = "First give another AIF or VOF.";
      return;
    }
    go.disabled = true;
    this.state.textContent = "computing";
    try {
      const { job } = await post<{ job: string }>(`/api/exams/${this.manifest.id}/recompute`, { method, ...this.moved });
      for (;;) {
        await new Promise((later) => setTimeout(later, 300));
        const said = await ask<{ state: string; error?: string; exam?: string }>(`/api/jobs/${job}`);
        if (said.state === "failed") throw new Error(said.error ?? "The computation failed.");
        if (said.state === "done" && said.exam) {
          const fresh = await ask<Manifest>(`/api/exams/${said.exam}`);
          const suffix = ` again ${++this.runs}`;
          const infos = fresh.volumes
            .filter((info) => info.method === method && info.kind === "map")
            .map((info) => ({ ...info, key: `r${this.runs}:${info.key}` }));
          this.viewer.addPanels(infos, suffix);
          this.made();
          const found = fresh.thresholds?.[method];
          this.state.textContent = found
            ? `${method}${suffix}: core ${found.core_ml.toFixed(1)} ml, hypoperfused ${found.hypoperfused_ml.toFixed(1)} ml`
            : "done";
          break;
        }
      }
    } catch (error) {
      this.state.textContent = (error as Error).message;
    } finally {
      go.disabled = false;
    }
  }
}
