// Nothing drawn is lost: every change goes to IndexedDB at once and to the server after it.
//
// A slice stays in IndexedDB until the server has said that it is on disk. A page that opens lays
// what was changed in the slices it finds there over the server's outline and sends it.
//
// Two pages may have one outline open. The server refuses the one that does not know of the other's
// strokes; that page then takes them over and lays its own on top, voxel by voxel.

import { laidOver } from "./outline";
import { ask, fetched, labelsFrom, Refused, type Manifest, type Outline } from "./wire";

export type State = "saved" | "saving" | "unreachable" | "refused";

/** Exam and rater in one name: pieces of an outline must never meet another exam. */
export function ownerOf(manifest: Manifest, rater: string): string {
  return JSON.stringify([manifest.name, manifest.content ?? "", manifest.shape_xyz, manifest.affine_xyz_to_ras, rater]);
}

interface Kept {
  key: string; // exam and rater, then slice, then page
  z: number;
  bytes: Uint8Array;
  base?: Uint8Array; // the server's slice that was drawn on
  at: number; // counts up with every change of this slice
}

let opened: Promise<IDBDatabase> | null = null;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("bolus-outlines", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("slices", { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB cannot be opened."));
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
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB aborted."));
  });
}

/** Tells the pieces of this page from those of others that are open in this browser. */
const PAGE = Array.from(crypto.getRandomValues(new Uint32Array(2)), (one) => one.toString(36)).join("");

export class Keeper {
  private revision = 0;
  private known: Uint8Array; // the server's outline as far as this page knows
  private waiting = new Map<number, Kept>();
  private sending = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private count = 0;
  private closed = false;

  constructor(
    private readonly owner: string, // exam and rater
    private readonly path: string, // of the outline on the server
    private readonly voxels: number, // of a slice
    slices: number,
    private readonly activeSeconds: () => number,
    private readonly show: (state: State, message: string) => void,
    private readonly elsewhere: (from: Uint8Array, to: Uint8Array) => void, // the server's outline changed
    private readonly drawn: (z: number) => Uint8Array, // a slice as it is now
  ) {
    this.known = new Uint8Array(voxels * slices);
  }

  /** The labels to go on with, the server's and over them what only this browser has; seconds so far. */
  async restore(): Promise<{ labels: Uint8Array; active_s: number }> {
    const range = IDBKeyRange.bound(`${this.owner}\n`, `${this.owner}\n\uffff`);
    const pieces = (await inStore("readonly", (store) => store.getAll(range))) as Kept[];
    const { labels: known, active_s } = await this.fetchOutline();
    this.known = known;
    const labels = known.slice();
    pieces.sort((a, b) => a.at - b.at);
    for (const piece of pieces) {
      if (piece.bytes.length !== this.voxels || (piece.z + 1) * this.voxels > labels.length) continue;
      const slice = labels.subarray(piece.z * this.voxels, (piece.z + 1) * this.voxels);
      slice.set(piece.base ? laidOver(piece.base, piece.bytes, slice) : piece.bytes);
      this.keep(piece.z, slice, false);
      if (piece.key !== this.key(piece.z)) await inStore("readwrite", (store) => store.delete(piece.key));
    }
    return { labels, active_s };
  }

  private key(z: number): string {
    return `${this.owner}\n${z}\n${PAGE}`;
  }

  private slice(z: number): Uint8Array {
    return this.known.subarray(z * this.voxels, (z + 1) * this.voxels);
  }

  /** The server's outline, whose revision is then the one to write on; nothing where there is none. */
  private async fetchOutline(): Promise<{ labels: Uint8Array; active_s: number }> {
    const voxels = this.known.length;
    try {
      const outline = await ask<Outline>(this.path);
      const labels = await labelsFrom(outline.mask, voxels);
      this.revision = outline.revision;
      return { labels, active_s: outline.active_s };
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) throw error;
      this.revision = 0;
      return { labels: new Uint8Array(voxels), active_s: 0 };
    }
  }

  /** Keeps a slice in this browser; `send` also hands it to the server (at the end of a stroke). */
  keep(z: number, bytes: Uint8Array, send: boolean): void {
    const kept: Kept = { key: this.key(z), z, bytes: bytes.slice(), base: this.slice(z).slice(), at: ++this.count };
    this.waiting.set(z, kept);
    this.show("saving", "saving");
    inStore("readwrite", (store) => store.put(kept)).catch(() =>
      this.show("refused", "this browser cannot store outlines: keep the page open until it says “saved”"),
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

  /** What another page drew comes into this one, under what this one drew and has not sent yet. */
  private async takeOver(): Promise<void> {
    const before = this.known;
    this.known = (await this.fetchOutline()).labels;
    this.elsewhere(before, this.known);
    for (const z of [...this.waiting.keys()]) this.keep(z, this.drawn(z), false);
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
            await this.takeOver();
            continue;
          }
          throw error;
        }
        this.slice(kept.z).set(kept.bytes);
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
