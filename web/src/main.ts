// The page: a session of results, or a reading study.

import { ArteryBox, motionBox, qualityBox, VoxelBox } from "./boxes";
import { DrawBox } from "./drawbox";
import { button, clear, el } from "./dom";
import { LesionBox } from "./lesionbox";
import type { Table } from "./paint";
import { Viewer } from "./viewer";
import { ask, fetched, labelsFrom, post, Refused, type Manifest, type Session, type VolumeInfo, type Worklist } from "./wire";

const page = document.body;
const bar = el("header", { class: "topbar" });
const place = el("div", { class: "place" });
const keysHelp = help();

let viewer: Viewer | null = null;
let draw: DrawBox | null = null;
let colours: Record<string, number[][]> = {};

async function begin(): Promise<void> {
  page.append(bar, place, keysHelp);
  try {
    // asked for together: the first picture waits for the slowest of them only
    const [session, tables] = await Promise.all([ask<Session>("/api/session"), ask<Record<string, number[][]>>("/api/colours")]);
    colours = tables;
    if (session.kind === "study") await study(session);
    else await results(session);
  } catch (error) {
    const denied = error instanceof Refused && (error.status === 401 || error.status === 403);
    top([]);
    place.append(el("p", { class: "problem", role: "alert" }, denied ? `${(error as Error).message} Open the address that bolus view printed.` : (error as Error).message));
  }
  document.addEventListener("keydown", keys);
}

function problem(error: unknown): void {
  clear(place);
  place.append(el("p", { class: "problem", role: "alert" }, (error as Error).message));
}

function top(parts: (Node | string)[]): void {
  clear(bar);
  bar.append(
    el("b", { class: "name" }, "bolus"),
    ...parts,
    el("span", { class: "use" }, "Research use, not for diagnosis"),
    button("?", "Keys and gestures (?)", () => keysHelp.showModal(), { class: "small" }),
  );
}

// ---- results

