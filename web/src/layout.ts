// Where the panels stand in the grid.

import type { Panel } from "./panel";

const HEAD_AND_FOOT = 48; // CSS pixels of a panel above and below its picture
const LEAST_HEIGHT = 150; // CSS pixels of a row: what does not fit then scrolls

export interface Layout {
  columns: number;
  rows: number;
  cells: Map<Panel, { column: number; row: number }>; // counted from 1
}

/** Panels of one method fill the space; of several, a row is a method and a column is a map. */
export function layout(shown: Panel[], width: number, height: number, aspect: number /* of a slice: height by width */): Layout {
  const images = shown.filter((panel) => panel.info.kind === "image");
  const others = shown.filter((panel) => panel.info.kind !== "image");
  const methods = new Map<string, Panel[]>();
  for (const panel of others) methods.set(rowOf(panel), [...(methods.get(rowOf(panel)) ?? []), panel]);
  return methods.size < 2
    ? filling([...images, ...others], width, height, aspect)
    : byMethod(images, [...methods.values()]);
}

/** Whatever number of columns makes the panels largest. */
function filling(panels: Panel[], width: number, height: number, aspect: number): Layout {
  const size = (n: number): number => Math.min(width / n, (height / Math.ceil(panels.length / n) - HEAD_AND_FOOT) / aspect);
  let columns = 1;
  for (let n = 2; n <= panels.length; n++) if (size(n) > size(columns)) columns = n;
  const cells: Layout["cells"] = new Map(panels.map((panel, k) => [panel, { column: (k % columns) + 1, row: Math.floor(k / columns) + 1 }]));
  return { columns, rows: Math.ceil(panels.length / columns), cells };
}

/** Images stand in columns of their own on the left. */
function byMethod(images: Panel[], methods: Panel[][]): Layout {
  const rows = methods.length;
  const imageColumns = Math.ceil(images.length / rows);
  const maps = [...new Set(methods.flat().map((panel) => panel.info.map))];
  const cells: Layout["cells"] = new Map();
  images.forEach((panel, k) => cells.set(panel, { column: Math.floor(k / rows) + 1, row: (k % rows) + 1 }));
  methods.forEach((panels, line) => {
    for (const panel of panels) cells.set(panel, { column: imageColumns + maps.indexOf(panel.info.map) + 1, row: line + 1 });
  });
  return { columns: imageColumns + maps.length, rows, cells };
}

/** Panels of one row: method, kind, and which computation they come from. */
function rowOf({ info }: Panel): string {
  const computation = info.key.includes(":") ? info.key.split(":")[0] : "";
  return `${info.method}|${info.kind}|${computation}`;
}

/** Puts the panels of a layout, and no others, into the grid. */
export function arrange(grid: HTMLElement, { columns, rows, cells }: Layout): void {
  for (const [panel, { column, row }] of cells) {
    panel.root.style.gridColumn = String(column);
    panel.root.style.gridRow = String(row);
    if (panel.root.parentElement !== grid) grid.append(panel.root);
  }
  const roots = new Set<Element>([...cells.keys()].map((panel) => panel.root));
  for (const child of [...grid.children]) if (!roots.has(child)) child.remove();
  grid.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  grid.style.gridTemplateRows = `repeat(${rows}, minmax(${Math.min(grid.clientHeight, LEAST_HEIGHT)}px, 1fr))`;
}
