// Volumes from the server: each is fetched once, two at a time, in the order asked for.

import { readVolume, type Numbers } from "./volume";
import type { VolumeInfo, Xyz } from "./wire";

const AT_ONCE = 2; // more would delay the first pictures

export class Volumes {
  private readonly asked = new Map<string, Promise<Numbers>>(); // by address
  private busy = 0;
  private readonly queue: (() => void)[] = [];

  constructor(private readonly shape: Xyz) {}

  load(info: VolumeInfo): Promise<Numbers> {
    let found = this.asked.get(info.url);
    if (!found) {
      found = this.turn(() => readVolume(info, this.shape));
      this.asked.set(info.url, found);
    }
    return found;
  }

  /** What could not be loaded is asked for again next time. */
  forget(info: VolumeInfo): void {
    this.asked.delete(info.url);
  }

  private async turn<T>(work: () => Promise<T>): Promise<T> {
    if (this.busy >= AT_ONCE) await new Promise<void>((go) => this.queue.push(go));
    else this.busy++;
    try {
      return await work();
    } finally {
      const next = this.queue.shift();
      if (next) next();
      else this.busy--;
    }
  }
}
