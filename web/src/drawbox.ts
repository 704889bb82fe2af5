// Outlining: tools, what a stroke does, where it is kept.

import { ActiveTime } from "./activetime";
import { box, button, choice, el } from "./dom";
import { Keeper, type State } from "./keep";
import { Drawing, type Tool } from "./outline";
import type { Panel } from "./panel";
import type { Viewer } from "./viewer";
import type { Manifest, Xyz } from "./wire";

export class DrawBox {
  readonly root: HTMLDetailsElement;
  readonly time: ActiveTime;
  private drawing: Drawing | null = null;
  private keeper: Keeper | null = null;
  private tool: Tool = "look";
  private label = 2;
  private radius = 4;
  private limited = false;
  private low = 0;
  private high = 0;
  private from: Xyz | null = null;
  private lastKept = 0;
  private readonly toolChoice;
  private readonly labelChoice;
  private readonly status = el("output", { class: "keep-state", "aria-live": "polite" }, "no outline open");
  private readonly volumes = el("p", { class: "outline-volumes" });
  private readonly clock = el("span", { class: "clock", title: "active time" }, "0:00");
  private readonly size: HTMLInputElement;
  private readonly lowField: HTMLInputElement;
  private readonly highField: HTMLInputElement;
  private readonly message = el("p", { class: "trouble", role: "status" });
  private readonly elsewhere = el("p", { class: "trouble elsewhere", role: "alert" });

  constructor(
    private readonly viewer: Viewer,
    private readonly manifest: Manifest,
    before: HTMLElement | null,
    open: boolean,
    private readonly start: () => Promise<boolean>, // opens the outline where none is open yet
  ) {
    this.time = new ActiveTime((seconds) => {
      const whole = Math.floor(seconds);
      this.clock.textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    });
    this.toolChoice = choice<Tool>(
      "Tool",
      [
        ["look", "Look", "Crosshair and slices (l)"],
        ["pen", "Pen", "Paint the region (p)"],
        ["fill", "Fill", "Fill a closed outline (f)"],
        ["erase", "Erase", "Erase (e)"],
      ],
      "look",
      (tool) => void this.setTool(tool),
    );
    this.labelChoice = choice<"2" | "1">(
      "Region",
      [
        ["2", "Core", "Core (magenta, key q)"],
        ["1", "Penumbra", "Penumbra (green, key w)"],
      ],
      "2",
      (label) => (this.label = Number(label)),
    );
    this.labelChoice.node.classList.add("regions");
    this.size = el("input", {
      type: "range", min: "0.5", max: "20", step: "0.5", value: "4",
      "aria-label": "Brush radius, mm", oninput: () => this.setRadius(Number(this.size.value)),
    });
    this.lowField = el("input", {
      type: "number", step: "any",
      "aria-label": "Lowest value of the panel to paint", onchange: () => (this.low = Number(this.lowField.value)),
    });
    this.highField = el("input", {
      type: "number", step: "any",
      "aria-label": "Highest value of the panel to paint", onchange: () => (this.high = Number(this.highField.value)),
    });
    const limit = el("input", { type: "checkbox", onchange: () => (this.limited = limit.checked) });
    this.root = box(
      "Outline",
      open,
      ...(before ? [before] : []),
      el("p", { class: "row" }, this.toolChoice.node),
      el("p", { class: "row" }, this.labelChoice.node),
      el("label", { class: "slider" }, el("span", {}, "brush"), this.size, el("span", { class: "unit size" }, "4 mm")),
      el("p", { class: "row limit" }, el("label", {}, limit, " only values from"), this.lowField, "to", this.highField),
      el(
        "p",
        { class: "row" },
        button("↶ Undo", "Undo (Ctrl+Z)", () => this.undo()),
        button("↷ Redo", "Redo (Ctrl+Y)", () => this.redo()),
        button("Interpolate", "Fill the slices between outlined slices", () =>
          this.change(() => {
            this.drawing?.interpolate([manifest.spacing_xyz_mm[0], manifest.spacing_xyz_mm[1]]);
            return this.drawing?.commit() ?? [];
          }),
        ),
        button("Clear slice", "Erase this slice", () =>
          this.change(() => {
            this.drawing?.touch(this.viewer.z);
            this.drawing?.slice(this.viewer.z).fill(0);
            return this.drawing?.commit() ?? [];
          }),
        ),
      ),
      this.volumes,
      this.message,
      this.elsewhere,
      el("p", { class: "row keep" }, this.status, this.clock),
    );
  }

  get active(): boolean {
    return this.drawing !== null && this.tool !== "look";
  }

  get isOpen(): boolean {
    return this.drawing !== null;
  }

  get hasLabels(): boolean {
    return this.drawing?.labels.some((label) => label > 0) ?? false;
  }

