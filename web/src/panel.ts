// One panel: a slice of one volume, its letters, its colour bar with unit and window.

import { button, el } from "./dom";
import { anyLabel, BLACK, CORE, paintContours, paintSlice, PENUMBRA, VESSEL_COLOURS, type Table } from "./paint";
import type { Facing, Grid } from "./space";
import type { Numbers } from "./volume";
import type { Marker, VolumeInfo, Xyz } from "./wire";

export interface Scene {
  z: number;
  shape: Xyz;
  cursor: [number, number] | null;
  face: Facing;
  brain: Numbers | null;
  lesion: Uint8Array | null; // contours of this panel's method
  outline: Uint8Array | null;
  dotted: boolean; // computed contours, where there is an outline to tell them from
  brush: number; // radius in mm, 0: none
  spacing: Xyz;
  markers: Marker[];
}

export interface PanelActions {
  enlarge(panel: Panel): void;
  volumeView(panel: Panel): void;
  window(panel: Panel, low: number, high: number): void;
}

/** A panel's name: map and method; `suffix` tells computations of one method apart. */
export function titleOf(info: VolumeInfo, suffix: string): string {
  const method = info.method && info.method !== "?" ? ` ${info.method}` : ""; // "?": hidden from the reader
  return `${info.label}${method}${suffix}`;
}

export class Panel {
  readonly root: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  numbers: Numbers | null = null;
  hover: [number, number] | null = null;
  private readonly context: CanvasRenderingContext2D;
  private image: ImageData | null = null;
  private pixels = new Uint32Array(0);
  private readonly letters: HTMLElement[];
  private readonly bar: HTMLCanvasElement;
  private readonly lowField: HTMLInputElement;
  private readonly highField: HTMLInputElement;
  private readonly note: HTMLElement;
  private readonly title: HTMLElement;

  constructor(
    readonly info: VolumeInfo,
    readonly name: string,
    actions: PanelActions,
  ) {
    this.canvas = el("canvas", { class: "slice" });
    this.canvas.setAttribute("role", "img");
    const context = this.canvas.getContext("2d", { alpha: false, willReadFrequently: true }); // pixels stay in memory, where they are made
    if (!context) throw new Error("This browser cannot draw images.");
    this.context = context;
    this.letters = ["left", "right", "top", "bottom"].map((side) => el("b", { class: `letter ${side}`, "aria-hidden": "true" }));
    this.bar = el("canvas", { class: "bar", width: 256, height: 1, "aria-hidden": "true" });
    const field = (what: string): HTMLInputElement =>
      el("input", {
        type: "number",
        step: "any",
        "aria-label": `${name}: ${what} end of the window in ${info.unit || "HU"}`,
        title: `${what} end of the window`,
        onchange: () => actions.window(this, Number(this.lowField.value), Number(this.highField.value)),
      });
    this.lowField = field("lower");
    this.highField = field("upper");
    this.note = el("p", { class: "loading" }, "loading");
    this.title = el("h2", { title: name }, name);
    this.root = el(
      "section",
      { class: "panel", "aria-label": name, "data-key": info.key },
      el(
        "header",
        {},
        this.title,
        button("◫", `${name}: all three planes`, () => actions.volumeView(this), { class: "small" }),
        button("⤢", `${name}: enlarge or restore`, () => actions.enlarge(this), { class: "small" }),
      ),
      el("div", { class: "picture" }, this.canvas, ...this.letters, this.note),
      el("footer", {}, this.lowField, this.bar, this.highField, el("span", { class: "unit" }, info.unit)),
    );
  }

  showWindow(low: number, high: number, colours: Table): void {
    if (document.activeElement !== this.lowField) this.lowField.value = String(Number(low.toPrecision(4)));
    if (document.activeElement !== this.highField) this.highField.value = String(Number(high.toPrecision(4)));
    const context = this.bar.getContext("2d");
    if (!context) return;
    const image = context.createImageData(256, 1);
    new Uint32Array(image.data.buffer).set(colours);
    context.putImageData(image, 0, 0);
  }

  say(text: string): void {
    this.note.textContent = text;
    this.note.hidden = text === "";
  }

