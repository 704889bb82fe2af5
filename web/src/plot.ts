// Line plots as SVG: curves of a voxel, motion of the head.

import { el } from "./dom";

export interface Line {
  name: string;
  x: number[];
  y: (number | null)[];
  colour: string;
  dots?: boolean;
  dashed?: boolean;
  axis?: "left" | "right";
}

const NS = "http://www.w3.org/2000/svg";

function make(tag: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text) node.textContent = text;
  return node;
}

function ticks(low: number, high: number, wanted: number): number[] {
  const span = high - low || 1;
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough) ?? rough;
  const found: number[] = [];
  for (let k = Math.ceil(low / step); k * step <= high + step * 1e-6; k++) found.push(k * step);
  return found;
}

function limits(lines: Line[], pick: (line: Line) => (number | null)[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const line of lines)
    for (const value of pick(line))
      if (value !== null && Number.isFinite(value)) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
  return low > high ? [0, 1] : low === high ? [low - 1, high + 1] : [low, high];
}

export function plot(title: string, xLabel: string, left: string, right: string, lines: Line[]): SVGElement {
  const w = 330;
  const h = 190;
  const ml = 36;
  const mr = lines.some((line) => line.axis === "right") ? 36 : 10;
  const mt = 18;
  const mb = 30;
  const svg = make("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": title, class: "plot" });
  const [x0, x1] = limits(lines, (line) => line.x);
  const toX = (x: number): number => ml + ((x - x0) / (x1 - x0)) * (w - ml - mr);
  for (const x of ticks(x0, x1, 6)) {
    svg.append(make("line", { x1: toX(x), x2: toX(x), y1: mt, y2: h - mb, class: "gridline" }));
    svg.append(make("text", { x: toX(x), y: h - mb + 12, "text-anchor": "middle" }, short(x)));
  }
  svg.append(make("text", { x: (ml + w - mr) / 2, y: h - 4, "text-anchor": "middle" }, xLabel));
  // both axes have their zero at one height, so that the curves' baselines can be compared
  const below = Math.max(
    ...(["left", "right"] as const).map((side) => {
      const own = lines.filter((line) => (line.axis ?? "left") === side);
      if (own.length === 0) return 0;
      const [y0, y1] = limits(own, (line) => line.y);
      return y0 < 0 && y1 > 0 ? -y0 / (y1 - y0) : 0;
    }),
  );
  for (const side of ["left", "right"] as const) {
    const own = lines.filter((line) => (line.axis ?? "left") === side);
    if (own.length === 0) continue;
    let [y0, y1] = limits(own, (line) => line.y);
    y0 = y1 > 0 ? (-below / (1 - below)) * y1 : Math.min(y0, 0);
    const toY = (y: number): number => h - mb - ((y - y0) / (y1 - y0)) * (h - mt - mb);
    for (const y of ticks(y0, y1, 4)) {
      if (side === "left") svg.append(make("line", { x1: ml, x2: w - mr, y1: toY(y), y2: toY(y), class: "gridline" }));
      svg.append(
        make(
          "text",
          { x: side === "left" ? ml - 4 : w - mr + 4, y: toY(y) + 3, "text-anchor": side === "left" ? "end" : "start" },
          short(y),
        ),
      );
    }
    svg.append(
      make(
        "text",
        { x: side === "left" ? 2 : w - 2, y: 10, "text-anchor": side === "left" ? "start" : "end" },
        side === "left" ? left : right,
      ),
    );
    for (const line of own) {
      const points = line.x
        .map((x, k): [number, number | null] => [x, line.y[k] ?? null])
        .filter((p): p is [number, number] => p[1] !== null && Number.isFinite(p[1]));
      if (line.dots)
        for (const [x, y] of points) svg.append(make("circle", { cx: toX(x), cy: toY(y), r: 2, fill: line.colour }));
      else
        svg.append(
          make("polyline", {
            points: points.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(" "),
            fill: "none",
            stroke: line.colour,
            "stroke-width": 1.6,
            ...(line.dashed ? { "stroke-dasharray": "4 3" } : {}),
          }),
        );
    }
  }
  return svg;
}

/** Names and colours of a plot's lines, as text beside it. */
export function legend(lines: Line[]): HTMLElement {
  const item = ({ name, colour, dots }: Line): HTMLElement => {
    const mark = el("i");
    mark.style.background = colour;
    if (dots) mark.style.borderRadius = "50%";
    return el("span", {}, mark, name);
  };
  return el("p", { class: "legend" }, ...lines.map(item));
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
