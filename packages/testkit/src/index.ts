// The public surface of @countersign/testkit: worlds to attack, doors to go
// through, the catalogue of attacks, and faults. For tests only.

export { type Action, type After, type Attack, runAttack, type Step, titleOf } from './attack.ts';
export { ATTACKS } from './attacks/catalogue.ts';
export {
  type Blow,
  Death,
  Fuse,
  fusedBodies,
  fusedSink,
  fusedSource,
  fusedState,
  fusedTransport,
  type SyncSource,
  type SyncState,
} from './crash.ts';
export {
  type ClientChanges,
  clientDoor,
  codeOf,
  coreDoor,
  DOORS,
  type Door,
  memorySink,
  type Outcome,
  openClient,
  restarting,
  type Session,
} from './doors.ts';
export {
  type DelegationDraft,
  type KeysDraft,
  type ListedAs,
  type RoleDraft,
  type RootDraft,
  type SignatureText,
  type SnapshotDraft,
  type Tamper,
  type TargetDraft,
  type TargetsDraft,
  type TimestampDraft,
  withMember,
} from './drafts.ts';
export { aliasOf, type SeededKeyType, seededKey, type WorldKey } from './keys.ts';
export { MemoryFiles } from './memory-files.ts';
export { type Campaign, runMutants, type Tally } from './mutation/campaign.ts';
export type { Finding, Violation } from './mutation/judge.ts';
export { KINDS } from './mutation/mutants.ts';
export {
  clientWith,
  Destination,
  type Errand,
  type Fetched,
  metered,
  type Report,
  Runaway,
  realClient,
  rememberingCrypto,
  type Victim,
} from './mutation/victim.ts';
export { globOf, type NaiveSearch, naiveSearch } from './reference.ts';
export {
  addPackage,
  DEBUG,
  type ExampleProject,
  IS_ODD,
  MS,
  quorumOf,
  type RegistryOptions,
  registryWorld,
  shardOf,
} from './registry-world.ts';
export type { Fault, Request, Served } from './served.ts';
export { npmTarball, type PackageFacts } from './tarball.ts';
export { type DelegateOptions, type SealOptions, START, World, type WorldOptions } from './world.ts';
