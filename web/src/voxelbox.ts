// The numbers and curves of the voxel under the crosshair.

import { box, el } from "./dom";
import { VESSEL_COLOURS } from "./paint";
import { legend, plot, type Line } from "./plot";
import { toRas } from "./space";
import type { Viewer } from "./viewer";
import { ask, type Manifest, type Voxel, type Xyz } from "./wire";

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
      el("p", { class: "where", "data-at": at.join(",") }, `voxel ${at.join(", ")} of ${shape.join(" × ")} · ${sides(toRas(this.manifest, at))} mm`),
    ];
    const lines = this.lines(said);
    if (lines.length > 0) {
      parts.push(el("figure", {}, plot("Curves of this voxel", "time (s)", "tissue HU", "AIF, VOF HU", lines), legend(lines)));
    }
    if (trouble) parts.push(el("p", { class: "trouble", role: "status" }, trouble));
    parts.push(el("table", { class: "values" }, el("tbody", {}, ...rows)));
    this.body.replaceChildren(...parts);
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
      lines.push({ name: "AIF", x: curves.time_s, y: curves.aif_hu, colour: VESSEL_COLOURS.AIF, axis: "right" });
      lines.push({ name: "VOF", x: curves.time_s, y: curves.vof_hu, colour: VESSEL_COLOURS.VOF, axis: "right", dashed: true });
    }
    return lines;
  }
}
