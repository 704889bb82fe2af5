// The grid of linked panels: slices, crosshair, windows, zoom, and what pointer and keys do.

import { button, choice, clear, el } from "./dom";
import { table, type Table } from "./paint";
import { Panel } from "./panel";
import { facing, grid, type Convention, type Facing, type Grid, type Home, type Sight } from "./space";
import { readVolume, type Volume } from "./volume";
import type { Manifest, VolumeInfo, Xyz } from "./wire";

export type Scale = "perfusion" | "uniform";

export interface Listener {
  voxel(at: Xyz): void; // the crosshair moved
  slice(z: number): void;
  marker(name: "AIF" | "VOF", at: Xyz): void; // dropped there
  strokeBegins(panel: Panel, at: Xyz): void;
  strokeMoves(panel: Panel, at: Xyz): void;
  strokeEnds(): void;
  drawing(): boolean;
}

const remembered = <T extends string>(name: string, allowed: readonly T[]): T => {
  const found = localStorage.getItem(`bolus-${name}`) as T | null;
  return found && allowed.includes(found) ? found : allowed[0];
};

/** The head: the brain and what lies 14 mm around it. */
function around(brain: Volume, manifest: Manifest): Home {
  const [nx, ny, nz] = manifest.shape_xyz;
  let [x0, x1, y0, y1] = [nx, -1, ny, -1];
  for (let z = 0, k = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, k++)
        if (brain.numbers[k] !== 0) {
          if (x < x0) x0 = x;
          if (x > x1) x1 = x;
          if (y < y0) y0 = y;
          if (y > y1) y1 = y;
        }
  if (x1 < 0) return { x: (nx - 1) / 2, y: (ny - 1) / 2, nx, ny };
  const [sx, sy] = manifest.spacing_xyz_mm;
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, nx: x1 - x0 + 28 / sx, ny: y1 - y0 + 28 / sy };
}

export class Viewer {
  readonly root: HTMLElement;
  readonly panels: Panel[] = [];
  readonly lesions = new Map<string, Uint8Array>();
  z: number;
  cursor: [number, number] | null = null;
  outline: Uint8Array | null = null;
  brush = 0;
  contours = true;
  markers: { name: "AIF" | "VOF"; at: Xyz[] }[] = [];
  listener: Listener | null = null;

  private convention = remembered<Convention>("orientation", ["radiological", "neurological"]);
  private scale = remembered<Scale>("scale", ["perfusion", "uniform"]);
  private face: Facing;
  private sight: Sight;
  private home: Home;
  private readonly windows = new Map<string, [number, number]>();
  private readonly hidden = new Set<string>();
  private readonly tables: Record<string, Table>;
  private readonly volumes = new Map<string, Promise<Volume>>();
  private brain: Volume | null = null;
  private busy = 0;
  private readonly queue: (() => void)[] = [];
  private finished: () => void = () => undefined;
  /** Resolves when all panels have their volumes. */
  readonly loaded = new Promise<void>((go) => (this.finished = go));
  private enlarged: Panel | null = null;
  private places = new Map<string, Grid>();
  private asked = false;
  private readonly cells = el("div", { class: "cells" });
  private readonly slider: HTMLInputElement;
  private readonly sliceText = el("output", { class: "slice-text" });
  private readonly menu = el("details", { class: "menu" });
  private readonly orientationText = el("span", { class: "orientation" });
  private readonly reading = el("span", { class: "reading", "aria-live": "off" });

