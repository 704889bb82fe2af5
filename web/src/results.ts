// A session of results: the choice of the exam, its maps, numbers and tools.

import { ArteryBox } from "./arterybox";
import { button, el } from "./dom";
import { DrawBox } from "./drawbox";
import { ownerOf } from "./keep";
import { LesionBox } from "./lesionbox";
import { lay, leave, openViewer, problem, top } from "./page";
import { motionBox, qualityBox } from "./qualitybox";
import { recall, remember } from "./settings";
import type { Viewer } from "./viewer";
import { VoxelBox } from "./voxelbox";
import { ask, post, type Manifest, type Session } from "./wire";

export async function results(session: Session): Promise<void> {
  const exams = session.exams ?? [];
  const wanted = new URLSearchParams(location.hash.slice(1)).get("exam");
  const first = exams.find((exam) => exam.id === wanted) ?? exams[0];
  if (!first) {
    top([]);
    problem("No exam is open.");
    return;
  }
  const choose = (): void => {
    location.hash = `exam=${encodeURIComponent(select.value)}`;
    void show(select.value);
  };
  const select = el("select", { "aria-label": "Exam", onchange: choose });
  const single = el("span", { class: "exam" });
  const verdict = el("span", { class: "pill" });
  top([select, single, verdict]);
  /** A menu where there is a choice; exams with recomputed maps come to it. */
  const fill = (all: typeof exams, chosen: string): void => {
    select.replaceChildren(...all.map((exam) => el("option", { value: exam.id }, exam.name)));
    select.value = chosen;
    single.textContent = all[0].name;
    select.hidden = all.length < 2;
    single.hidden = !select.hidden;
  };
  const refill = async (): Promise<void> => {
    const fresh = await ask<Session>("/api/session");
    fill(fresh.exams ?? exams, select.value);
  };
  let choices = 0;
  const show = async (id: string): Promise<void> => {
    const mine = ++choices;
    await leave();
    verdict.textContent = "";
    verdict.className = "pill";
    let manifest: Manifest;
    try {
      manifest = await ask<Manifest>(`/api/exams/${encodeURIComponent(id)}`);
    } catch (error) {
      if (mine === choices) problem((error as Error).message); // the other exams can still be chosen
      return;
    }
    if (mine !== choices) return; // another exam was chosen meanwhile
    document.title = `${manifest.name} – bolus`;
    verdict.textContent = manifest.verdict?.text ?? "";
    verdict.className = `pill ${manifest.verdict?.grade ?? ""}`;
    verdict.title = (manifest.verdict?.reasons ?? []).join(" ");
    openExam(manifest, () => void refill());
  };
  fill(exams, first.id);
  await show(first.id);
}

function openExam(manifest: Manifest, another: () => void): void {
  const view = openViewer(manifest);
  const voxel = new VoxelBox(view, manifest, manifest.has_curves ?? false);
  const lesion = new LesionBox(view, manifest);
  const artery = new ArteryBox(view, manifest, another);
  const draw = outlineBox(view, manifest);
  if (manifest.curves)
    view.markers = [
      { name: "AIF", at: manifest.curves.aif_voxels_xyz ?? [] },
      { name: "VOF", at: manifest.curves.vof_voxels_xyz ?? [] },
    ];
  for (const info of manifest.volumes)
    if (info.kind === "lesion")
      void view.load(info).then((labels) => {
        if (!view.lesions.has(info.method)) view.lesions.set(info.method, Uint8Array.from(labels));
        view.redraw();
      }, () => undefined);
  const boxes = [voxel.root, lesion.root, manifest.can_recompute ? artery.root : null, draw.root, qualityBox(manifest), motionBox(manifest)];
  lay(view, draw, boxes, { voxel: (at) => voxel.show(at), marker: (name, at) => artery.marker(name, at) });
}

/** The outline of a rater, who gives a name first. */
function outlineBox(view: Viewer, manifest: Manifest): DrawBox {
  const base = `/api/exams/${encodeURIComponent(manifest.id)}/outlines`;
  const note = el("span", { class: "faint", role: "status" }, "");
  const rater = el("input", {
    type: "text", maxLength: 32, pattern: "[a-z0-9\\-]{1,32}", value: recall("rater"), placeholder: "your name",
    "aria-label": "Rater's name: lower-case letters, digits, hyphens",
  });
  rater.addEventListener("change", () => {
    if (draw.isOpen) draw.close();
    void draw.setTool("look");
  });
  const start = async (): Promise<boolean> => {
    const name = rater.value.trim();
    if (!/^[a-z0-9-]{1,32}$/.test(name)) {
      note.textContent = "Enter a name first: lower-case letters, digits, hyphens.";
      rater.focus();
      return false;
    }
    try {
      await draw.open(ownerOf(manifest, name), `${base}/${name}`);
      remember("rater", name);
      note.textContent = `Outline of ${name}.`;
      return true;
    } catch (error) {
      note.textContent = (error as Error).message;
      return false;
    }
  };
  const write = async (): Promise<void> => {
    try {
      await draw.settled();
      const said = await post<{ files: string[] }>(`${base}/${rater.value.trim()}/export`, {});
      note.textContent = `Written: ${said.files.join(", ")}`;
    } catch (error) {
      note.textContent = (error as Error).message;
    }
  };
  const row = el(
    "p",
    { class: "row" },
    rater,
    button("Open", "Open or start this rater's outline", () => void start()),
    button("DICOM SEG", "Write outline.dcm to the results folder", () => void write()),
    note,
  );
  const draw = new DrawBox(view, manifest, row, false, start);
  return draw;
}
