// Which part of a slice all panels show: orientation, zoom, pan.

import { devicePixels, facing, grid, type Convention, type Facing, type Grid, type Home, type Sight } from "./space";
import type { Manifest } from "./wire";

const MOST_ZOOM = 16;
const LEAST_ZOOM = 0.5;

export class Camera {
  face: Facing;
  private sight: Sight;
  private home: Home;
  private readonly places = new Map<string, Grid>(); // by size: panels of one size share theirs

  constructor(
    private readonly manifest: Manifest,
    public convention: Convention,
  ) {
    const [nx, ny] = manifest.shape_xyz;
    this.home = { x: (nx - 1) / 2, y: (ny - 1) / 2, nx, ny };
    this.sight = { zoom: 1, x: this.home.x, y: this.home.y };
    this.face = facing(manifest, convention);
  }

  turn(convention: Convention): void {
    this.convention = convention;
    this.face = facing(this.manifest, convention);
    this.forgetSizes();
  }

  setHome(home: Home): void {
    this.home = home;
    this.fit();
  }

  fit(): void {
    this.look({ zoom: 1, x: this.home.x, y: this.home.y });
  }

  /** Twice as large around a voxel (without one, around the middle), and back. */
  toggleZoom(voxel: [number, number] | null): void {
    const [x, y] = voxel ?? [this.sight.x, this.sight.y];
    if (this.sight.zoom > 1.01) this.fit();
    else this.look({ zoom: 2, x, y });
  }

  /** What lies under a point of the canvas (CSS pixels) stays there. */
  zoomAt(canvas: HTMLCanvasElement, cssX: number, cssY: number, factor: number): void {
    const { w, h } = this.placeOf(canvas);
    const [dx, dy] = this.inVoxels(canvas, cssX * devicePixels() - w / 2, cssY * devicePixels() - h / 2);
    const { x, y } = this.sight;
    const zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, this.sight.zoom * factor));
    const real = zoom / this.sight.zoom;
    this.look({ zoom, x: x + dx * (1 - 1 / real), y: y + dy * (1 - 1 / real) });
  }

  pan(canvas: HTMLCanvasElement, cssX: number, cssY: number): void {
    const [dx, dy] = this.inVoxels(canvas, cssX * devicePixels(), cssY * devicePixels());
    const { zoom, x, y } = this.sight;
    this.look({ zoom, x: x - dx, y: y - dy });
  }

  /** Where the slice's voxels lie on a canvas that fills its box. */
  placeOf(canvas: HTMLCanvasElement): Grid {
    const box = canvas.parentElement as HTMLElement;
    const w = Math.max(8, Math.round(box.clientWidth * devicePixels()));
    const h = Math.max(8, Math.round(box.clientHeight * devicePixels()));
    const key = `${w}x${h}`;
    let found = this.places.get(key);
    if (!found) {
      found = grid(this.manifest, this.face, this.sight, this.home, w, h);
      this.places.set(key, found);
    }
    return found;
  }

  forgetSizes(): void {
    this.places.clear();
  }

  private look(sight: Sight): void {
    this.sight = sight;
    this.forgetSizes();
  }

  /** A way on the canvas (device pixels) in voxels. */
  private inVoxels(canvas: HTMLCanvasElement, px: number, py: number): [number, number] {
    const { pixelsPerX, pixelsPerY } = this.placeOf(canvas);
    return [((this.face.flipX ? -1 : 1) * px) / pixelsPerX, ((this.face.flipY ? -1 : 1) * py) / pixelsPerY];
  }
}
