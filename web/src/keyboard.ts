// What the keys do, and the dialog that lists them.

import { button, el } from "./dom";
import type { DrawBox } from "./drawbox";
import type { Viewer } from "./viewer";

type Act = (viewer: Viewer, draw: DrawBox | null) => unknown;

const PLAIN = new Map<string, Act>([
  ["ArrowUp", (viewer) => viewer.step(1)],
  ["ArrowRight", (viewer) => viewer.step(1)],
  ["ArrowDown", (viewer) => viewer.step(-1)],
  ["ArrowLeft", (viewer) => viewer.step(-1)],
  ["PageUp", (viewer) => viewer.step(5)],
  ["PageDown", (viewer) => viewer.step(-5)],
  ["Home", (viewer) => viewer.goTo(0)],
  ["End", (viewer) => viewer.goTo(Infinity)],
  ["Escape", (viewer, draw) => (draw?.active ? draw.setTool("look") : viewer.enlarge(null))],
  ["o", (viewer) => viewer.toggleContours()],
  ["z", (viewer) => viewer.toggleZoom()],
  ["?", () => help.showModal()],
  ["l", (_, draw) => draw?.setTool("look")],
  ["p", (_, draw) => draw?.setTool("pen")],
  ["f", (_, draw) => draw?.setTool("fill")],
  ["e", (_, draw) => draw?.setTool("erase")],
  ["q", (_, draw) => draw?.setRegion(2)],
  ["w", (_, draw) => draw?.setRegion(1)],
  ["[", (_, draw) => draw?.setRadius(draw.brushRadius - 0.5)],
  ["]", (_, draw) => draw?.setRadius(draw.brushRadius + 0.5)],
]);
for (let digit = 1; digit <= 9; digit++) PLAIN.set(String(digit), (viewer) => viewer.enlargeNumber(digit - 1));

const WITH_CTRL = new Map<string, Act>([
  ["z", (_, draw) => draw?.undo()],
  ["shift z", (_, draw) => draw?.redo()],
  ["y", (_, draw) => draw?.redo()],
  ["shift y", (_, draw) => draw?.redo()],
]);

/** The act of a key, where it is not meant for the field in hand. */
export function actOf(event: KeyboardEvent): Act | undefined {
  const target = event.target as HTMLElement;
  const slider = target instanceof HTMLInputElement && target.type === "range";
  const typing = target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && !slider && target.type !== "checkbox");
  if (slider && /^(Arrow|Page|Home|End)/.test(event.key)) return; // a slider in hand is moved by them
  if (typing || document.querySelector("dialog[open]")) return;
  if (event.ctrlKey || event.metaKey) return WITH_CTRL.get(`${event.shiftKey ? "shift " : ""}${event.key.toLowerCase()}`); // Caps Lock changes nothing
  return event.altKey ? undefined : PLAIN.get(event.key);
}

const ROWS: [string, string][] = [
  ["wheel, ↑ ↓, swipe", "next or previous slice; Page Up, Page Down: by five; Home, End: first, last"],
  ["click, drag", "move the crosshair: values and curves of the voxel"],
  ["right drag", "window: width (left, right) and level (up, down)"],
  ["Ctrl + wheel, pinch", "zoom; middle-button drag or Shift + drag pans"],
  ["double click, 1–9", "enlarge a panel and back; Escape: back"],
  ["o", "show or hide lesion contours"],
  ["z", "zoom to the crosshair and back"],
  ["p  f  e  l", "pen, fill, erase, look"],
  ["q  w", "core, penumbra"],
  ["[  ]", "smaller, larger brush"],
  ["Ctrl + Z, Ctrl + Y", "undo, redo"],
];

export const help: HTMLDialogElement = el(
  "dialog",
  { class: "help", "aria-label": "Keys and gestures" },
  el("h2", {}, "Keys and gestures"),
  el("table", {}, el("tbody", {}, ...ROWS.map(([key, what]) => el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, what))))),
  button("Close", "Close", () => help.close()),
);
