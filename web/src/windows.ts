// In which window and colours each volume is shown.

import { table, type Table } from "./paint";
import type { VolumeInfo } from "./wire";

export type Scale = "perfusion" | "uniform";

export class Windows {
  private readonly byHand = new Map<string, [number, number]>();
  private readonly tables: Record<string, Table>;

  constructor(
    colours: Record<string, number[][]>,
    public scale: Scale, // of the perfusion maps
  ) {
    this.tables = Object.fromEntries(Object.entries(colours).map(([name, list]) => [name, table(list)]));
  }

  of(info: VolumeInfo): [number, number] {
    return this.byHand.get(key(info)) ?? [info.low, info.high];
  }

  /** Does nothing where the two are not a window. */
  set(info: VolumeInfo, low: number, high: number): void {
    if (Number.isFinite(low) && Number.isFinite(high) && high > low) this.byHand.set(key(info), [low, high]);
  }

  table(info: VolumeInfo): Table {
    const name = info.colours === "perfusion" ? this.scale : info.colours;
    return this.tables[name] ?? this.tables.grey;
  }
}

/** One window for a map in all methods. */
function key(info: VolumeInfo): string {
  return `${info.kind}/${info.map || info.key}`;
}
