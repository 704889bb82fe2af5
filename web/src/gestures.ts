// What mouse, pen and fingers do on the panels.

import type { Camera } from "./camera";
import type { Panel } from "./panel";
import { devicePixels } from "./space";
import type { Marker, Vessel, VolumeInfo, Xyz } from "./wire";

/** Who is told of what a gesture did. */
export interface Listener {
  voxel(at: Xyz): void; // the crosshair moved
  marker(name: Vessel, at: Xyz): void; // dropped there
  drawing(): boolean; // then a drag is a stroke
  strokeBegins(panel: Panel, at: Xyz): void;
  strokeMoves(panel: Panel, at: Xyz): void;
  strokeEnds(): void;
}

/** What gestures act on. */
export interface Gestured {
  readonly z: number;
  readonly shape: Xyz;
  readonly camera: Camera;
  readonly markers: Marker[];
  readonly listener: Listener | null;
  step(slices: number): void;
  setCursor(at: Xyz): void;
  windowOf(info: VolumeInfo): [number, number];
  setWindow(info: VolumeInfo, low: number, high: number): void;
  zoomAt(panel: Panel, cssX: number, cssY: number, factor: number): void;
  pan(panel: Panel, cssX: number, cssY: number): void;
  hover(panel: Panel, at: Xyz | null): void; // null: the pointer left the panel
  setMarker(name: Vessel, at: Xyz): void;
  toggleEnlarged(panel: Panel): void;
}

const MARKER_REACH = 7; // CSS pixels
const SWIPE = 26; // CSS pixels that a finger goes from slice to slice
const TAP = 12; // CSS pixels that a finger may slip
const WINDOW_DRAG = 200; // CSS pixels: down by as many lowers the level by one window's width
const NARROWEST = 0.02; // of the window that the drag began with

interface Finger {
  x: number;
  y: number;
  startX: number;
  startY: number;
}

type Doing =
  | { what: "nothing" | "cursor" | "pan" | "stroke" | "touch" | "pinch" }
  | { what: "window"; from: [number, number] }
  | { what: "marker"; name: Vessel };

