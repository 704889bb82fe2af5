// Where a voxel is on the screen, and what side of the patient that is.

import type { Numbers } from "./volume";
import type { Manifest, Xyz } from "./wire";

export type Convention = "radiological" | "neurological";

/** Which way the axes of a slice run on the screen. */
export interface Facing {
  flipX: boolean;
  flipY: boolean;
  left: string; // letters at the edges of the picture
  right: string;
  top: string;
  bottom: string;
}

/** Patient's left on the viewer's right (radiological) or left (neurological); front on top. */
export function facing(manifest: Manifest, convention: Convention): Facing {
  const affine = manifest.affine_xyz_to_ras;
  const alongX = affine.slice(0, 3).map((row) => row[0]);
  const alongY = affine.slice(0, 3).map((row) => row[1]);
  const toLeft = convention === "radiological"; // patient's left lies to the right of the screen
  const flipX = toLeft ? alongX[0] > 0 : alongX[0] < 0;
  const flipY = alongY[1] > 0; // downwards on the screen is towards the back
  return {
    flipX,
    flipY,
    right: letter(alongX, flipX),
    left: letter(alongX, !flipX),
    bottom: letter(alongY, flipY),
    top: letter(alongY, !flipY),
  };
}

/** Letter of the patient's side that a direction (RAS) points to. */
function letter(direction: number[], reversed: boolean): string {
  const sizes = direction.map(Math.abs);
  const axis = sizes.indexOf(Math.max(...sizes));
  const positive = direction[axis] > 0 !== reversed;
  return ["LR", "PA", "IS"][axis][positive ? 1 : 0];
}

/** Zoom and place of all panels: `x`, `y` is the voxel in the middle. */
export interface Sight {
  zoom: number;
  x: number;
  y: number;
}

/** For a canvas of w x h device pixels: the voxel column of every pixel column, likewise rows. */
export interface Grid {
  w: number;
  h: number;
  columns: Int32Array; // -1 outside
  rows: Int32Array;
  toVoxel(px: number, py: number): [number, number];
  toPixel(x: number, y: number): [number, number]; // centre of a voxel
  pixelsPerX: number;
  pixelsPerY: number;
}

/** What is to be seen at zoom 1: its middle and size in voxels. */
export interface Home {
  x: number;
  y: number;
  nx: number;
  ny: number;
}

const MARGIN = 14; // mm around the brain, for the skull

/** The head: the brain and what lies around it. */
export function headOf(brain: Numbers, manifest: Manifest): Home {
  const [nx, ny, nz] = manifest.shape_xyz;
  let [x0, x1, y0, y1] = [nx, -1, ny, -1];
  for (let z = 0, k = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, k++)
        if (brain[k] !== 0) {
          if (x < x0) x0 = x;
          if (x > x1) x1 = x;
          if (y < y0) y0 = y;
          if (y > y1) y1 = y;
        }
  if (x1 < 0) return { x: (nx - 1) / 2, y: (ny - 1) / 2, nx, ny };
  const [sx, sy] = manifest.spacing_xyz_mm;
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, nx: x1 - x0 + (2 * MARGIN) / sx, ny: y1 - y0 + (2 * MARGIN) / sy };
}

/** Device pixels in a CSS pixel. */
export function devicePixels(): number {
  return window.devicePixelRatio || 1;
}

/** A voxel's place in the patient: mm to the right, front and top. */
export function toRas(manifest: Manifest, [x, y, z]: Xyz): number[] {
  return manifest.affine_xyz_to_ras.slice(0, 3).map((row) => row[0] * x + row[1] * y + row[2] * z + row[3]);
}

export function grid(manifest: Manifest, face: Facing, sight: Sight, home: Home, w: number, h: number): Grid {
  const [nx, ny] = manifest.shape_xyz;
  const [sx, sy] = manifest.spacing_xyz_mm;
  const perMm = Math.min(w / (home.nx * sx), h / (home.ny * sy)) * sight.zoom;
  const pixelsPerX = perMm * sx;
  const pixelsPerY = perMm * sy;
  const signX = face.flipX ? -1 : 1;
  const signY = face.flipY ? -1 : 1;
  const toVoxel = (px: number, py: number): [number, number] => [
    Math.round(sight.x + (signX * (px - w / 2)) / pixelsPerX),
    Math.round(sight.y + (signY * (py - h / 2)) / pixelsPerY),
  ];
  const columns = new Int32Array(w);
  const rows = new Int32Array(h);
  for (let i = 0; i < w; i++) {
    const x = toVoxel(i + 0.5, 0)[0];
    columns[i] = x >= 0 && x < nx ? x : -1;
  }
  for (let j = 0; j < h; j++) {
    const y = toVoxel(0, j + 0.5)[1];
    rows[j] = y >= 0 && y < ny ? y : -1;
  }
  const toPixel = (x: number, y: number): [number, number] => [
    w / 2 + signX * (x - sight.x) * pixelsPerX,
    h / 2 + signY * (y - sight.y) * pixelsPerY,
  ];
  return { w, h, columns, rows, toVoxel, toPixel, pixelsPerX, pixelsPerY };
}
