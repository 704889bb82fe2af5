// Outlined regions: 0 none, 1 penumbra, 2 core; brush, fill, interpolation, undo.

export type Tool = "look" | "pen" | "fill" | "erase";

/** What was changed from `from` to `to`, laid over `under`. */
export function laidOver(from: Uint8Array, to: Uint8Array, under: Uint8Array): Uint8Array {
  return under.map((label, k) => (to[k] === from[k] ? label : to[k]));
}

interface Step {
  slices: { z: number; before: Uint8Array; after: Uint8Array }[];
}

const KEPT_STEPS = 60;

export class Drawing {
  readonly labels: Uint8Array;
  private undone: Step[] = [];
  private done: Step[] = [];
  private before = new Map<number, Uint8Array>();

  constructor(
    readonly nx: number,
    readonly ny: number,
    readonly nz: number,
    labels?: Uint8Array,
  ) {
    this.labels = labels ?? new Uint8Array(nx * ny * nz);
  }

  slice(z: number): Uint8Array {
    const n = this.nx * this.ny;
    return this.labels.subarray(z * n, (z + 1) * n);
  }

  /** Call before the first change of a slice within a step. */
  touch(z: number): void {
    if (!this.before.has(z)) this.before.set(z, this.slice(z).slice());
  }

  /** Ends a step; gives the slices that differ. */
  commit(): number[] {
    const slices: Step["slices"] = [];
    for (const [z, before] of this.before) {
      const after = this.slice(z).slice();
      if (after.some((label, k) => label !== before[k])) slices.push({ z, before, after });
    }
    this.before.clear();
    if (slices.length > 0) {
      this.done.push({ slices });
      if (this.done.length > KEPT_STEPS) this.done.shift();
      this.undone = [];
    }
    return slices.map((one) => one.z);
  }

  undo(): number[] {
    const step = this.done.pop();
    if (!step) return [];
    this.undone.push(step);
    this.turn(step, (one) => [one.after, one.before]);
    return step.slices.map((one) => one.z);
  }

  redo(): number[] {
    const step = this.undone.pop();
    if (!step) return [];
    this.done.push(step);
    this.turn(step, (one) => [one.before, one.after]);
    return step.slices.map((one) => one.z);
  }

  /** Only the voxels that the step changed: others may have come from another page since. */
  private turn(step: Step, way: (one: Step["slices"][number]) => [Uint8Array, Uint8Array]): void {
    for (const one of step.slices) {
      const slice = this.slice(one.z);
      slice.set(laidOver(...way(one), slice));
    }
  }

  /** The outline underneath changed; true where that is to be seen. A stroke may be under way. */
  underneath(from: Uint8Array, to: Uint8Array): boolean {
    let seen = false;
    const moved = (slice: Uint8Array, first: number): void => {
      for (let k = 0; k < slice.length; k++)
        if (slice[k] === from[first + k] && to[first + k] !== slice[k]) {
          slice[k] = to[first + k];
          seen = true;
        }
    };
    for (const [z, before] of this.before) moved(before, z * this.nx * this.ny);
    moved(this.labels, 0);
    return seen;
  }