/** Pointer gestures on one panel. */
export function followPointer(panel: Panel, on: Gestured): void {
  const { canvas } = panel;
  const down = new Map<number, Finger>();
  let doing: Doing = { what: "nothing" };

  const onCanvas = (event: PointerEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const voxel = (event: PointerEvent): Xyz => {
    const [cssX, cssY] = onCanvas(event);
    const [x, y] = on.camera.placeOf(canvas).toVoxel(cssX * devicePixels(), cssY * devicePixels());
    return [Math.min(on.shape[0] - 1, Math.max(0, x)), Math.min(on.shape[1] - 1, Math.max(0, y)), on.z];
  };
  const markerUnder = (event: PointerEvent): Vessel | null => {
    const [cssX, cssY] = onCanvas(event);
    const place = on.camera.placeOf(canvas);
    const near = (at: Xyz): boolean => {
      const [x, y] = place.toPixel(at[0], at[1]);
      return at[2] === on.z && Math.hypot(x / devicePixels() - cssX, y / devicePixels() - cssY) < MARKER_REACH;
    };
    return on.markers.find((marker) => marker.at.some(near))?.name ?? null;
  };

  /** What a first finger or a button begins to do. */
  const begin = (event: PointerEvent): Doing => {
    if (event.button === 2) return { what: "window", from: on.windowOf(panel.info) };
    if (event.button === 1 || event.shiftKey) return { what: "pan" };
    if (on.listener?.drawing()) {
      on.listener.strokeBegins(panel, voxel(event));
      return { what: "stroke" };
    }
    const name = markerUnder(event);
    if (name) return { what: "marker", name };
    if (event.pointerType === "touch") return { what: "touch" };
    on.setCursor(voxel(event));
    return { what: "cursor" };
  };

  const pinch = (finger: Finger, event: PointerEvent): void => {
    const [a, b] = [...down.values()];
    const before = Math.hypot(a.x - b.x, a.y - b.y);
    const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
    finger.x = event.clientX;
    finger.y = event.clientY;
    const after = Math.hypot(a.x - b.x, a.y - b.y);
    const box = canvas.getBoundingClientRect();
    on.pan(panel, dx / 2, dy / 2);
    if (before > 0) on.zoomAt(panel, (a.x + b.x) / 2 - box.left, (a.y + b.y) / 2 - box.top, after / before);
  };
  const swipe = (finger: Finger, event: PointerEvent): void => {
    const dy = event.clientY - finger.y;
    if (Math.abs(dy) <= SWIPE) return;
    on.step(dy < 0 ? 1 : -1);
    finger.y = event.clientY;
    finger.startY = -1e6; // a swipe is no tap
  };
  const dragWindow = (finger: Finger, event: PointerEvent, [low, high]: [number, number]): void => {
    const wide = high - low;
    const width = Math.max(wide * NARROWEST, wide * Math.exp((event.clientX - finger.startX) / WINDOW_DRAG));
    const level = (low + high) / 2 - ((event.clientY - finger.startY) / WINDOW_DRAG) * wide;
    on.setWindow(panel.info, level - width / 2, level + width / 2);
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    // who works on a picture wants its keys, not those of the field used before
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    down.set(event.pointerId, { x: event.clientX, y: event.clientY, startX: event.clientX, startY: event.clientY });
    if (down.size === 2) {
      if (doing.what === "stroke") on.listener?.strokeEnds();
      doing = { what: "pinch" };
      return;
    }
    doing = begin(event);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = voxel(event);
    panel.hover = [event.offsetX * devicePixels(), event.offsetY * devicePixels()];
    on.hover(panel, at);
    const finger = down.get(event.pointerId);
    if (!finger) return;
    if (doing.what === "pinch") return pinch(finger, event);
    if (doing.what === "touch") return swipe(finger, event);
    const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
    finger.x = event.clientX;
    finger.y = event.clientY;
    if (doing.what === "cursor") on.setCursor(at);
    else if (doing.what === "pan") on.pan(panel, dx, dy);
    else if (doing.what === "stroke") {
      const moves = event.getCoalescedEvents?.() ?? [];
      for (const one of moves.length > 0 ? moves : [event]) on.listener?.strokeMoves(panel, voxel(one));
    } else if (doing.what === "window") dragWindow(finger, event, doing.from);
    else if (doing.what === "marker") on.setMarker(doing.name, at);
  });
  const up = (event: PointerEvent): void => {
    const finger = down.get(event.pointerId);
    down.delete(event.pointerId);
    if (!finger) return;
    if (doing.what === "stroke") on.listener?.strokeEnds();
    else if (doing.what === "marker") on.listener?.marker(doing.name, voxel(event));
    else if (doing.what === "touch" && Math.hypot(event.clientX - finger.startX, event.clientY - finger.startY) < TAP)
      on.setCursor(voxel(event));
    if (down.size === 0) doing = { what: "nothing" };
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => {
    panel.hover = null;
    on.hover(panel, null);
  });
  canvas.addEventListener("dblclick", () => {
    if (!on.listener?.drawing()) on.toggleEnlarged(panel);
  });
}

const WHEEL_NOTCH = 0.4; // of a notch's turn, from which a slice is passed

/** The wheel on any panel: slices, with Ctrl zoom. */
export function followWheel(cells: HTMLElement, panels: Panel[], on: Gestured): void {
  let rest = 0; // notches turned since the last slice
  const wheel = (event: WheelEvent): void => {
    if (!(event.target instanceof HTMLCanvasElement)) return;
    event.preventDefault();
    if (event.ctrlKey) {
      const panel = panels.find((one) => one.canvas === event.target);
      if (panel) on.zoomAt(panel, event.offsetX, event.offsetY, Math.exp(-event.deltaY / 300));
      return;
    }
    rest += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY / 100 : event.deltaY / 3;
    if (Math.abs(rest) < WHEEL_NOTCH) return;
    const slices = Math.sign(rest) * Math.max(1, Math.floor(Math.abs(rest)));
    rest = 0;
    on.step(-slices);
  };
  cells.addEventListener("wheel", wheel, { passive: false });
  cells.addEventListener("contextmenu", (event) => event.preventDefault());
}
