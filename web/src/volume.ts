// A NIfTI file as numbers, x fastest, then y, then z.

import { isNIFTI, NIFTI1, NIFTI2, readHeader, readImage } from "nifti-reader-js";
import { fetched, gunzip, type VolumeInfo, type Xyz } from "./wire";

export type Numbers = Float32Array | Float64Array | Int16Array | Uint16Array | Uint8Array | Int32Array;

const MOST_HEADER = 65536; // bytes before the values

/** Reads one volume; refuses another shape than the exam's. */
export async function readVolume(info: VolumeInfo, shape: Xyz): Promise<Numbers> {
  const answer = await fetched(info.url);
  let bytes = await answer.arrayBuffer();
  const start = new Uint8Array(bytes, 0, 2);
  if (start[0] === 0x1f && start[1] === 0x8b) bytes = await gunzip(new Uint8Array(bytes), MOST_HEADER + 8 * shape[0] * shape[1] * shape[2]);
  if (!isNIFTI(bytes)) throw new Error(`${info.key} is not a NIfTI file.`);
  const header = readHeader(bytes);
  const dims = header.dims;
  if (dims[1] !== shape[0] || dims[2] !== shape[1] || dims[3] !== shape[2])
    throw new Error(`${info.key} does not have the shape of its exam.`);
  const image = readImage(header, bytes);
  return typed(header, image);
}

function typed(header: NIFTI1 | NIFTI2, image: ArrayBuffer): Numbers {
  let numbers: Numbers;
  if (header.datatypeCode === NIFTI1.TYPE_FLOAT32) numbers = new Float32Array(image);
  else if (header.datatypeCode === NIFTI1.TYPE_FLOAT64) numbers = new Float64Array(image);
  else if (header.datatypeCode === NIFTI1.TYPE_INT16) numbers = new Int16Array(image);
  else if (header.datatypeCode === NIFTI1.TYPE_UINT16) numbers = new Uint16Array(image);
  else if (header.datatypeCode === NIFTI1.TYPE_INT32) numbers = new Int32Array(image);
  else if (header.datatypeCode === NIFTI1.TYPE_UINT8) numbers = new Uint8Array(image);
  else throw new Error(`NIfTI datatype ${header.datatypeCode} is not one that bolus writes.`);
  const slope = header.scl_slope || 1;
  const offset = header.scl_inter || 0;
  if (slope === 1 && offset === 0) return numbers;
  return Float32Array.from(numbers, (value) => value * slope + offset);
}
