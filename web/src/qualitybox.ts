// Verdict and checks of the exam, and how the head moved.

import { box, el } from "./dom";
import { legend, plot, type Line } from "./plot";
import type { Manifest } from "./wire";

const MARK: Record<string, string> = { fail: "✕", warning: "!", note: "✓", info: "i" };

export function qualityBox(manifest: Manifest): HTMLElement {
  const verdict = manifest.verdict;
  const node = box("Quality", verdict?.grade === "fail");
  if (verdict) {
    node.append(el("p", { class: `verdict ${verdict.grade}` }, `${MARK[verdict.grade] ?? ""} ${verdict.text}`));
    for (const reason of verdict.reasons) node.append(el("p", { class: "reason" }, reason));
  }
  const rows = (manifest.checks ?? []).map((check) =>
    el("tr", { class: check.grade },
      el("td", { class: "mark", title: check.grade }, MARK[check.grade] ?? "·"),
      el("td", {}, el("b", {}, check.name), ` ${check.message}`, check.remedy && check.grade !== "note" ? el("p", { class: "remedy" }, check.remedy) : null),
      el("td", { class: "number" }, check.value === null ? "" : `${Number(check.value.toPrecision(4))} ${check.unit}`)),
  );
  node.append(el("table", { class: "checks" }, el("tbody", {}, ...rows)));
  for (const finding of manifest.findings ?? [])
    if (finding.message) node.append(el("p", { class: "reason" }, finding.message, finding.remedy ? ` ${finding.remedy}` : ""));
  return node;
}

function droppedText(frames: number): string {
  if (frames === 0) return "No frames were dropped.";
  return frames === 1 ? "1 frame was dropped." : `${frames} frames were dropped.`;
}

const AXIS_COLOURS = { x: "#ff6e3c", y: "#6fe3c1", z: "#5ab4ff" };

export function motionBox(manifest: Manifest): HTMLElement | null {
  const motion = manifest.motion;
  if (!motion || !motion.time_s?.length) return null;
  const lines: Line[] = [{ name: "displacement", x: motion.time_s, y: motion.displacement_mm, colour: "#f6ca34" }];
  const { time_s: x, translation_mm: translation } = motion;
  if (translation)
    Object.entries(AXIS_COLOURS).forEach(([name, colour], k) => lines.push({ name, x, y: translation.map((one) => one[k]), colour, dashed: true }));
  const dropped = motion.time_s.filter((_, k) => motion.kept[k] === false);
  if (dropped.length > 0) lines.push({ name: "dropped frame", x: dropped, y: dropped.map(() => 0), colour: "#ff4d5e", dots: true });
  const node = box("Motion", false);
  node.append(plot("Head motion", "time (s)", "mm", "", lines), legend(lines));
  node.append(el("p", { class: "faint" }, droppedText(dropped.length)));
  return node;
}
