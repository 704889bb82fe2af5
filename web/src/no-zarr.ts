// Stands in for NiiVue's reader of Zarr, which this page never uses.

const absent = (): never => {
  throw new Error("Zarr is not read here.");
};

export const root = absent;
export const open = absent;
export const get = absent;
export const slice = absent;
export class FetchStore {
  constructor() {
    absent();
  }
}
