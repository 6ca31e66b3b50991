// The public surface of @countersign/repository: admit, plan, sign, check and
// publish, over storage ports. Storage for one machine is in `./embedded`.

export { type Admitted, admit } from './admit.ts';
export type { AdmissionRules, EcosystemRules } from './admit-rules.ts';
export { type AuthorRole, draftAuthorRole } from './author-roles.ts';
export { BINS_ROLE, type Bins, type BinsForm, binFor, binNames, binsOf, customRoleFor, customRoles } from './bins.ts';
export { signClaim } from './claim.ts';
export { type BinsGenesis, createCollection, type Genesis } from './create.ts';
export {
  type Keeper,
  keeperOf,
  type Outage,
  type Outlook,
  outlookAt,
  outlooks,
  type RoleLife,
  type RoleOutlook,
} from './forecast.ts';
export type { IdleName } from './idle.ts';
export type { Publication, Receipt } from './incoming.ts';
export type { OnlineSigners } from './online.ts';
export { type FindOnlineKey, findAmong, ONLINE_KINDS, type OnlineKind, onlineKeySets } from './online-keys.ts';
export {
  DEFAULT_REPOSITORY_LIMITS,
  type NewTarget,
  type RepositoryEvent,
  type RepositoryLimits,
  type RepositoryOptions,
} from './options.ts';
export { DEFAULT_LIFETIMES, type Lifetimes, type Plan, plan } from './plan.ts';
export type {
  BlobFacts,
  BlobStore,
  Commit,
  DecisionRow,
  Head,
  HeldFile,
  Journaled,
  KeptDocument,
  Leadership,
  Ledger,
  Refusal,
  RoleFile,
  RoleRow,
  ShownTarget,
  Site,
  StoredFile,
} from './ports.ts';
export { Repository, type RepositoryStatus } from './publish.ts';
export {
  type DelegatedKind,
  draftRoot,
  draftTargets,
  type KeySet,
  keySetOf,
  keysOfKind,
  keysOfRole,
  keysOfTop,
  sameKeySet,
  type TargetsChange,
} from './quorum-drafts.ts';
export { type DecisionReceipt, openReceipt, RECEIPT_TYPE, signReceipt } from './receipts.ts';
export {
  draftBins,
  draftClaimedShards,
  draftRebinning,
  draftResharding,
  isRestructuring,
  type ReshardingBase,
} from './restructure.ts';
export { draftSession, type SessionBase, type SessionDraft, signSession } from './session.ts';
export { shardDraft } from './shards.ts';
export {
  directoriesOn,
  draftShelving,
  dueShelves,
  faultOfShelf,
  filesIn,
  judgeShelving,
  rolesNeeded,
  type ShelvingBase,
  type ShelvingWish,
  shelfHolding,
  shelvesOf,
  unclaimedFor,
} from './shelf.ts';
export {
  type Demand,
  decisionPart,
  type PartSignature,
  type PartStanding,
  type SignableSubmission,
  type SigningEvent,
  type SigningEventOptions,
  SigningEvents,
} from './signing-events.ts';
export type { Owner, Standing } from './standing.ts';
export {
  readSubmission,
  type Submission,
  type SubmissionParts,
  type SubmittedFile,
  type SubmittedRole,
  submissionText,
} from './submission.ts';
