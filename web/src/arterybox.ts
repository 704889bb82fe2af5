// AIF and VOF: move their markers, recompute, see the new maps beside the old.

import { box, button, el } from "./dom";
import type { Viewer } from "./viewer";
import { ask, post, type Manifest, type Vessel, type Xyz } from "./wire";

const ASK_AGAIN_MS = 300;

export class ArteryBox {
  readonly root: HTMLDetailsElement;
  private moved: { aif: Xyz | null; vof: Xyz | null } = { aif: null, vof: null };
  private readonly text = el("p", { class: "faint" }, "Drag the AIF (circle) or VOF (square) marker on any panel, then recompute.");
  private readonly state = el("p", { role: "status" });
  private runs = 0;

  constructor(
    private readonly viewer: Viewer,
    private readonly manifest: Manifest,
    private readonly made: () => void, // another exam is there
  ) {
    const here = (name: Vessel): HTMLButtonElement =>
      button(`${name} here`, `Use the voxel under the crosshair as the ${name}`, () => {
        if (!viewer.cursor) {
          this.state.textContent = "Click a voxel first.";
          return;
        }
        const at: Xyz = [viewer.cursor[0], viewer.cursor[1], viewer.z];
        viewer.setMarker(name, at);
        this.marker(name, at);
      });
    const show = (name: Vessel): HTMLButtonElement =>
      button(`Show ${name}`, `Go to the slice of the ${name}`, () => {
        const at = viewer.markers.find((one) => one.name === name)?.at[0];
        if (at) viewer.goTo(at[2]);
      });
    const method = el("select", { "aria-label": "Method to recompute" }, ...manifest.methods.map((one) => el("option", { value: one }, one)));
    const go = button("Recompute", "Recompute this method with the new AIF and VOF", () => void this.run(method.value, go));
    this.root = box(
      "AIF and VOF",
      false,
      this.text,
      el("p", { class: "row" }, show("AIF"), show("VOF"), here("AIF"), here("VOF")),
      el("p", { class: "row" }, method, go),
      this.state,
    );
  }

  marker(name: Vessel, at: Xyz): void {
    if (name === "AIF") this.moved.aif = at;
    else this.moved.vof = at;
    this.root.open = true;
    const where = (voxel: Xyz | null): string => (voxel ? `at ${voxel.join(", ")}` : "unchanged");
    this.text.textContent = `AIF ${where(this.moved.aif)}, VOF ${where(this.moved.vof)}.`;
  }

  private async run(method: string, go: HTMLButtonElement): Promise<void> {
    if (!this.moved.aif && !this.moved.vof) {
      this.state.textContent = "Move the AIF or the VOF first.";
      return;
    }
    go.disabled = true;
    this.state.textContent = "computing";
    try {
      this.state.textContent = this.show(method, await this.recomputed(method));
    } catch (error) {
      this.state.textContent = (error as Error).message;
    } finally {
      go.disabled = false;
    }
  }

  /** The exam with maps from the moved vessels. */
  private async recomputed(method: string): Promise<Manifest> {
    const { job } = await post<{ job: string }>(`/api/exams/${this.manifest.id}/recompute`, { method, ...this.moved });
    for (;;) {
      await new Promise((later) => setTimeout(later, ASK_AGAIN_MS));
      const said = await ask<{ state: string; error?: string; exam?: string }>(`/api/jobs/${job}`);
      if (said.state === "failed") throw new Error(said.error ?? "The computation failed.");
      if (said.state === "done" && said.exam) return ask<Manifest>(`/api/exams/${said.exam}`);
    }
  }

  /** Shows the new maps beside the old; gives what to say of them. */
  private show(method: string, fresh: Manifest): string {
    const suffix = ` recomputed ${++this.runs}`;
    const infos = fresh.volumes
      .filter((info) => info.method === method && info.kind === "map")
      .map((info) => ({ ...info, key: `r${this.runs}:${info.key}` }));
    this.viewer.addPanels(infos, suffix);
    this.made();
    const found = fresh.thresholds?.[method];
    if (!found) return "done";
    return `${method}${suffix}: core ${found.core_ml.toFixed(1)} ml, hypoperfused ${found.hypoperfused_ml.toFixed(1)} ml`;
  }
}