async function results(session: Session): Promise<void> {
  const exams = session.exams ?? [];
  const wanted = new URLSearchParams(location.hash.slice(1)).get("exam");
  const first = exams.find((exam) => exam.id === wanted) ?? exams[0];
  if (!first) {
    top([]);
    place.append(el("p", { class: "problem" }, "No exam is open."));
    return;
  }
  const select = el("select", { "aria-label": "Exam", onchange: () => { location.hash = `exam=${encodeURIComponent(select.value)}`; void show(select.value); } });
  const single = el("span", { class: "exam" });
  const verdict = el("span", { class: "pill" });
  top([select, single, verdict]);
  /** A menu where there is a choice; maps made anew come to it. */
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
  const show = async (id: string): Promise<void> => {
    await leave();
    verdict.textContent = "";
    verdict.className = "pill";
    let manifest: Manifest;
    try {
      manifest = await ask<Manifest>(`/api/exams/${encodeURIComponent(id)}`);
    } catch (error) {
      problem(error); // the other exams can still be chosen
      return;
    }
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
  const view = new Viewer(manifest, colours, planes);
  viewer = view;
  const voxel = new VoxelBox(view, manifest, manifest.has_curves ?? false);
  const lesion = new LesionBox(view, manifest);
  const artery = new ArteryBox(view, manifest, another);
  const rater = el("input", { type: "text", maxLength: 32, pattern: "[a-z0-9\\-]{1,32}", value: localStorage.getItem("bolus-rater") ?? "", placeholder: "your name", "aria-label": "Name of the outline's rater: small letters, digits, hyphens" });
  const base = `/api/exams/${encodeURIComponent(manifest.id)}/outlines`;
  const start = async (): Promise<boolean> => {
    const name = rater.value.trim();
    if (!/^[a-z0-9-]{1,32}$/.test(name)) {
      note.textContent = "First a name: small letters, digits, hyphens.";
      rater.focus();
      return false;
    }
    try {
      await box.open(owner(manifest, name), `${base}/${name}`);
      localStorage.setItem("bolus-rater", name);
      note.textContent = `Outline of ${name}.`;
      return true;
    } catch (error) {
      note.textContent = (error as Error).message;
      return false;
    }
  };
  const note = el("span", { class: "faint", role: "status" }, "");
  const box = new DrawBox(
    view, manifest,
    el("p", { class: "row" }, rater, button("Open", "Open or begin this rater's outline", () => void start()),
      button("DICOM SEG", "Write outline.dcm into the results' folder", async () => {
        try {
          await box.settled();
          const said = await post<{ files: string[] }>(`${base}/${rater.value.trim()}/export`, {});
          note.textContent = `Written: ${said.files.join(", ")}`;
        } catch (error) {
          note.textContent = (error as Error).message;
        }
      }), note),
    false, start,
  );
  rater.addEventListener("change", () => { if (box.isOpen) box.close(); void box.setTool("look"); });
  draw = box;
  if (manifest.curves)
    view.markers = [
      { name: "AIF", at: manifest.curves.aif_voxels_xyz ?? [] },
      { name: "VOF", at: manifest.curves.vof_voxels_xyz ?? [] },
    ];
  listen(view, box, (at) => voxel.show(at), (name, at) => artery.marker(name, at));
  for (const info of manifest.volumes)
    if (info.kind === "lesion")
      void view.load(info).then((volume) => {
        if (!view.lesions.has(info.method)) view.lesions.set(info.method, Uint8Array.from(volume.numbers));
        view.redraw();
      }, () => undefined);
  lay(view, [voxel.root, lesion.root, manifest.can_recompute ? artery.root : null, box.root, qualityBox(manifest), motionBox(manifest)]);
}

/** Exam and rater in a few characters: pieces of an outline must never meet another exam. */
function owner(manifest: Manifest, rater: string): string {
  return JSON.stringify([manifest.name, manifest.content ?? "", manifest.shape_xyz, manifest.affine_xyz_to_ras, rater]);
}

function listen(view: Viewer, box: DrawBox, voxel: (at: [number, number, number]) => void, marker: (name: "AIF" | "VOF", at: [number, number, number]) => void): void {
  view.listener = {
    voxel,
    slice: () => undefined,
    marker,
    drawing: () => box.active,
    strokeBegins: (panel, at) => box.begin(panel, at),
    strokeMoves: (panel, at) => box.move(panel, at),
    strokeEnds: () => box.end(),
  };
}

function lay(view: Viewer, boxes: (HTMLElement | null)[]): void {
  clear(place);
  for (const one of boxes)
    one?.addEventListener("toggle", () => (one as HTMLDetailsElement).open && one.scrollIntoView({ block: "nearest" }));
  const side = el("aside", { "aria-label": "Numbers and tools" }, ...boxes);
  place.append(view.root, side);
}

function planes(info: VolumeInfo, table: Table, low: number, high: number): void {
  const voxel = viewer?.cursor ? [...viewer.cursor, viewer.z, 1] : null;
  const at = voxel && viewer ? viewer.manifest.affine_xyz_to_ras.slice(0, 3).map((row) => row.reduce((sum, one, k) => sum + one * voxel[k], 0)) : null;
  const radiological = localStorage.getItem("bolus-orientation") !== "neurological";
  void import("./planes").then((module) => module.showPlanes(info, table, low, high, at, radiological)).catch((error: Error) => alert(error.message));
}

/** Before another exam or reading: wait until the outline is safe. */
async function leave(): Promise<void> {
  if (draw) {
    await draw.settled();
    draw.stop();
  }
  draw = null;
  viewer = null;
  clear(place);
}

// ---- reading study

async function study(session: Session): Promise<void> {
  if (session.rater) await worklist(session);
  else signIn(session);
}

function signIn(session: Session): void {
  top([el("span", { class: "exam" }, "Reading study")]);
  clear(place);
  const who = el("select", { id: "rater", required: true }, ...(session.raters ?? []).map((name) => el("option", { value: name }, name)));
  const code = el("input", { id: "code", type: "password", required: true, autocomplete: "off" });
  const note = el("p", { class: "trouble", role: "alert" });
  const form = el(
    "form",
    {
      class: "card",
      onsubmit: async (event: Event) => {
        event.preventDefault();
        try {
          await post("/api/sign-in", { rater: who.value, code: code.value.trim() });
          await worklist({ ...session, rater: who.value });
        } catch (error) {
          note.textContent = (error as Error).message;
        }
      },
    },
    el("h1", {}, "Sign in"),
    el("label", { htmlFor: "rater" }, "Reader"), who,
    el("label", { htmlFor: "code" }, "Sign-in code"), code,
    el("button", { type: "submit", class: "main" }, "Sign in"),
    note,
  );
  place.append(form);
  code.focus();
}

async function worklist(session: Session): Promise<void> {
  await leave();
  let list: Worklist;
  try {
    list = await ask<Worklist>("/api/worklist");
  } catch (error) {
    problem(error);
    return;
  }
  const out = button("Sign out", "Sign out", async () => {
    await leave();
    await post("/api/sign-out", {});
    signIn({ ...session, rater: null });
  });
  top([el("span", { class: "exam" }, `Reading study · ${list.rater}`), out]);
  const next = list.readings.find((one) => one.state !== "done");
  const words = { new: "not read", open: "begun", done: "done" };
  const card = el(
    "div",
    { class: "card wide" },
    el("h1", {}, `${list.done} of ${list.total} readings done`),
    el("progress", { max: list.total, value: list.done, "aria-label": "Readings done" }),
    next ? button(next.state === "open" ? `Go on with ${next.reading}` : `Read ${next.reading}`, "Open the next reading", () => void read(session, list, next.reading), { class: "main" }) : el("p", {}, "All readings are done. Thank you."),
    el("ul", { class: "readings" }, ...list.readings.map((one) =>
      el("li", { class: one.state },
        button(one.reading, `Open ${one.reading}`, () => void read(session, list, one.reading)), el("span", {}, words[one.state])))),
  );
  place.append(card);
}

async function read(session: Session, list: Worklist, reading: string): Promise<void> {
  await leave();
  const path = `/api/readings/${encodeURIComponent(reading)}`;
  let manifest: Manifest;
  try {
    manifest = await ask<Manifest>(path);
  } catch (error) {
    problem(error);
    return;
  }
  const state = list.readings.find((one) => one.reading === reading)?.state ?? "new";
  const number = list.readings.findIndex((one) => one.reading === reading) + 1;
  const view = new Viewer(manifest, colours, planes);
  viewer = view;
  const voxel = new VoxelBox(view, manifest, false);
  const note = el("p", { class: "trouble", role: "alert" });
  const box = new DrawBox(view, manifest, null, true, async () => false);
  draw = box;
  const finish = button("Done", "Finish this reading and open the next", () => void done(), { class: "main" });
  const done = async (): Promise<void> => {
    note.textContent = "";
    if (!box.hasLabels && !confirm("Nothing is outlined. Finish the reading as “no lesion”?")) return;
    finish.disabled = true;
    try {
      if (!(await box.settled())) throw new Error("The outline is not on the server yet. Try again in a moment.");
      await post(`${path}/done`, { active_s: Number(box.time.value.toFixed(1)) });
      const fresh = await ask<Worklist>("/api/worklist");
      const next = fresh.readings.find((one) => one.state !== "done");
      if (next) await read(session, fresh, next.reading);
      else await worklist(session);
    } catch (error) {
      note.textContent = (error as Error).message;
      finish.disabled = false;
    }
  };
  top([
    el("span", { class: "exam" }, `${list.rater} · reading ${number} of ${list.total} · ${reading}`),
    button("Worklist", "Back to the worklist; the outline is kept", () => void worklist(session)),
    finish,
  ]);
  listen(view, box, (at) => voxel.show(at), () => undefined);
  lay(view, [note, box.root, voxel.root]);
  if (state === "done") {
    finish.hidden = true;
    const again = button("Reopen", "Change this finished reading", async () => {
      try {
        await post(`${path}/reopen`, {});
        await read(session, await ask<Worklist>("/api/worklist"), reading);
      } catch (error) {
        note.textContent = (error as Error).message;
      }
    });
    note.replaceChildren("This reading is done. ", again);
    try {
      const outline = (await (await fetched(`${path}/outline`)).json()) as { mask: string };
      const [nx, ny, nz] = manifest.shape_xyz;
      view.outline = await labelsFrom(outline.mask, nx * ny * nz);
      view.redraw();
    } catch {
      // a reading without a lesion has no outline
    }
    return;
  }
  try {
    await box.open(owner(manifest, `${list.rater}/${reading}`), `${path}/outline`);
  } catch (error) {
    note.textContent = `${(error as Error).message} Reload the page.`;
  }
}

// ---- keys

function keys(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  const slider = target instanceof HTMLInputElement && target.type === "range";
  const typing = target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && !slider && target.type !== "checkbox");
  if (slider && /^(Arrow|Page|Home|End)/.test(event.key)) return; // a slider in hand is moved by them
  if (typing || document.querySelector("dialog[open]") || !viewer) return;
  const with_ = event.ctrlKey || event.metaKey;
  const key = event.key;
  if (with_ && key.toLowerCase() === "z") {
    if (event.shiftKey) draw?.redo();
    else draw?.undo();
  } else if (with_ && key.toLowerCase() === "y") draw?.redo();
  else if (with_ || event.altKey) return;
  else if (key === "ArrowUp" || key === "ArrowRight") viewer.step(1);
  else if (key === "ArrowDown" || key === "ArrowLeft") viewer.step(-1);
  else if (key === "PageUp") viewer.step(5);
  else if (key === "PageDown") viewer.step(-5);
  else if (key === "Home") viewer.goTo(0);
  else if (key === "End") viewer.goTo(Infinity);
  else if (/^[1-9]$/.test(key)) viewer.enlargeNumber(Number(key) - 1);
  else if (key === "Escape") { if (draw?.active) void draw.setTool("look"); else viewer.enlarge(null); }
  else if (key === "o") viewer.toggleContours();
  else if (key === "z") viewer.toggleZoom();
  else if (key === "?") keysHelp.showModal();
  else if (key === "l") void draw?.setTool("look");
  else if (key === "p") void draw?.setTool("pen");
  else if (key === "f") void draw?.setTool("fill");
  else if (key === "e") void draw?.setTool("erase");
  else if (key === "q") draw?.setRegion(2);
  else if (key === "w") draw?.setRegion(1);
  else if (key === "[") draw?.setRadius(draw.brushRadius - 0.5);
  else if (key === "]") draw?.setRadius(draw.brushRadius + 0.5);
  else return;
  event.preventDefault();
}

function help(): HTMLDialogElement {
  const rows: [string, string][] = [
    ["wheel, ↑ ↓, swipe", "next slice; Page up / down: five; Home, End: first, last"],
    ["click, drag", "crosshair in all panels, numbers and curves"],
    ["right drag", "window: sideways its width, up and down its level"],
    ["Ctrl + wheel, pinch", "zoom; middle drag or Shift + drag moves"],
    ["double click, 1–9", "enlarge a panel and back; Escape: back"],
    ["o", "lesion contours on or off"],
    ["z", "zoom to the crosshair and back"],
    ["p  f  e  l", "pen, fill, erase, look"],
    ["q  w", "core, penumbra"],
    ["[  ]", "smaller, larger brush"],
    ["Ctrl + Z, Ctrl + Y", "undo, redo"],
  ];
  const dialog: HTMLDialogElement = el(
    "dialog",
    { class: "help", "aria-label": "Keys and gestures" },
    el("h2", {}, "Keys and gestures"),
    el("table", {}, el("tbody", {}, ...rows.map(([key, what]) => el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, what))))),
    button("Close", "Close", () => dialog.close()),
  );
  return dialog;
}

void begin();