  constructor(
    readonly manifest: Manifest,
    colours: Record<string, number[][]>,
    private readonly sharp: (info: VolumeInfo, colours: Table, low: number, high: number) => void,
  ) {
    this.tables = Object.fromEntries(Object.entries(colours).map(([name, list]) => [name, table(list)]));
    this.tables.lesion ??= this.tables.grey;
    const [nx, ny, nz] = manifest.shape_xyz;
    this.z = Math.floor(nz / 2);
    this.home = { x: (nx - 1) / 2, y: (ny - 1) / 2, nx, ny };
    this.sight = { zoom: 1, x: this.home.x, y: this.home.y };
    this.face = facing(manifest, this.convention);
    this.slider = el("input", {
      type: "range", min: "0", max: String(nz - 1), step: "1", value: String(this.z),
      "aria-label": "Slice", oninput: () => this.goTo(Number(this.slider.value)),
    });
    const orientation = choice<Convention>(
      "Orientation",
      [
        ["radiological", "Radiological", "Patient's left on the viewer's right"],
        ["neurological", "Neurological", "Patient's left on the viewer's left"],
      ],
      this.convention,
      (value) => {
        this.convention = value;
        localStorage.setItem("bolus-orientation", value);
        this.face = facing(manifest, value);
        this.moved();
      },
    );
    const scale = choice<Scale>(
      "Colours",
      [
        ["perfusion", "Standard", "The field's colour scale"],
        ["uniform", "Uniform", "Perceptually uniform colour scale, also for colour-blind eyes"],
      ],
      this.scale,
      (value) => {
        this.scale = value;
        localStorage.setItem("bolus-scale", value);
        this.redraw();
      },
    );
    const contours = button("Contours", "Lesion contours on or off (o)", () => this.toggleContours(), { class: "contours" });
    contours.setAttribute("aria-pressed", "true");
    this.root = el(
      "main",
      { class: "viewer" },
      el(
        "div",
        { class: "tools", role: "toolbar", "aria-label": "Display" },
        scale.node,
        orientation.node,
        contours,
        button("Fit", "Whole slice (z)", () => this.fit()),
        this.menu,
        this.orientationText,
      ),
      this.cells,
      el("div", { class: "slices" }, this.slider, this.sliceText, this.reading),
    );
    new ResizeObserver(() => this.arrange()).observe(this.cells);
    this.cells.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.cells.addEventListener("contextmenu", (event) => event.preventDefault());
    this.addPanels(manifest.volumes, "");
    this.goTo(this.z);
  }

  /** Adds panels for volumes; a recomputed exam's rows get a word after the method. */
  addPanels(infos: VolumeInfo[], suffix: string): void {
    for (const info of infos) {
      if (info.kind === "lesion") continue;
      if (info.map === "brain" || info.key === "brain") {
        void this.load(info).then((volume) => {
          this.brain = volume;
          this.home = around(volume, this.manifest);
          this.fit();
        }, () => undefined);
        continue;
      }
      const blind = info.method === "?" || !info.method;
      const method = blind ? "" : ` ${info.method}`;
      const what = info.kind === "se" && !/SE|error/i.test(info.label) ? " standard error" : info.kind === "difference" && !/diff|−|-|Δ/i.test(info.label) ? " difference" : "";
      const panel = new Panel(info, `${info.label}${what}${method}${suffix}`, {
        enlarge: (one) => this.enlarge(this.enlarged === one ? null : one),
        volumeView: (one) => {
          const [low, high] = this.windowOf(one.info);
          this.sharp(one.info, this.tableOf(one.info), low, high);
        },
        window: (one, low, high) => this.setWindow(one.info, low, high),
      });
      this.pointers(panel);
      this.panels.push(panel);
      if (info.kind === "se" || info.kind === "difference") this.hidden.add(info.key);
    }
    this.fillMenu();
    this.arrange();
    void this.loadShown();
  }

  async load(info: VolumeInfo): Promise<Volume> {
    let found = this.volumes.get(info.url);
    if (!found) {
      found = this.turn(() => readVolume(info, this.manifest.shape_xyz));
      this.volumes.set(info.url, found);
    }
    return found;
  }

  /** Two volumes at a time, in the order asked for: the first pictures are there early. */
  private async turn<T>(work: () => Promise<T>): Promise<T> {
    if (this.busy >= 2) await new Promise<void>((go) => this.queue.push(go));
    else this.busy++;
    try {
      return await work();
    } finally {
      const next = this.queue.shift();
      if (next) next();
      else this.busy--;
    }
  }

