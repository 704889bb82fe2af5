// Nothing drawn is lost: every change goes to IndexedDB at once and to the server after it.
//
// A slice stays in IndexedDB until the server has said that it is on disk. A page that opens lays
// the slices it finds there over the server's outline and sends them.

import { fetched, Refused, type Outline } from "./wire";

export type State = "saved" | "saving" | "unreachable" | "refused";

interface Kept {
  key: string; // exam and rater, then slice
  z: number;
  bytes: Uint8Array;
  at: number; // counts up with every change of this slice
}

let opened: Promise<IDBDatabase> | null = null;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("bolus-outlines", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("slices", { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB can't be opened."));
  });
  return opened;
}

async function inStore<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await database();
  return new Promise((resolve, reject) => {
    // strict: the answer comes after the data are on disk
    const transaction = db.transaction("slices", mode, { durability: "strict" });
    const request = work(transaction.objectStore("slices"));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = () => reject(transaction.error ?? new Error("IndexedDB failed."));
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB gave up."));
  });
}

export class Keeper {
  private revision = 0;
  private waiting = new Map<number, Kept>();
  private sending = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private count = 0;
  private closed = false;

  constructor(
    private readonly owner: string, // exam and rater
    private readonly path: string, // of the outline on the server
    private readonly activeSeconds: () => number,
    private readonly show: (state: State, message: string) => void,
  ) {}

  /** The server's outline (null: none yet), and slices that only this browser has. */
  async restore(): Promise<{ outline: Outline | null; slices: Kept[] }> {
    const range = IDBKeyRange.bound(`${this.owner}\n`, `${this.owner}\n\uffff`);
    const slices = (await inStore("readonly", (store) => store.getAll(range))) as Kept[];
    const outline = await this.fetchOutline();
    for (const kept of slices) {
      this.waiting.set(kept.z, kept);
      this.count = Math.max(this.count, kept.at);
    }
    return { outline, slices };
  }

  private async fetchOutline(): Promise<Outline | null> {
    try {
      const outline = (await (await fetched(this.path)).json()) as Outline;
      this.revision = outline.revision;
      return outline;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) {
        this.revision = 0;
        return null;
      }
      throw error;
    }
  }

  /** Keeps a slice in this browser; `send` also hands it to the server (at the end of a stroke). */
  keep(z: number, bytes: Uint8Array, send: boolean): void {
    const kept: Kept = { key: `${this.owner}\n${z}`, z, bytes: bytes.slice(), at: ++this.count };
    this.waiting.set(z, kept);
    this.show("saving", "saving");
    inStore("readwrite", (store) => store.put(kept)).catch(() =>
      this.show("refused", "this browser can't keep outlines: don't close the page before “saved”"),
    );
    if (send) this.push();
  }

  push(): void {
    if (!this.sending && !this.closed) void this.send();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  get pending(): number {
    return this.waiting.size;
  }

  /** Waits until everything is on the server; false where that takes longer than `ms`. */
  async settled(ms: number): Promise<boolean> {
    const end = performance.now() + ms;
    this.push();
    while (this.waiting.size > 0 && performance.now() < end) await new Promise((go) => setTimeout(go, 30));
    return this.waiting.size === 0;
  }

  private async send(): Promise<void> {
    this.sending = true;
    clearTimeout(this.timer);
    try {
      while (this.waiting.size > 0 && !this.closed) {
        const kept = this.waiting.values().next().value as Kept;
        const query = `revision=${this.revision}&active_s=${this.activeSeconds().toFixed(1)}`;
        try {
          const answer = await fetched(`${this.path}/slices/${kept.z}?${query}`, {
            method: "PUT",
            headers: { "content-type": "application/octet-stream" },
            body: kept.bytes as BodyInit,
          });
          this.revision = ((await answer.json()) as { revision: number }).revision;
        } catch (error) {
          if (error instanceof Refused && error.status === 409 && error.revision !== undefined && error.revision !== this.revision) {
            this.revision = error.revision; // another page wrote; this slice is newer than its
            continue;
          }
          throw error;
        }
        if (this.waiting.get(kept.z)?.at === kept.at) {
          this.waiting.delete(kept.z);
          await inStore("readwrite", (store) => store.delete(kept.key));
          const newer = this.waiting.get(kept.z);
          if (newer) await inStore("readwrite", (store) => store.put(newer));
        }
      }
      this.show("saved", "saved");
    } catch (error) {
      const silent = error instanceof Refused && (error.status === 0 || error.status >= 500);
      if (silent) this.show("unreachable", "server unreachable, kept in this browser");
      else this.show("refused", `not saved, kept in this browser: ${(error as Error).message}`);
      if (!this.closed) this.timer = setTimeout(() => void this.send(), silent ? 1000 : 5000);
    } finally {
      this.sending = false;
    }
  }
}
