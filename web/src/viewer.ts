// The grid of linked panels: which are shown, the slice, the crosshair, what is drawn over the maps.

import { Camera } from "./camera";
import { button, el } from "./dom";
import { followPointer, followWheel, type Gestured, type Listener } from "./gestures";
import { arrange, layout } from "./layout";
import { Volumes } from "./loading";
import type { Table } from "./paint";
import { Panel, titleOf } from "./panel";
import { remembered } from "./settings";
import { headOf, type Convention } from "./space";
import { fillMenu, orientationChoice, scaleChoice } from "./toolbar";
import type { Numbers } from "./volume";
import { Windows, type Scale } from "./windows";
import type { Manifest, Marker, Vessel, VolumeInfo, Xyz } from "./wire";

/** Opens the view of all three planes. */
export type ShowPlanes = (viewer: Viewer, info: VolumeInfo, colours: Table, low: number, high: number) => void;

export class Viewer implements Gestured {
  readonly root: HTMLElement;
  readonly shape: Xyz;
  readonly panels: Panel[] = [];
  readonly lesions = new Map<string, Uint8Array>(); // by method
  readonly camera: Camera;
  z: number;
  cursor: [number, number] | null = null;
  outline: Uint8Array | null = null;
  brush = 0; // radius in mm, 0: none
  markers: Marker[] = [];
  listener: Listener | null = null;
  /** Resolves when all panels have their volumes. */
  readonly loaded: Promise<void>;

  private readonly windows: Windows;
  private readonly volumes: Volumes;
  private readonly hidden = new Set<string>();
  private contours = true;
  private brain: Numbers | null = null;
  private enlarged: Panel | null = null;
  private finished: () => void = () => undefined;
  private asked = false;
  private readonly cells = el("div", { class: "cells" });
  private readonly slider: HTMLInputElement;
  private readonly sliceText = el("output", { class: "slice-text" });
  private readonly menu = el("details", { class: "menu" });
  private readonly orientationText = el("span", { class: "orientation" });
  private readonly contoursButton: HTMLButtonElement;
  private readonly reading = el("span", { class: "reading", "aria-live": "off" });

  constructor(
    readonly manifest: Manifest,
    colours: Record<string, number[][]>,
    private readonly showPlanes: ShowPlanes,
  ) {
    this.loaded = new Promise<void>((go) => (this.finished = go));
    this.shape = manifest.shape_xyz;
    this.z = Math.floor(this.shape[2] / 2);
    this.volumes = new Volumes(this.shape);
    this.camera = new Camera(manifest, remembered<Convention>("orientation", ["radiological", "neurological"]));
    this.windows = new Windows(colours, remembered<Scale>("scale", ["perfusion", "uniform"]));
    this.slider = el("input", {
      type: "range", min: "0", max: String(this.shape[2] - 1), step: "1", value: String(this.z),
      "aria-label": "Slice", oninput: () => this.goTo(Number(this.slider.value)),
    });
    this.contoursButton = button("Contours", "Show or hide lesion contours (o)", () => this.toggleContours(), { "aria-pressed": "true" });
    this.root = el(
      "main",
      { class: "viewer" },
      el(
        "div",
        { class: "tools", role: "toolbar", "aria-label": "Display" },
        scaleChoice(this.windows.scale, (scale) => this.setScale(scale)),
        orientationChoice(this.camera.convention, (convention) => this.turn(convention)),
        this.contoursButton,
        button("Fit", "Whole slice (z)", () => this.fit()),
        this.menu,
        this.orientationText,
      ),
      this.cells,
      el("div", { class: "slices" }, this.slider, this.sliceText, this.reading),
    );
    new ResizeObserver(() => this.arrange()).observe(this.cells);
    followWheel(this.cells, this.panels, this);
    this.addPanels(manifest.volumes, "");
    this.turn(this.camera.convention);
    this.goTo(this.z);
  }

  // ---- panels

