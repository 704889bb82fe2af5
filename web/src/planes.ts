// All three planes of one volume, drawn by NiiVue, in a dialog over the page.

import { Niivue, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";
import { button, el } from "./dom";
import type { Table } from "./paint";
import type { VolumeInfo } from "./wire";

export async function showPlanes(
  info: VolumeInfo, colours: Table, low: number, high: number, at: number[] | null /* RAS, mm */, radiological: boolean,
): Promise<void> {
  const canvas = el("canvas", { class: "planes" });
  const dialog = el(
    "dialog",
    { class: "over", "aria-label": `${info.label}, all planes` },
    el("header", {}, el("h2", {}, `${info.label} ${info.method === "?" ? "" : (info.method ?? "")} (${info.unit})`), button("Close", "Close (Escape)", () => dialog.close())),
    el("div", { class: "planes-box" }, canvas),
    el("p", { class: "use" }, "Research use, not for diagnosis"),
  );
  document.body.append(dialog);
  dialog.showModal();
  const view = new Niivue({
    isRadiologicalConvention: radiological,
    backColor: [0, 0, 0, 1],
    isColorbar: true,
    dragAndDropEnabled: false,
    // a thick slab in 3D says little, and takes seconds without a graphics card
    multiplanarShowRender: SHOW_RENDER.NEVER,
    logLevel: "error",
  });
  dialog.addEventListener("close", () => {
    view.cleanup();
    canvas.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext();
    dialog.remove();
  });
  await view.attachToCanvas(canvas);
  const bytes = new Uint8Array(colours.buffer);
  const channel = (k: number): number[] => Array.from({ length: 256 }, (_, i) => bytes[i * 4 + k]);
  view.addColormap("bolus", {
    R: channel(0), G: channel(1), B: channel(2),
    A: Array.from({ length: 256 }, (_, i) => (i === 0 ? 0 : 255)),
    I: Array.from({ length: 256 }, (_, i) => i),
  });
  await view.loadVolumes([{ url: new URL(info.url, location.href).href, name: "volume.nii.gz", colormap: "bolus", cal_min: low, cal_max: high }]);
  view.setSliceType(SLICE_TYPE.MULTIPLANAR);
  if (at && view.volumes[0]) view.scene.crosshairPos = view.mm2frac(at as [number, number, number]);
  view.drawScene();
}