  private async loadShown(): Promise<void> {
    // maps first: the pictures of the CT are three times as large
    const wanted = this.shown()
      .filter((panel) => !panel.volume)
      .sort((a, b) => Number(a.info.kind === "image") - Number(b.info.kind === "image"));
    const next = async (): Promise<void> => {
      for (let panel = wanted.shift(); panel; panel = wanted.shift()) {
        try {
          panel.volume = await this.load(panel.info);
          panel.say("");
        } catch (error) {
          this.volumes.delete(panel.info.url);
          panel.say(`not loaded: ${(error as Error).message}`);
        }
        this.redraw();
      }
    };
    await Promise.all([next(), next()]);
    if (this.shown().every((panel) => panel.volume)) {
      this.root.dataset.loaded = "yes";
      this.finished();
    }
  }

  private shown(): Panel[] {
    return this.panels.filter((panel) => (this.enlarged ? panel === this.enlarged : !this.hidden.has(panel.info.key)));
  }

  /** The value of every loaded volume at a voxel, as in its file. */
  valuesAt([x, y, z]: Xyz): { panel: Panel; value: number }[] {
    const [nx, ny] = this.manifest.shape_xyz;
    return this.panels
      .filter((panel) => panel.volume)
      .map((panel) => ({ panel, value: (panel.volume as Volume).numbers[(z * ny + y) * nx + x] }));
  }

  // ---- layout

  private fillMenu(): void {
    clear(this.menu);
    const list = el("div", { class: "sheet" });
    for (const panel of this.panels) {
      const box = el("input", {
        type: "checkbox",
        checked: !this.hidden.has(panel.info.key),
        onchange: () => {
          if (box.checked) this.hidden.delete(panel.info.key);
          else this.hidden.add(panel.info.key);
          this.arrange();
          void this.loadShown();
        },
      });
      list.append(el("label", {}, box, panel.name));
    }
    this.menu.append(el("summary", { title: "Panels on and off" }, "Panels"), list);
  }

  private arrange(): void {
    const shown = this.shown();
    const width = this.cells.clientWidth;
    const height = this.cells.clientHeight;
    const rowOf = (panel: Panel): string => `${panel.info.method}|${panel.info.kind}|${panel.info.key.split(":").length > 1 ? panel.info.key.split(":")[0] : ""}`;
    const images = shown.filter((panel) => panel.info.kind === "image");
    const rows = new Map<string, Panel[]>();
    for (const panel of shown)
      if (panel.info.kind !== "image") rows.set(rowOf(panel), [...(rows.get(rowOf(panel)) ?? []), panel]);
    const maps: string[] = [];
    for (const row of rows.values()) for (const panel of row) if (!maps.includes(panel.info.map)) maps.push(panel.info.map);
    const seen = new Set<Panel>();
    const put = (panel: Panel, column: number, row: number): void => {
      panel.root.style.gridColumn = String(column);
      panel.root.style.gridRow = String(row);
      seen.add(panel);
      if (panel.root.parentElement !== this.cells) this.cells.append(panel.root);
    };
    let columns: number;
    let lines: number;
    if (rows.size < 2) {
      // one method: whatever number of columns makes the panels largest
      const aspect = (this.manifest.shape_xyz[1] * this.manifest.spacing_xyz_mm[1]) / (this.manifest.shape_xyz[0] * this.manifest.spacing_xyz_mm[0]);
      const size = (n: number): number => Math.min(width / n, (height / Math.ceil(shown.length / n) - 48) / aspect);
      columns = 1;
      for (let n = 2; n <= shown.length; n++) if (size(n) > size(columns)) columns = n;
      lines = Math.ceil(shown.length / columns);
      [...images, ...shown.filter((panel) => panel.info.kind !== "image")].forEach((panel, k) =>
        put(panel, (k % columns) + 1, Math.floor(k / columns) + 1),
      );
    } else {
      const imageColumns = Math.ceil(images.length / rows.size);
      columns = imageColumns + maps.length;
      lines = rows.size;
      images.forEach((panel, k) => put(panel, Math.floor(k / rows.size) + 1, (k % rows.size) + 1));
      [...rows.values()].forEach((row, line) => {
        for (const panel of row) put(panel, imageColumns + maps.indexOf(panel.info.map) + 1, line + 1);
      });
    }
    for (const child of [...this.cells.children])
      if (![...seen].some((panel) => panel.root === child)) child.remove();
    this.cells.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    // more than four rows scroll
    this.cells.style.gridTemplateRows = `repeat(${lines}, minmax(${Math.min(height, 150)}px, 1fr))`;
    this.cells.classList.toggle("one", this.enlarged !== null);
    this.moved();
  }

