// What the server says, and how it is asked.

export type Kind = "map" | "se" | "difference" | "lesion" | "image";
export type Xyz = [number, number, number];
export type Vessel = "AIF" | "VOF";

/** Voxels that a vessel's curve comes from. */
export interface Marker {
  name: Vessel;
  at: Xyz[];
}

export interface VolumeInfo {
  key: string;
  method: string;
  map: string;
  kind: Kind;
  label: string;
  unit: string;
  low: number;
  high: number;
  colours: "perfusion" | "difference" | "grey" | "lesion" | "uniform";
  url: string;
}

/** What the run itself found, and by which preset. */
export interface Threshold {
  preset: string;
  core_ml: number;
  hypoperfused_ml: number;
}

/** What a preset says for one method. */
export interface Rule {
  core: { map: string; below: number; text: string };
  hypoperfused: { map: string; above: number; text: string };
  source: string;
}

export type Rules = Record<string, Rule>; // by preset

export interface Check {
  name: string;
  grade: string;
  value: number | null;
  unit: string;
  message: string;
  remedy: string;
}

export interface Manifest {
  id: string;
  name: string;
  content?: string; // tells exams apart that have one name and one grid
  verdict?: { grade: string; text: string; reasons: string[] } | null;
  shape_xyz: Xyz;
  spacing_xyz_mm: Xyz;
  voxel_ml: number;
  affine_xyz_to_ras: number[][];
  methods: string[];
  volumes: VolumeInfo[];
  thresholds?: Record<string, Threshold>;
  curves?: {
    time_s: number[];
    aif_hu: number[];
    aif_scaled_hu: number[];
    vof_hu: number[];
    aif_voxels_xyz: Xyz[];
    vof_voxels_xyz: Xyz[];
  } | null;
  motion?: {
    time_s: number[];
    displacement_mm: number[];
    rotation_deg?: number[][];
    translation_mm?: number[][];
    kept: boolean[];
  } | null;
  checks?: Check[];
  findings?: { grade?: string; message?: string; remedy?: string }[];
  can_recompute?: boolean;
  has_curves?: boolean;
}

export interface Session {
  kind: "results" | "study";
  version: string;
  use: string;
  rater: string | null;
  exams?: { id: string; name: string; verdict: string | null }[];
  raters?: string[];
}

export interface Voxel {
  values: Record<string, number | null>;
  position_lps_mm?: number[];
  time_s?: number[];
  curve_hu?: number[];
  fit_time_s?: number[];
  fits?: Record<string, number[]>;
}

export interface LesionAnswer {
  core_ml: number;
  penumbra_ml: number;
  hypoperfused_ml: number;
  mismatch_ml: number;
  mismatch_ratio: number | null;
  side: string;
  dice?: Record<string, Record<string, number | null>>;
  mask: string;
}

export interface Outline {
  revision: number;
  active_s: number;
  mask: string;
}

export interface Worklist {
  rater: string;
  readings: { reading: string; state: "new" | "open" | "done" }[];
  done: number;
  total: number;
}

/** The server said no; `status` 0 means that it did not answer at all. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly revision?: number,
  ) {
    super(message);
  }
}

export async function ask<T>(path: string, init: RequestInit = {}): Promise<T> {
  const answer = await fetched(path, init);
  return (await answer.json()) as T;
}

export function post<T>(path: string, body: unknown): Promise<T> {
  return ask<T>(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

export async function fetched(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not respond.");
  }
  if (answer.ok) return answer;
  let message = `${answer.status} ${answer.statusText}`;
  let revision: number | undefined;
  try {
    const said = (await answer.json()) as { error?: string; revision?: number };
    message = said.error ?? message;
    revision = said.revision;
  } catch {
    // the status has to do
  }
  throw new Refused(answer.status, message, revision);
}

/** Labels (x fastest, then y, then z) from base64 of gzip. */
export async function labelsFrom(mask: string, voxels: number): Promise<Uint8Array> {
  const packed = Uint8Array.from(atob(mask), (letter) => letter.charCodeAt(0));
  const labels = new Uint8Array(await gunzip(packed, voxels));
  if (labels.length !== voxels) throw new Error("A mask does not have the shape of its exam.");
  return labels;
}

/** Unpacks at most `most` bytes: a small file can unpack to more than a browser holds. */
export async function gunzip(packed: Uint8Array, most: number): Promise<ArrayBuffer> {
  const reader = new Blob([packed as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const parts: BlobPart[] = [];
  let length = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    length += next.value.length;
    if (length > most) {
      await reader.cancel();
      throw new Error("the file holds more data than its exam allows.");
    }
    parts.push(next.value as BlobPart);
  }
  return new Blob(parts).arrayBuffer();
}
