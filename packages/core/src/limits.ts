// The one table of limits: how much a workflow may read, visit or try.

/** Bounds on what a refresh or a search may cost. Bytes and counts. */
export interface Limits {
  readonly rootBytes: number;
  readonly timestampBytes: number;
  readonly snapshotBytes: number;
  readonly targetsBytes: number;
  readonly listedBytes: number;
  readonly rootRotations: number;
  readonly delegations: number;
}

/** Defaults: the numbers the community's clients share, and our own two. */
export const DEFAULT_LIMITS: Limits = {
  rootBytes: 512_000, // §5.3.3, its W
  timestampBytes: 16_384, // §5.4.1, its X
  snapshotBytes: 2_000_000, // §5.5.1, its Y, when the timestamp gives no length (§4.4/2)
  targetsBytes: 5_000_000, // §5.6.1, its Z, when the snapshot gives no length (§4.4/2)
  listedBytes: 64 * 1024 * 1024, // a length given by an online key is believed up to this
  rootRotations: 256, // §5.3.3, its Y: roots walked in one refresh
  delegations: 32, // §5.6.7.1: roles visited in one search
};