  /** A round brush of `radius` mm from (x0, y0) to (x1, y1); `may` says which voxels it may change. */
  stroke(
    z: number,
    from: [number, number],
    to: [number, number],
    radius: number,
    spacing: [number, number],
    label: number,
    may: (index: number) => boolean,
  ): void {
    this.touch(z);
    const first = z * this.nx * this.ny;
    const rx = radius / spacing[0];
    const ry = radius / spacing[1];
    const [ax, ay] = from;
    const [bx, by] = to;
    const lowX = Math.max(0, Math.ceil(Math.min(ax, bx) - rx));
    const highX = Math.min(this.nx - 1, Math.floor(Math.max(ax, bx) + rx));
    const lowY = Math.max(0, Math.ceil(Math.min(ay, by) - ry));
    const highY = Math.min(this.ny - 1, Math.floor(Math.max(ay, by) + ry));
    const dx = (bx - ax) * spacing[0];
    const dy = (by - ay) * spacing[1];
    const length2 = dx * dx + dy * dy;
    for (let y = lowY; y <= highY; y++)
      for (let x = lowX; x <= highX; x++) {
        const px = (x - ax) * spacing[0];
        const py = (y - ay) * spacing[1];
        const along = length2 === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length2));
        if (Math.hypot(px - along * dx, py - along * dy) > radius) continue;
        const k = first + y * this.nx + x;
        if (may(k)) this.labels[k] = label;
      }
  }

  /** Fills the area around (x, y) that has one label; false where it is open to the border. */
  fill(z: number, x: number, y: number, label: number): boolean {
    const slice = this.slice(z);
    const { nx, ny } = this;
    const old = slice[y * nx + x];
    if (old === label) return true;
    const seen = new Uint8Array(nx * ny);
    const stack = [y * nx + x];
    const found: number[] = [];
    seen[stack[0]] = 1;
    while (stack.length > 0) {
      const k = stack.pop() as number;
      found.push(k);
      const cx = k % nx;
      const cy = (k - cx) / nx;
      if (cx === 0 || cy === 0 || cx === nx - 1 || cy === ny - 1) return false;
      for (const n of [k - 1, k + 1, k - nx, k + nx])
        if (seen[n] === 0 && slice[n] === old) {
          seen[n] = 1;
          stack.push(n);
        }
    }
    this.touch(z);
    for (const k of found) slice[k] = label;
    return true;
  }

  /** Empty slices between outlined ones get the shape halfway: signed distances are interpolated. */
  interpolate(spacing: [number, number]): void {
    const filled: number[] = [];
    for (let z = 0; z < this.nz; z++) if (this.slice(z).some((label) => label > 0)) filled.push(z);
    for (let pair = 0; pair + 1 < filled.length; pair++) {
      const [a, b] = [filled[pair], filled[pair + 1]];
      if (b - a < 2) continue;
      const both = [1, 2].map((label) => [a, b].map((z) => this.distance(z, label, spacing)));
      for (let z = a + 1; z < b; z++) {
        this.touch(z);
        const slice = this.slice(z);
        const t = (z - a) / (b - a);
        both.forEach(([da, db], region) => {
          if (!da || !db) return;
          for (let k = 0; k < slice.length; k++)
            if ((1 - t) * da[k] + t * db[k] < 0) slice[k] = region + 1;
        });
      }
    }
  }

  /** mm to the edge of labels >= `label`, negative inside; null where the slice has none. */
  private distance(z: number, label: number, spacing: [number, number]): Float32Array | null {
    const slice = this.slice(z);
    const inside = Uint8Array.from(slice, (one) => (one >= label ? 1 : 0));
    if (!inside.some((one) => one === 1)) return null;
    const out = squaredDistance(inside, 1, this.nx, this.ny, spacing);
    const into = squaredDistance(inside, 0, this.nx, this.ny, spacing);
    return Float32Array.from(out, (d2, k) => Math.sqrt(d2) - Math.sqrt(into[k]));
  }

  volumesMl(voxelMl: number): { core: number; penumbra: number } {
    let core = 0;
    let penumbra = 0;
    for (const label of this.labels) {
      if (label === 2) core++;
      else if (label === 1) penumbra++;
    }
    return { core: core * voxelMl, penumbra: penumbra * voxelMl };
  }
}

/** Squared mm to the nearest pixel with `value` (Felzenszwalb and Huttenlocher 2012). */
function squaredDistance(
  image: Uint8Array, value: number, nx: number, ny: number, spacing: [number, number],
): Float64Array {
  const far = 1e12;
  const d = Float64Array.from(image, (one) => (one === value ? 0 : far));
  const longest = Math.max(nx, ny);
  const f = new Float64Array(longest);
  const v = new Int32Array(longest);
  const edges = new Float64Array(longest + 1);
  const line = (start: number, step: number, n: number, s: number): void => {
    for (let i = 0; i < n; i++) f[i] = d[start + i * step];
    let k = 0;
    v[0] = 0;
    edges[0] = -Infinity;
    edges[1] = Infinity;
    for (let q = 1; q < n; q++) {
      let cross = 0;
      for (;;) {
        const p = v[k];
        cross = (f[q] - f[p] + s * s * (q * q - p * p)) / (2 * s * s * (q - p));
        if (cross > edges[k]) break;
        k--;
      }
      k++;
      v[k] = q;
      edges[k] = cross;
      edges[k + 1] = Infinity;
    }
    k = 0;
    for (let q = 0; q < n; q++) {
      while (edges[k + 1] < q) k++;
      d[start + q * step] = (s * (q - v[k])) ** 2 + f[v[k]];
    }
  };
  for (let y = 0; y < ny; y++) line(y * nx, 1, nx, spacing[0]);
  for (let x = 0; x < nx; x++) line(x, nx, ny, spacing[1]);
  return d;
}
