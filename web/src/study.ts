// A reading study: sign in, worklist, readings.

import { button, el } from "./dom";
import { DrawBox } from "./drawbox";
import { ownerOf } from "./keep";
import { lay, leave, openViewer, place, problem, top } from "./page";
import { VoxelBox } from "./voxelbox";
import { ask, labelsFrom, post, type Manifest, type Outline, type Session, type Worklist } from "./wire";

const STATES = { new: "not read", open: "in progress", done: "done" };

export async function study(session: Session): Promise<void> {
  if (session.rater) await worklist(session);
  else signIn(session);
}

function signIn(session: Session): void {
  top([el("span", { class: "exam" }, "Reading study")]);
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
  place.replaceChildren(form);
  code.focus();
}

async function worklist(session: Session): Promise<void> {
  await leave();
  let list: Worklist;
  try {
    list = await ask<Worklist>("/api/worklist");
  } catch (error) {
    problem((error as Error).message);
    return;
  }
  const out = button("Sign out", "Sign out", async () => {
    await leave();
    await post("/api/sign-out", {});
    signIn({ ...session, rater: null });
  });
  top([el("span", { class: "exam" }, `Reading study · ${list.rater}`), out]);
  const next = list.readings.find((one) => one.state !== "done");
  const card = el(
    "div",
    { class: "card wide" },
    el("h1", {}, `${list.done} of ${list.total} readings done`),
    el("progress", { max: list.total, value: list.done, "aria-label": "Readings done" }),
    next
      ? button(`${next.state === "open" ? "Continue" : "Read"} ${next.reading}`, "Open the next reading", () => void read(session, list, next.reading), { class: "main" })
      : el("p", {}, "All readings are done. Thank you."),
    el("ul", { class: "readings" }, ...list.readings.map((one) =>
      el("li", { class: one.state },
        button(one.reading, `Open ${one.reading}`, () => void read(session, list, one.reading)), el("span", {}, STATES[one.state])))),
  );
  place.replaceChildren(card);
}

async function read(session: Session, list: Worklist, reading: string): Promise<void> {
  await leave();
  const path = `/api/readings/${encodeURIComponent(reading)}`;
  let manifest: Manifest;
  try {
    manifest = await ask<Manifest>(path);
  } catch (error) {
    problem((error as Error).message);
    return;
  }
  const index = list.readings.findIndex((one) => one.reading === reading);
  const view = openViewer(manifest);
  const voxel = new VoxelBox(view, manifest, false);
  const note = el("p", { class: "trouble", role: "alert" });
  const box = new DrawBox(view, manifest, null, true, async () => false);
  const finish = button("Done", "Finish this reading and open the next", () => void done(), { class: "main" });
  const done = async (): Promise<void> => {
    note.textContent = "";
    if (!box.hasLabels && !confirm("Nothing is outlined. Finish the reading as “no lesion”?")) return;
    finish.disabled = true;
    try {
      if (!(await box.settled())) throw new Error("The outline has not reached the server yet. Try again in a moment.");
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
    el("span", { class: "exam" }, `${list.rater} · reading ${index + 1} of ${list.total} · ${reading}`),
    button("Worklist", "Back to the worklist; the outline is kept", () => void worklist(session)),
    finish,
  ]);
  lay(view, box, [note, box.root, voxel.root], { voxel: (at) => voxel.show(at), marker: () => undefined });
  if (list.readings[index]?.state === "done") {
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
      const outline = await ask<Outline>(`${path}/outline`);
      const [nx, ny, nz] = manifest.shape_xyz;
      view.outline = await labelsFrom(outline.mask, nx * ny * nz);
      view.redraw();
    } catch {
      // a reading without a lesion has no outline
    }
    return;
  }
  try {
    await box.open(ownerOf(manifest, `${list.rater}/${reading}`), `${path}/outline`);
  } catch (error) {
    note.textContent = `${(error as Error).message} Reload the page.`;
  }
}
