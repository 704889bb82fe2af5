// The page's frame: the bar on top, and what is open below it.

import { button, clear, el } from "./dom";
import type { DrawBox } from "./drawbox";
import { help } from "./keyboard";
import { toRas } from "./space";
import { Viewer, type ShowPlanes } from "./viewer";
import type { Manifest, Vessel, Xyz } from "./wire";

export const bar = el("header", { class: "topbar" });
export const place = el("div", { class: "place" });
/** Colour tables of the server, filled before anything is shown. */
export const colours: Record<string, number[][]> = {};
export const open: { viewer: Viewer | null; draw: DrawBox | null } = { viewer: null, draw: null };

export function top(parts: (Node | string)[]): void {
  bar.replaceChildren(
    el("b", { class: "name" }, "bolus"),
    ...parts,
    el("span", { class: "use" }, "Research use, not for diagnosis"),
    button("?", "Keys and gestures (?)", () => help.showModal(), { class: "small" }),
  );
}

export function problem(text: string): void {
  place.replaceChildren(el("p", { class: "problem", role: "alert" }, text));
}

export function openViewer(manifest: Manifest): Viewer {
  open.viewer = new Viewer(manifest, colours, showPlanes);
  return open.viewer;
}

/** Puts a viewer, its outline and the boxes beside it on the page. */
export function lay(
  view: Viewer,
  draw: DrawBox,
  boxes: (HTMLElement | null)[],
  told: { voxel(at: Xyz): void; marker(name: Vessel, at: Xyz): void },
): void {
  open.draw = draw;
  view.listener = {
    ...told,
    drawing: () => draw.active,
    strokeBegins: (panel, at) => draw.begin(panel, at),
    strokeMoves: (panel, at) => draw.move(panel, at),
    strokeEnds: () => draw.end(),
  };
  for (const one of boxes)
    one?.addEventListener("toggle", () => (one as HTMLDetailsElement).open && one.scrollIntoView({ block: "nearest" }));
  place.replaceChildren(view.root, el("aside", { "aria-label": "Numbers and tools" }, ...boxes));
}

const showPlanes: ShowPlanes = (view, info, table, low, high) => {
  const at = view.cursor ? toRas(view.manifest, [...view.cursor, view.z]) : null;
  const radiological = view.camera.convention === "radiological";
  void import("./planes").then((module) => module.showPlanes(info, table, low, high, at, radiological)).catch((error: Error) => alert(error.message));
};

/** Before another exam or reading: wait until the outline is safe. */
export async function leave(): Promise<void> {
  if (open.draw) {
    await open.draw.settled();
    open.draw.stop();
  }
  open.draw = null;
  open.viewer = null;
  clear(place);
}
