// Draws one slice of one volume with contours into pixels.
//
// Why not WebGL: a browser gives about 16 contexts and a grid of maps needs more; without a graphics
// card each context is drawn by software and a slice change takes hundreds of milliseconds. A lookup
// table and an index per pixel take about a millisecond a panel. NiiVue draws the multiplanar view,
// where one context is enough.

import type { Grid } from "./space";
import type { Numbers } from "./volume";
import type { Vessel } from "./wire";

export type Table = Uint32Array; // 256 colours as the machine's 32-bit pixels

const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

function pixel(r: number, g: number, b: number): number {
  return LITTLE ? ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0 : ((r << 24) | (g << 16) | (b << 8) | 255) >>> 0;
}

export function table(colours: number[][]): Table {
  return Uint32Array.from(colours, ([r, g, b]) => pixel(r, g, b));
}

export const BLACK = pixel(0, 0, 0);
// as in src/bolus/publish/palette.py
export const CORE = pixel(222, 38, 150);
export const PENUMBRA = pixel(52, 190, 84);

/** Of markers and curves. */
export const VESSEL_COLOURS: Record<Vessel, string> = { AIF: "#ff6e3c", VOF: "#5ab4ff" };

/** The slice in colours; what is not a number stays black. */
export function paintSlice(
  out: Uint32Array,
  numbers: Numbers,
  first: number, // index of the slice's first voxel
  nx: number,
  place: Grid,
  low: number,
  high: number,
  colours: Table,
  outside: Numbers | null, // where this is 0 there is no measurement
): void {
  const scale = 255 / (high - low || 1);
  const { w, h, columns, rows } = place;
  for (let j = 0, o = 0; j < h; j++) {
    const row = rows[j];
    if (row < 0) {
      out.fill(BLACK, o, o + w);
      o += w;
      continue;
    }
    const start = first + row * nx;
    for (let i = 0; i < w; i++, o++) {
      const column = columns[i];
      if (column < 0) {
        out[o] = BLACK;
        continue;
      }
      const value = numbers[start + column];
      if (value !== value || (outside !== null && outside[start + column] === 0)) {
        out[o] = BLACK;
        continue;
      }
      const step = (value - low) * scale + 0.5;
      out[o] = colours[step <= 0 ? 0 : step >= 255 ? 255 : step | 0];
    }
  }
}

/** Edges of core and of core + penumbra, `thick` pixels wide, inside the region. */
export function paintContours(
  out: Uint32Array,
  labels: Uint8Array,
  first: number,
  nx: number,
  place: Grid,
  thick: number,
  dotted: boolean,
): void {
  const { w, h, columns, rows } = place;
  for (let j = thick; j < h - thick; j++) {
    if (rows[j] < 0) continue;
    const here = first + rows[j] * nx;
    const up = rows[j - thick] < 0 ? -1 : first + rows[j - thick] * nx;
    const down = rows[j + thick] < 0 ? -1 : first + rows[j + thick] * nx;
    for (let i = thick; i < w - thick; i++) {
      const column = columns[i];
      if (column < 0 || (dotted && ((i + j) & 4) !== 0)) continue;
      const label = labels[here + column];
      if (label === 0) continue;
      const l = columns[i - thick];
      const r = columns[i + thick];
      if (
        l < 0 || r < 0 || up < 0 || down < 0 ||
        labels[here + l] < label || labels[here + r] < label ||
        labels[up + column] < label || labels[down + column] < label
      )
        out[j * w + i] = label === 2 ? CORE : PENUMBRA;
    }
  }
}

/** Whether a slice holds any label: most don't, and need no contours. */
export function anyLabel(labels: Uint8Array, first: number, voxels: number): boolean {
  for (let k = first; k < first + voxels; k++) if (labels[k] !== 0) return true;
  return false;
}
