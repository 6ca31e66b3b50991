// The whole public surface of @countersign/core: pure TUF (specification
// 1.0.34). Bytes become trusted state; trusted state and edits become bytes to
// sign. Start reading at refresh.ts.

export { base64, base64Bytes, concat, hex, hexBytes, sameBytes, utf8, utf8Text } from './bytes.ts';
export { canonicalBytes, documentBytes, type JsonLiteral, jsonOf, objectOf, plainOf } from './canonical.ts';
export { compareCodePoints } from './code-points.ts';
export { CODES, type Code, type CodeRow, type Party } from './codes.ts';
export { checkContent, type Gate, type Hasher, openGate } from './content.ts';
export { type Cosignature, cosign, withSignatures, withStatementSignatures } from './cosign.ts';
export {
  type CryptoPort,
  drive,
  driveCrypto,
  driveSync,
  type FetchPort,
  type MaybePromise,
  type Ports,
  type StatePort,
  type SyncCryptoPort,
  type SyncPorts,
} from './drive.ts';
export { openStatement, preAuthEncoding, signStatement } from './dsse.ts';
export {
  editRoot,
  editSnapshot,
  editTargets,
  editTimestamp,
  fileOf,
  type RootEdit,
  type Signer,
  signFile,
  type TargetsEdit,
} from './edit.ts';
export type {
  Answer,
  CheckEffect,
  Effect,
  FetchEffect,
  HashAlgorithm,
  HashEffect,
  Kept,
  LoadEffect,
  SaveEffect,
  Workflow,
} from './effects.ts';
export { type Envelope, openEnvelope, type Signature } from './envelope.ts';
export {
  AdmissionError,
  type Detail,
  type ErrorFacts,
  type Evidence,
  errorOf,
  isCode,
  isTufError,
  LogError,
  MetadataError,
  nextStepOf,
  rowOf,
  SignerError,
  StoreError,
  TransportError,
  TufError,
  UsageError,
} from './errors.ts';
export { type Found, find, type Listing, list, type ProjectRole } from './find.ts';
export { type JsonArray, type JsonDocument, type JsonObject, type JsonValue, readDocument } from './json.ts';
export { type Key, type KeyId, keyIdOf, makeKey, readKey, type Scheme, type VerificationKey } from './keys.ts';
export {
  binOf,
  isReleaseRoleOf,
  ownerDelegation,
  ownerRoleName,
  ownerRoleOf,
  type Project,
  projectDirectory,
  readOwnerRoleName,
  readShardName,
  readShelfName,
  releaseRoleName,
  type Sha256,
  type ShardKind,
  shardName,
  shardPattern,
  shardPrefixes,
  shelfFilesName,
  shelfName,
} from './layout.ts';
export { DEFAULT_LIMITS, type Limits } from './limits.ts';
export {
  type DelegatedPaths,
  type DelegatedRole,
  type Delegations,
  type FileMeta,
  type RoleKeys,
  type Root,
  readRoot,
  readSnapshot,
  readTargets,
  readTimestamp,
  type Signed,
  type Snapshot,
  SPEC_VERSION,
  type SuccinctRoles,
  strongHashes,
  succinctBin,
  type TargetFile,
  type Targets,
  type Timestamp,
} from './model.ts';
export {
  type CacheName,
  cacheNameOf,
  isTopLevelRole,
  matchesPattern,
  metadataUrl,
  patternCoverage,
  type RelativeUrl,
  requireTargetPath,
  rootHistoryName,
  type TargetPath,
  TOP_LEVEL_ROLES,
  type TopLevelRole,
  targetPathOf,
  targetUrl,
} from './paths.ts';
export { type FreshState, refresh, start, targetsRole } from './refresh.ts';
export { arrayAt, asObject, booleanAt, integerAt, isObject, objectAt, stringAt, stringsAt } from './shape.ts';
export { draftSnapshot, listRoles, type SignedSnapshot, type SnapshotDraft, signSnapshot } from './snapshot-draft.ts';
export { type Authority, type Tally, tallySignatures, type Verified, verify } from './threshold.ts';
export { days, type Instant, readInstant, writeInstant } from './time.ts';
export { type RoleMemo, requireFresh, type TrustedState, topLevelAuthority } from './trusted.ts';
