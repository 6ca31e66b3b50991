// The whole public surface of @countersign/decisions: who speaks for a name,
// as a signed, hash-chained list of decisions that anyone can replay. Start
// reading at edges.ts, the machine as a table.

export { type ProjectOf, shardCustom, shardDelegations, shownRole } from './derive.ts';
export {
  CASES,
  type Case,
  DELAYS,
  type Delays,
  EDGES,
  type Edge,
  type EdgeId,
  PACE,
  RULES,
  type Rule,
  type RuleRow,
  SIGNERS,
  type Signing,
} from './edges.ts';
export {
  type Entry,
  entryHash,
  HEAD_PATH,
  LIST_PATTERN,
  type ListHead,
  NO_TIP,
  readEntry,
  readHead,
  readTile,
  TILE,
  type Tip,
  tilePath,
  writeEntry,
  writeHead,
  writeTile,
} from './list.ts';
export { type ChangeClass, classOf, identitiesOf, liveOwners, type OwnerSet, ownersOf, sameOwners } from './owners.ts';
export {
  type Begun,
  type Chain,
  type Frozen,
  isAtOnce,
  isRotating,
  liveOwnersOf,
  type NameRecord,
  type Origin,
  type Pending,
  pacedUntil,
  previousOf,
  publishersOf,
  type Shown,
  type State,
  shownOf,
  stateOf,
} from './record.ts';
export { type Listed, nameKey, Register, type RegisterRules, type ShardSide } from './register.ts';
export { replayList, type Witnessed } from './replay.ts';
export {
  COLLECTION_RULES,
  type CollectionRule,
  type Quorum,
  quorumOf,
  type RootInForce,
  type Session,
} from './session.ts';
export {
  ACTORS,
  type Actor,
  type Circumstances,
  type Goal,
  type NextStep,
  nextStep,
  SITUATIONS,
  type Situation,
} from './situations.ts';
export {
  type AdoptReason,
  type Countersign,
  DECISION_TYPE,
  type Decision,
  type DecisionKind,
  decisionId,
  decisionPayload,
  type FreezeReason,
  isNameDecision,
  type NameBody,
  type NameDecision,
  type NameKind,
  type OpenedDecision,
  openDecision,
  type RecoverReason,
  type RetireReason,
  type RootNote,
  type Subject,
  signDecision,
} from './statement.ts';
export { type StepContext, type Stepped, step } from './step.ts';