  /** Opens the outline of a rater: the server's, and over it what only this browser has. */
  async open(owner: string, path: string): Promise<void> {
    this.close();
    const [nx, ny, nz] = this.manifest.shape_xyz;
    let drawing: Drawing;
    const keeper = new Keeper(
      owner, path, nx * ny, nz,
      () => this.time.value,
      (state, text) => this.say(state, text),
      (from, to) => this.underneath(drawing, from, to),
      (z) => drawing.slice(z),
    );
    const { labels, active_s } = await keeper.restore();
    this.time.add(active_s);
    drawing = new Drawing(nx, ny, nz, labels);
    this.drawing = drawing;
    this.keeper = keeper;
    this.viewer.outline = drawing.labels;
    this.viewer.redraw();
    this.measure();
    if (keeper.pending > 0) keeper.push();
    else this.say("saved", "saved");
  }

  /** Another page drew on this outline. */
  private underneath(drawing: Drawing, from: Uint8Array, to: Uint8Array): void {
    if (!drawing.underneath(from, to) || drawing !== this.drawing) return;
    this.elsewhere.textContent = "This outline was also changed in another window. Its strokes are now shown; where both were drawn on, yours are kept.";
    this.viewer.redraw();
    this.measure();
  }

  close(): void {
    this.keeper?.close();
    this.elsewhere.textContent = "";
    this.keeper = null;
    this.drawing = null;
    this.viewer.outline = null;
    this.viewer.redraw();
  }

  stop(): void {
    this.close();
    this.time.stop();
  }

  /** Everything on the server's disk? */
  async settled(): Promise<boolean> {
    return this.keeper ? this.keeper.settled(8000) : true;
  }

  async setTool(tool: Tool): Promise<void> {
    if (tool !== "look" && !this.drawing && !(await this.start())) tool = "look";
    this.tool = tool;
    this.toolChoice.set(tool);
    this.showBrush();
  }

  setRegion(label: 1 | 2): void {
    this.label = label;
    this.labelChoice.set(label === 2 ? "2" : "1");
  }

  setRadius(mm: number): void {
    this.radius = Math.min(20, Math.max(0.5, mm));
    this.size.value = String(this.radius);
    const text = this.root.querySelector(".size");
    if (text) text.textContent = `${this.radius} mm`;
    this.showBrush();
  }

  get brushRadius(): number {
    return this.radius;
  }

  undo(): void {
    this.change(() => this.drawing?.undo() ?? []);
  }

  redo(): void {
    this.change(() => this.drawing?.redo() ?? []);
  }

  private showBrush(): void {
    this.viewer.brush = this.tool === "pen" || this.tool === "erase" ? this.radius : 0;
    this.viewer.root.classList.toggle("drawing", this.tool !== "look");
    this.viewer.redraw();
  }

  private change(work: () => number[]): void {
    if (!this.drawing) return;
    const slices = work();
    for (const z of slices) this.keeper?.keep(z, this.drawing.slice(z), true);
    if (slices.length > 0 && !slices.includes(this.viewer.z)) this.viewer.goTo(slices[0]);
    this.viewer.redraw();
    this.measure();
  }

  begin(panel: Panel, at: Xyz): void {
    if (!this.drawing) return;
    this.message.textContent = "";
    if (this.tool === "fill") {
      const [x, y, z] = at;
      if (!this.drawing.fill(z, x, y, this.label)) this.message.textContent = "The outline is not closed: nothing was filled.";
      this.change(() => this.drawing?.commit() ?? []);
      return;
    }
    this.from = at;
    this.paint(panel, at, at);
  }

  move(panel: Panel, at: Xyz): void {
    if (!this.from || this.tool === "fill") return;
    this.paint(panel, this.from, at);
    this.from = at;
  }

  end(): void {
    if (!this.from || !this.drawing) return;
    const z = this.from[2];
    this.from = null;
    const changed = this.drawing.commit();
    for (const one of changed) this.keeper?.keep(one, this.drawing.slice(one), true);
    // what was kept in the middle of a stroke that came to nothing is sent all the same
    if (!changed.includes(z)) this.keeper?.push();
    this.measure();
  }

  private paint(panel: Panel, from: Xyz, to: Xyz): void {
    const drawing = this.drawing;
    if (!drawing) return;
    const [sx, sy] = this.manifest.spacing_xyz_mm;
    const numbers = panel.numbers;
    const { limited, low, high } = this;
    const may = limited && numbers && high > low ? (k: number): boolean => numbers[k] >= low && numbers[k] <= high : (): boolean => true;
    drawing.stroke(from[2], [from[0], from[1]], [to[0], to[1]], this.radius, [sx, sy], this.tool === "erase" ? 0 : this.label, may);
    const now = performance.now();
    if (now - this.lastKept > 40) {
      this.lastKept = now;
      this.keeper?.keep(from[2], drawing.slice(from[2]), false);
    }
    this.viewer.redraw();
  }

  private measure(): void {
    if (!this.drawing) return;
    const { core, penumbra } = this.drawing.volumesMl(this.manifest.voxel_ml);
    this.volumes.textContent = `core ${core.toFixed(1)} ml · penumbra ${penumbra.toFixed(1)} ml`;
  }

  private say(state: State, text: string): void {
    this.status.textContent = text;
    this.status.dataset.state = state;
  }
}
