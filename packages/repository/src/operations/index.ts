// The subpath @countersign/repository/operations: what an operator does to a
// collection as a whole. Everything works on the storage ports.

export type { Account, LedgerRows, WholeLedger } from '../ports.ts';
export { type Foreign, type ForeignSource, readForeign } from '../takeover/foreign.ts';
export {
  draftTakeover,
  type TakenOver,
  type TakeoverKeys,
  type TakeoverOptions,
  takeOver,
  takeoverAuthorities,
} from '../takeover/takeover.ts';
export type { ArchiveReader, ArchiveWriter } from './archive.ts';
export { folderArchive, openFolderArchive } from './archive-folder.ts';
export { openTarArchive, tarArchive } from './archive-tar.ts';
export { backUp, type MadeBackup, type Manifest, readManifest } from './backup.ts';
export { type CheckOptions, type CheckSummary, checkCollection } from './check.ts';
export {
  FINDINGS,
  type Finding,
  type FindingFacts,
  type FindingKind,
  type FindingRow,
  type Severity,
} from './findings.ts';
export { findGarbage, type Garbage, type GarbageOptions, removeGarbage } from './garbage.ts';
export { DEFAULT_GRACE, heldTimestamps, type KeptFiles, keptFiles, type ServedTimestamp } from './keep.ts';
export { goesBack, higherOf, type LastSeen, lastSeenIn, laterRoots, type RenewalKeys, renewKeys } from './new-keys.ts';
export { type RebuildOptions, type Rebuilt, rebuildLedger } from './rebuild.ts';
export { type Repaired, repairCollection } from './repair.ts';
export { readBackup, requireSound, showAll } from './restore.ts';
export type { CollectionStore, OnProgress, OperationCrypto, OperationOptions } from './store.ts';