  enlarge(panel: Panel | null): void {
    this.enlarged = panel;
    this.arrange();
    void this.loadShown();
  }

  enlargeNumber(k: number): void {
    const visible = this.panels.filter((panel) => !this.hidden.has(panel.info.key));
    const panel = visible[k];
    if (panel) this.enlarge(this.enlarged === panel ? null : panel);
  }

  get isEnlarged(): boolean {
    return this.enlarged !== null;
  }

  // ---- windows and colours

  private windowKey(info: VolumeInfo): string {
    return `${info.kind}/${info.map || info.key}`; // one window for a map in all methods
  }

  private windowOf(info: VolumeInfo): [number, number] {
    return this.windows.get(this.windowKey(info)) ?? [info.low, info.high];
  }

  private tableOf(info: VolumeInfo): Table {
    const name = info.colours === "perfusion" ? this.scale : info.colours;
    return this.tables[name] ?? this.tables.grey;
  }

  setWindow(info: VolumeInfo, low: number, high: number): void {
    if (!Number.isFinite(low) || !Number.isFinite(high) || high <= low) {
      this.redraw();
      return;
    }
    this.windows.set(this.windowKey(info), [low, high]);
    this.redraw();
  }

  toggleContours(): void {
    this.contours = !this.contours;
    this.root.querySelector(".contours")?.setAttribute("aria-pressed", String(this.contours));
    this.redraw();
  }

  // ---- movement