  /** Adds panels for volumes; those of a recomputed exam get a word after the method. */
  addPanels(infos: VolumeInfo[], suffix: string): void {
    for (const info of infos) {
      if (info.kind === "lesion") continue;
      if (info.map === "brain" || info.key === "brain") {
        void this.showBrain(info);
        continue;
      }
      const panel = new Panel(info, titleOf(info, suffix), {
        enlarge: (one) => this.toggleEnlarged(one),
        volumeView: (one) => this.showPlanes(this, one.info, this.windows.table(one.info), ...this.windows.of(one.info)),
        window: (one, low, high) => this.setWindow(one.info, low, high),
      });
      followPointer(panel, this);
      this.panels.push(panel);
      if (info.kind === "se" || info.kind === "difference") this.hidden.add(info.key);
    }
    fillMenu(this.menu, this.panels, this.hidden, () => this.rearrange());
    this.rearrange();
  }

  load(info: VolumeInfo): Promise<Numbers> {
    return this.volumes.load(info);
  }

  private async showBrain(info: VolumeInfo): Promise<void> {
    try {
      this.brain = await this.load(info);
    } catch {
      return; // the maps are shown without it
    }
    this.camera.setHome(headOf(this.brain, this.manifest));
    this.redraw();
  }

  private async loadShown(): Promise<void> {
    // maps first: the pictures of the CT are three times as large
    const wanted = this.shown()
      .filter((panel) => !panel.numbers)
      .sort((a, b) => Number(a.info.kind === "image") - Number(b.info.kind === "image"));
    const next = async (): Promise<void> => {
      for (let panel = wanted.shift(); panel; panel = wanted.shift()) {
        try {
          panel.numbers = await this.load(panel.info);
          panel.say("");
        } catch (error) {
          this.volumes.forget(panel.info);
          panel.say(`not loaded: ${(error as Error).message}`);
        }
        this.redraw();
      }
    };
    await Promise.all([next(), next()]);
    if (this.shown().every((panel) => panel.numbers)) {
      this.root.dataset.loaded = "yes";
      this.finished();
    }
  }

  private shown(): Panel[] {
    return this.enlarged ? [this.enlarged] : this.notHidden();
  }

  private notHidden(): Panel[] {
    return this.panels.filter((panel) => !this.hidden.has(panel.info.key));
  }

  /** Other panels are shown than before. */
  private rearrange(): void {
    this.arrange();
    void this.loadShown();
  }

  private arrange(): void {
    const [nx, ny] = this.shape;
    const [sx, sy] = this.manifest.spacing_xyz_mm;
    arrange(this.cells, layout(this.shown(), this.cells.clientWidth, this.cells.clientHeight, (ny * sy) / (nx * sx)));
    this.cells.classList.toggle("one", this.enlarged !== null);
    this.camera.forgetSizes();
    this.redraw();
  }

  enlarge(panel: Panel | null): void {
    this.enlarged = panel;
    this.rearrange();
  }

  toggleEnlarged(panel: Panel): void {
    this.enlarge(this.enlarged === panel ? null : panel);
  }

  enlargeNumber(k: number): void {
    const panel = this.notHidden()[k];
    if (panel) this.toggleEnlarged(panel);
  }

  windowOf(info: VolumeInfo): [number, number] {
    return this.windows.of(info);
  }

  setWindow(info: VolumeInfo, low: number, high: number): void {
    this.windows.set(info, low, high);
    this.redraw();
  }

  private setScale(scale: Scale): void {
    this.windows.scale = scale;
    this.redraw();
  }

  toggleContours(): void {
    this.contours = !this.contours;
    this.contoursButton.setAttribute("aria-pressed", String(this.contours));
    this.redraw();
  }

  // ---- slice, crosshair, zoom