  draw(scene: Scene, place: Grid, low: number, high: number, colours: Table): void {
    const { w, h } = place;
    if (this.canvas.width !== w || this.canvas.height !== h || !this.image) {
      this.canvas.width = w;
      this.canvas.height = h;
      this.image = this.context.createImageData(w, h);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    const [nx, ny] = scene.shape;
    const first = scene.z * nx * ny;
    if (this.numbers) {
      const outside = this.info.kind === "image" ? null : scene.brain;
      paintSlice(this.pixels, this.numbers, first, nx, place, low, high, colours, outside);
    } else this.pixels.fill(BLACK);
    const thick = w > 500 ? 2 : 1;
    if (scene.outline && anyLabel(scene.outline, first, nx * ny)) {
      tint(this.pixels, scene.outline, first, nx, place);
      paintContours(this.pixels, scene.outline, first, nx, place, thick, false);
    }
    if (scene.lesion && anyLabel(scene.lesion, first, nx * ny))
      paintContours(this.pixels, scene.lesion, first, nx, place, scene.dotted ? 1 : thick, scene.dotted);
    this.context.putImageData(this.image, 0, 0);
    this.marks(scene, place);
    const { face } = scene;
    [face.left, face.right, face.top, face.bottom].forEach((letter, k) => {
      if (this.letters[k].textContent !== letter) this.letters[k].textContent = letter;
    });
  }

  private marks(scene: Scene, place: Grid): void {
    const pen = this.context;
    if (scene.cursor) {
      const [x, y] = place.toPixel(...scene.cursor);
      const gap = 5;
      pen.strokeStyle = "rgb(255 255 255 / 80%)";
      pen.lineWidth = 1;
      pen.beginPath();
      for (const [a, b, c, d] of [
        [0, y, x - gap, y], [x + gap, y, place.w, y], [x, 0, x, y - gap], [x, y + gap, x, place.h],
      ]) {
        pen.moveTo(Math.round(a) + 0.5, Math.round(b) + 0.5);
        pen.lineTo(Math.round(c) + 0.5, Math.round(d) + 0.5);
      }
      pen.stroke();
    }
    for (const { name, at } of scene.markers) {
      pen.strokeStyle = VESSEL_COLOURS[name];
      pen.lineWidth = 2;
      const here = at.filter((voxel) => voxel[2] === scene.z);
      for (const voxel of here) {
        const [x, y] = place.toPixel(voxel[0], voxel[1]);
        pen.beginPath();
        if (name === "AIF") pen.arc(x, y, 4, 0, 2 * Math.PI);
        else pen.rect(x - 4, y - 4, 8, 8);
        pen.stroke();
      }
      if (here.length > 0 && place.w > 300) {
        const [x, y] = place.toPixel(here[0][0], here[0][1]);
        pen.fillStyle = pen.strokeStyle;
        pen.font = "12px sans-serif";
        pen.fillText(name, x + 8, y - 6);
      }
    }
    if (scene.brush > 0 && this.hover) {
      pen.strokeStyle = "white";
      pen.lineWidth = 1;
      pen.beginPath();
      const perMm = place.pixelsPerX / scene.spacing[0];
      pen.arc(this.hover[0], this.hover[1], scene.brush * perMm, 0, 2 * Math.PI);
      pen.stroke();
    }
  }
}

/** Drawn regions get a thin film of their colour, so that they differ from computed contours. */
function tint(out: Uint32Array, labels: Uint8Array, first: number, nx: number, place: Grid): void {
  const films = [0, PENUMBRA, CORE].map((one) => (one >>> 2) & 0x3f3f3f3f);
  for (let j = 0; j < place.h; j++) {
    if (place.rows[j] < 0) continue;
    const here = first + place.rows[j] * nx;
    for (let i = 0; i < place.w; i++) {
      const column = place.columns[i];
      if (column < 0) continue;
      const label = labels[here + column];
      if (label === 0) continue;
      const k = j * place.w + i;
      const under = out[k];
      // three quarters of the picture and a quarter of the film, channel by channel
      out[k] = (((under >>> 1) & 0x7f7f7f7f) + ((under >>> 2) & 0x3f3f3f3f) + films[label]) | BLACK;
    }
  }
}