  goTo(z: number): void {
    const nz = this.manifest.shape_xyz[2];
    this.z = Math.min(nz - 1, Math.max(0, Math.round(z)));
    this.slider.value = String(this.z);
    const affine = this.manifest.affine_xyz_to_ras;
    const at = affine[2][2] * this.z + affine[2][3];
    this.sliceText.textContent = `slice ${this.z + 1} / ${nz} · z ${at.toFixed(1)} mm`;
    this.listener?.slice(this.z);
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

  fit(): void {
    this.sight = { zoom: 1, x: this.home.x, y: this.home.y };
    this.moved();
  }

  /** Twice as large around the crosshair, and back. */
  toggleZoom(): void {
    if (this.sight.zoom > 1.01) this.fit();
    else {
      const [x, y] = this.cursor ?? [this.sight.x, this.sight.y];
      this.sight = { zoom: 2, x, y };
      this.moved();
    }
  }

  private moved(): void {
    this.places.clear();
    this.orientationText.textContent =
      this.convention === "radiological" ? "radiological: patient's left is on your right" : "neurological: patient's left is on your left";
    this.redraw();
  }

  private place(w: number, h: number): Grid {
    const key = `${w}x${h}`;
    let found = this.places.get(key);
    if (!found) {
      found = grid(this.manifest, this.face, this.sight, this.home, w, h);
      this.places.set(key, found);
    }
    return found;
  }

  private placeOf(panel: Panel): Grid {
    const box = panel.canvas.parentElement as HTMLElement;
    const dense = window.devicePixelRatio || 1;
    return this.place(Math.max(8, Math.round(box.clientWidth * dense)), Math.max(8, Math.round(box.clientHeight * dense)));
  }

  // ---- drawing

  redraw(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      const begin = performance.now();
      for (const panel of this.shown()) this.drawPanel(panel);
      this.root.dataset.slice = String(this.z);
      this.root.dataset.drawMs = (performance.now() - begin).toFixed(1);
      if (!this.root.dataset.firstMs && this.shown().some((panel) => panel.volume && panel.info.kind === "map")) this.root.dataset.firstMs = performance.now().toFixed(0);
    });
  }

  private drawPanel(panel: Panel): void {
    const [low, high] = this.windowOf(panel.info);
    const colours = this.tableOf(panel.info);
    const difference = panel.info.kind === "difference" || panel.info.kind === "image";
    panel.showWindow(low, high, colours);
    panel.draw(
      {
        z: this.z,
        shape: this.manifest.shape_xyz,
        cursor: this.cursor,
        face: this.face,
        brain: this.brain,
        lesion: this.contours ? this.lesionOf(panel, difference) : null,
        outline: this.outline,
        dotted: this.outline !== null,
        brush: this.brush,
        spacing: this.manifest.spacing_xyz_mm,
        markers: this.markers,
      },
      this.placeOf(panel),
      low,
      high,
      colours,
    );
  }

  /** Images and differences show the first method's lesion. */
  private lesionOf(panel: Panel, first: boolean): Uint8Array | null {
    const own = this.lesions.get(panel.info.method);
    if (own) return own;
    return first ? (this.lesions.get(this.manifest.methods[0]) ?? null) : null;
  }

  // ---- pointer

  private wheelRest = 0;

  private wheel(event: WheelEvent): void {
    if (!(event.target instanceof HTMLCanvasElement)) return;
    event.preventDefault();
    if (event.ctrlKey) {
      const panel = this.panels.find((one) => one.canvas === event.target);
      if (panel) this.zoomAt(panel, event.offsetX, event.offsetY, Math.exp(-event.deltaY / 300));
      return;
    }
    this.wheelRest += event.deltaMode === 0 ? event.deltaY / 100 : event.deltaY / 3;
    const steps = Math.abs(this.wheelRest) >= 0.4 ? Math.sign(this.wheelRest) * Math.max(1, Math.floor(Math.abs(this.wheelRest))) : 0;
    if (steps !== 0) {
      this.wheelRest = 0;
      this.step(-steps);
    }
  }

  private zoomAt(panel: Panel, cssX: number, cssY: number, factor: number): void {
    const dense = window.devicePixelRatio || 1;
    const place = this.placeOf(panel);
    const signX = this.face.flipX ? -1 : 1;
    const signY = this.face.flipY ? -1 : 1;
    const dx = (signX * (cssX * dense - place.w / 2)) / place.pixelsPerX;
    const dy = (signY * (cssY * dense - place.h / 2)) / place.pixelsPerY;
    const zoom = Math.min(16, Math.max(0.5, this.sight.zoom * factor));
    const real = zoom / this.sight.zoom;
    this.sight = { zoom, x: this.sight.x + dx * (1 - 1 / real), y: this.sight.y + dy * (1 - 1 / real) };
    this.moved();
  }

  private pan(panel: Panel, cssX: number, cssY: number): void {
    const dense = window.devicePixelRatio || 1;
    const place = this.placeOf(panel);
    this.sight = {
      zoom: this.sight.zoom,
      x: this.sight.x - ((this.face.flipX ? -1 : 1) * cssX * dense) / place.pixelsPerX,
      y: this.sight.y - ((this.face.flipY ? -1 : 1) * cssY * dense) / place.pixelsPerY,
    };
    this.moved();
  }

  private pointers(panel: Panel): void {
    const { canvas } = panel;
    const down = new Map<number, { x: number; y: number; startX: number; startY: number }>();
    let doing: "nothing" | "cursor" | "window" | "pan" | "stroke" | "marker" | "touch" | "pinch" = "nothing";
    let base: [number, number] = [0, 0];
    let marker: "AIF" | "VOF" = "AIF";

    const voxel = (event: PointerEvent): Xyz => {
      const dense = window.devicePixelRatio || 1;
      const box = canvas.getBoundingClientRect();
      const [x, y] = this.placeOf(panel).toVoxel((event.clientX - box.left) * dense, (event.clientY - box.top) * dense);
      const [nx, ny] = this.manifest.shape_xyz;
      return [Math.min(nx - 1, Math.max(0, x)), Math.min(ny - 1, Math.max(0, y)), this.z];
    };
    const nearMarker = (event: PointerEvent): "AIF" | "VOF" | null => {
      const dense = window.devicePixelRatio || 1;
      const box = canvas.getBoundingClientRect();
      const place = this.placeOf(panel);
      for (const { name, at } of this.markers)
        for (const one of at) {
          if (one[2] !== this.z) continue;
          const [x, y] = place.toPixel(one[0], one[1]);
          if (Math.hypot(x / dense - (event.clientX - box.left), y / dense - (event.clientY - box.top)) < 7) return name;
        }
      return null;
    };

    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      // who works on a picture wants its keys, not those of the field used before
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
      down.set(event.pointerId, { x: event.clientX, y: event.clientY, startX: event.clientX, startY: event.clientY });
      if (down.size === 2) {
        if (doing === "stroke") this.listener?.strokeEnds();
        doing = "pinch";
        return;
      }
      const drawing = this.listener?.drawing() ?? false;
      if (event.button === 2) {
        doing = "window";
        base = this.windowOf(panel.info);
      } else if (event.button === 1 || event.shiftKey) doing = "pan";
      else if (drawing) {
        doing = "stroke";
        this.listener?.strokeBegins(panel, voxel(event));
      } else {
        const near = nearMarker(event);
        if (near) {
          doing = "marker";
          marker = near;
        } else if (event.pointerType === "touch") doing = "touch";
        else {
          doing = "cursor";
          this.setCursor(voxel(event));
        }
      }
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = voxel(event);
      const dense = window.devicePixelRatio || 1;
      panel.hover = [event.offsetX * dense, event.offsetY * dense];
      if (this.brush > 0) requestAnimationFrame(() => this.drawPanel(panel));
      this.readOut(panel, at);
      const finger = down.get(event.pointerId);
      if (!finger) return;
      const dx = event.clientX - finger.x;
      const dy = event.clientY - finger.y;
      if (doing === "pinch") {
        const [a, b] = [...down.values()];
        const before = Math.hypot(a.x - b.x, a.y - b.y);
        finger.x = event.clientX;
        finger.y = event.clientY;
        const after = Math.hypot(a.x - b.x, a.y - b.y);
        const box = canvas.getBoundingClientRect();
        this.pan(panel, dx / 2, dy / 2);
        if (before > 0) this.zoomAt(panel, (a.x + b.x) / 2 - box.left, (a.y + b.y) / 2 - box.top, after / before);
        return;
      }
      if (doing === "touch") {
        if (Math.abs(dy) > 26) {
          this.step(dy < 0 ? 1 : -1);
          finger.y = event.clientY;
          finger.startY = -1e6; // a swipe is no tap
        }
        return;
      }
      finger.x = event.clientX;
      finger.y = event.clientY;
      if (doing === "cursor") this.setCursor(at);
      else if (doing === "pan") this.pan(panel, dx, dy);
      else if (doing === "stroke") {
        const moves = event.getCoalescedEvents?.() ?? [];
        for (const one of moves.length > 0 ? moves : [event]) this.listener?.strokeMoves(panel, voxel(one));
      } else if (doing === "window") {
        const totalX = event.clientX - finger.startX;
        const totalY = event.clientY - finger.startY;
        const wide = base[1] - base[0];
        const width = Math.max(wide * 0.02, wide * Math.exp(totalX / 200));
        const level = (base[0] + base[1]) / 2 - (totalY / 200) * wide;
        this.setWindow(panel.info, level - width / 2, level + width / 2);
      } else if (doing === "marker") {
        this.markers = this.markers.map((one) => (one.name === marker ? { name: marker, at: [at] } : one));
        this.redraw();
      }
    });
    const up = (event: PointerEvent): void => {
      const finger = down.get(event.pointerId);
      down.delete(event.pointerId);
      if (!finger) return;
      if (doing === "stroke") this.listener?.strokeEnds();
      else if (doing === "marker") this.listener?.marker(marker, voxel(event));
      else if (doing === "touch" && Math.hypot(event.clientX - finger.startX, event.clientY - finger.startY) < 12)
        this.setCursor(voxel(event));
      if (down.size === 0) doing = "nothing";
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => {
      panel.hover = null;
      this.reading.textContent = "";
      if (this.brush > 0) requestAnimationFrame(() => this.drawPanel(panel));
    });
    canvas.addEventListener("dblclick", () => {
      if (!this.listener?.drawing()) this.enlarge(this.enlarged === panel ? null : panel);
    });
  }

  private readOut(panel: Panel, [x, y, z]: Xyz): void {
    if (!panel.volume) return;
    const [nx, ny] = this.manifest.shape_xyz;
    const value = panel.volume.numbers[(z * ny + y) * nx + x];
    this.reading.textContent = `${panel.info.label} ${Number(value.toPrecision(4))} ${panel.info.unit} at ${x}, ${y}, ${z}`;
  }
}