  goTo(z: number): void {
    const nz = this.shape[2];
    this.z = Math.min(nz - 1, Math.max(0, Math.round(z)));
    this.slider.value = String(this.z);
    const affine = this.manifest.affine_xyz_to_ras;
    const at = affine[2][2] * this.z + affine[2][3];
    this.sliceText.textContent = `slice ${this.z + 1} / ${nz} · z ${at.toFixed(1)} mm`;
    this.redraw();
  }

  step(slices: number): void {
    // upwards is towards the head, whatever way the file runs
    this.goTo(this.z + slices * (this.manifest.affine_xyz_to_ras[2][2] < 0 ? -1 : 1));
  }

  setCursor(at: Xyz): void {
    this.cursor = [at[0], at[1]];
    if (at[2] !== this.z) this.goTo(at[2]);
    this.redraw();
    this.listener?.voxel(at);
  }

  private turn(convention: Convention): void {
    this.camera.turn(convention);
    this.orientationText.textContent = `${convention}: patient's left is on your ${convention === "radiological" ? "right" : "left"}`;
    this.redraw();
  }

  fit(): void {
    this.camera.fit();
    this.redraw();
  }

  toggleZoom(): void {
    this.camera.toggleZoom(this.cursor);
    this.redraw();
  }

  zoomAt(panel: Panel, cssX: number, cssY: number, factor: number): void {
    this.camera.zoomAt(panel.canvas, cssX, cssY, factor);
    this.redraw();
  }

  pan(panel: Panel, cssX: number, cssY: number): void {
    this.camera.pan(panel.canvas, cssX, cssY);
    this.redraw();
  }

  // ---- values, markers

  /** The value of every loaded volume at a voxel, as in its file. */
  valuesAt(at: Xyz): { panel: Panel; value: number }[] {
    return this.panels.flatMap((panel) => (panel.numbers ? [{ panel, value: panel.numbers[this.indexOf(at)] }] : []));
  }

  hover(panel: Panel, at: Xyz | null): void {
    if (this.brush > 0) requestAnimationFrame(() => this.drawPanel(panel));
    if (!at) this.reading.textContent = "";
    else if (panel.numbers) {
      const value = Number(panel.numbers[this.indexOf(at)].toPrecision(4));
      this.reading.textContent = `${panel.info.label} ${value} ${panel.info.unit} at ${at.join(", ")}`;
    }
  }

  private indexOf([x, y, z]: Xyz): number {
    return (z * this.shape[1] + y) * this.shape[0] + x;
  }

  setMarker(name: Vessel, at: Xyz): void {
    this.markers = this.markers.map((one) => (one.name === name ? { name, at: [at] } : one));
    this.redraw();
  }

  // ---- drawing

  redraw(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      const begin = performance.now();
      const shown = this.shown();
      for (const panel of shown) this.drawPanel(panel);
      this.root.dataset.slice = String(this.z);
      this.root.dataset.drawMs = (performance.now() - begin).toFixed(1);
      if (shown.some((panel) => panel.numbers && panel.info.kind === "map"))
        this.root.dataset.firstMs ??= performance.now().toFixed(0);
    });
  }

  private drawPanel(panel: Panel): void {
    const [low, high] = this.windows.of(panel.info);
    const colours = this.windows.table(panel.info);
    panel.showWindow(low, high, colours);
    panel.draw(
      {
        z: this.z,
        shape: this.shape,
        cursor: this.cursor,
        face: this.camera.face,
        brain: this.brain,
        lesion: this.contours ? this.lesionOf(panel.info) : null,
        outline: this.outline,
        dotted: this.outline !== null,
        brush: this.brush,
        spacing: this.manifest.spacing_xyz_mm,
        markers: this.markers,
      },
      this.camera.placeOf(panel.canvas),
      low,
      high,
      colours,
    );
  }

  /** Images and differences show the first method's lesion. */
  private lesionOf(info: VolumeInfo): Uint8Array | null {
    const first = info.kind === "difference" || info.kind === "image" ? this.lesions.get(this.manifest.methods[0]) : undefined;
    return this.lesions.get(info.method) ?? first ?? null;
  }
}
