// The one table of failure codes: who must act, which HTTP status and exit
// code each becomes, the sentence a user reads and what to do next.
// Adding a code means adding a row here; nothing anywhere else maps codes.
// Never put a secret or a value from outside into this table: facts belong in
// `detail` of the error.

/** Who has to act when something fails. One error class exists per party. */
export type Party = 'metadata' | 'transport' | 'store' | 'log' | 'signer' | 'admission' | 'usage';

/** What one failure code means to a machine and to a person. */
export interface CodeRow {
  readonly party: Party;
  /** HTTP status that server and gateway answer with. */
  readonly http: number;
  /** Process exit code of the command line. */
  readonly exit: number;
  /** What happened, for a person; no full stop. */
  readonly sentence: string;
  /** What that person can do next; no full stop. */
  readonly next: string;
}

const row = <P extends Party>(
  party: P,
  http: number,
  exit: number,
  sentence: string,
  next: string,
): CodeRow & { readonly party: P } => ({ party, http, exit, sentence, next });

// Exit codes: 1 internal, 2 usage, 3 verification refused, 4 not found,
// 5 transport, 6 local store, 7 signer, 8 refused by the repository.
const metadata = (sentence: string, next: string): CodeRow & { readonly party: 'metadata' } =>
  row('metadata', 403, 3, sentence, next);
const distrust = 'Do not install; ask the operator of the collection, or try another mirror';

/** Every failure code of the project with its one meaning. */
export const CODES = {
  JSON_INVALID: metadata('The metadata is not strict JSON', distrust),
  FORMAT_INVALID: metadata('The metadata does not have the required shape', distrust),
  ROLE_TYPE_WRONG: metadata('The metadata is of another role type than asked for', distrust),
  SPEC_VERSION_UNSUPPORTED: metadata(
    'The metadata follows a specification version that this client does not know',
    'Update this client',
  ),
  SIGNATURE_DUPLICATE: metadata('The metadata lists two signatures under one key id', distrust),
  THRESHOLD_NOT_MET: metadata('Too few of the trusted keys have signed', distrust),
  ROLLBACK: metadata('The repository offers older metadata than was already seen', distrust),
  VERSION_MISMATCH: metadata('The metadata has another version than the one announced', distrust),
  EXPIRED: metadata(
    'The metadata has expired, so what is offered may be stale',
    'Check the clock of this machine, then ask the operator to renew the collection',
  ),
  HASH_MISMATCH: metadata('The content does not match its signed hash', distrust),
  HASH_UNSUPPORTED: metadata('None of the listed hash algorithms is strong and known', 'Update this client'),
  LENGTH_MISMATCH: metadata('The content does not have its signed length', distrust),
  LENGTH_EXCEEDED: metadata('The content goes on beyond its allowed length', distrust),
  DECISIONS_INVALID: metadata('The list of decisions does not follow its own rules', distrust),
  METADATA_MISSING: metadata('Metadata that must exist is not served', distrust),
  ROLE_NOT_LISTED: metadata('A delegated role is missing from the snapshot', distrust),
  DELEGATIONS_EXCEEDED: metadata('The search for a file leads through more roles than allowed', distrust),
  NAME_HIDDEN: metadata(
    'A project that was seen before is no longer listed; the repository may be hiding it',
    'Ask the operator of the collection or the author of the project',
  ),
  OWNER_CHANGED: metadata(
    'The project has new owners that its old ones did not appoint, and you asked to confirm that',
    'Look at `countersign who <project>`, then confirm with `countersign trust <project>`',
  ),
  NAME_UNLISTED: metadata(
    'The collection has no such project, and unlisted names are not relayed',
    'Check the spelling, or start the gateway with --relay-unlisted',
  ),
  INDEX_MISMATCH: metadata("The author's index entry does not match the content of the file", 'Ask the author'),
  YANKED: metadata('The author has yanked this version', 'Choose another version'),
  ROUTE_REFUSED: metadata('The gateway does not answer this kind of request', 'Use a supported client command'),

  TARGET_UNKNOWN: row(
    'metadata',
    404,
    4,
    'No trusted role lists this file',
    'Check the spelling with `countersign ls`',
  ),

  UNREACHABLE: row('transport', 502, 5, 'The repository cannot be reached', 'Try again later'),
  STATUS_UNEXPECTED: row('transport', 502, 5, 'The repository answered with an error', 'Try again later'),
  TIMED_OUT: row('transport', 502, 5, 'The repository is too slow', 'Try again later'),
  BODY_CUT: row('transport', 502, 5, 'The transfer ended too early', 'Try again'),

  STORE_READ: row('store', 500, 6, 'Local state cannot be read', 'Check the permissions of the state folder'),
  STORE_WRITE: row('store', 507, 6, 'Local state cannot be written', 'Check disk space and permissions'),
  STORE_CONFLICT: row('store', 503, 6, 'Another process moved the head first', 'Try again'),
  STORE_UNSAFE: row(
    'store',
    500,
    6,
    'The storage would not keep what it is given',
    'Use a store that does, or change its settings',
  ),
  STORE_BEHIND: row(
    'store',
    500,
    6,
    'An older ledger was put back: clients have seen later metadata than it holds',
    'Put the newer ledger back, or run `countersign rebuild`, or `countersign restore … --new-keys`',
  ),
  STORE_CORRUPT: row('store', 500, 6, 'Local state is damaged', 'Restore it from a backup'),
  CHECK_FAILED: row(
    'store',
    500,
    6,
    'The collection is not as it must be',
    'Do what is said beside each finding, then check again',
  ),
  SELF_CHECK_FAILED: row(
    'store',
    500,
    6,
    'The planned publication does not verify, so it was not published',
    'Look at the log of the service',
  ),
  CLOCK_BEHIND: row(
    'store',
    503,
    6,
    'The clock of the service has gone back',
    'Set its clock; if the earlier time was the wrong one, restart the service',
  ),
  SHUTTING_DOWN: row('store', 503, 6, 'The service is stopping', 'Send the request again in a moment'),

  LOG_INVALID: row('log', 502, 3, 'The transparency log does not verify', distrust),

  KEY_MISSING: row('signer', 500, 7, 'A signing key is missing', 'Create it with `countersign key create`'),
  KEY_LOCKED: row('signer', 500, 7, 'The passphrase does not open the key', 'Check the passphrase'),
  KEY_UNSUPPORTED: row('signer', 500, 7, 'This kind of key is not supported', 'Use ed25519, ecdsa or rsa'),
  SIGNING_FAILED: row('signer', 500, 7, 'The key could not sign', 'Check the device or file that holds the key'),

  UNAUTHENTICATED: row(
    'admission',
    401,
    8,
    'The request carries no valid token',
    'Send `Authorization: Bearer …`; ask the operator for a token',
  ),
  FORBIDDEN: row('admission', 403, 8, 'This token may not do that', 'Ask the operator for the right'),
  NOT_FOUND: row('admission', 404, 4, 'There is no such thing here', 'Check the address'),
  SUBMISSION_INVALID: row('admission', 400, 8, 'The submission is not well formed', 'Send what the API asks for'),
  SUBMISSION_TOO_LARGE: row('admission', 413, 8, 'The submission is over the size limit', 'Send less at a time'),
  SUBMISSION_UNSIGNED: row(
    'admission',
    403,
    8,
    "The submission is not signed by enough of the project's keys",
    'Sign with the key that claimed the project, or collect the missing signatures',
  ),
  SUBMISSION_FOREIGN: row(
    'admission',
    403,
    8,
    'The submission touches a path that its signer does not own',
    "List files under your own project's folder only",
  ),
  SUBMISSION_STALE: row(
    'admission',
    409,
    8,
    'The submission does not follow the current version',
    'Fetch the current role, apply the change again as the next version and sign it',
  ),
  SUBMISSION_EXPIRED: row('admission', 422, 8, 'The submitted role expires too soon', 'Sign with a later expiry'),
  SUBMISSION_WITHDRAWS: row(
    'admission',
    422,
    8,
    'The submission changes the content of a file that is already published',
    'Publish it under a new version',
  ),
  BLOB_MISSING: row('admission', 422, 8, 'A listed file was not uploaded', 'Upload the file, then submit again'),
  BLOB_MISMATCH: row(
    'admission',
    422,
    8,
    'An uploaded file does not match its signed hash or length',
    'Build and sign the file again, then submit both',
  ),
  DECISION_REFUSED: row(
    'admission',
    409,
    8,
    'The decision is not permitted as the name stands',
    'Read how the name stands now, and decide what it permits',
  ),
  DECISION_EARLY: row('admission', 409, 8, 'The waiting time of the decision is not over', 'Wait until its time'),
  DECISION_STALE: row(
    'admission',
    409,
    8,
    'The decision does not follow the present one',
    'Read how the name stands now, then decide and sign again',
  ),
  NAME_INVALID: row(
    'admission',
    422,
    8,
    'This is not a valid project name',
    'Write it as ecosystem/name, such as npm/left-pad',
  ),
  NAME_TAKEN: row('admission', 409, 8, 'The project is already claimed', 'Choose another name, or ask its owner'),
  NAME_FROZEN: row(
    'admission',
    409,
    8,
    'Nothing of the project may be published now',
    'Look why with `countersign owners`; its owners or the quorum can lift a stop',
  ),
  NAME_SHELVED: row(
    'admission',
    409,
    8,
    'The offline quorum keeps this project as it is',
    'Ask the quorum to run `countersign unshelve <name>`, then send it again; its author can claim it then',
  ),
  NAME_UNCLAIMED: row(
    'admission',
    404,
    4,
    'Nobody has claimed this project',
    'Check its spelling, or claim it with `countersign claim`',
  ),
  ENTRY_INVALID: row(
    'admission',
    422,
    8,
    'The index entry of a file is missing or does not match the file',
    'Publish with a current author tool',
  ),

  USAGE_INVALID: row('usage', 400, 2, 'The request or command cannot be understood', 'See --help'),
  CONFIG_INVALID: row('usage', 500, 2, 'The configuration is not valid', 'Correct the named setting'),
  COLLECTION_EXISTS: row('usage', 409, 2, 'There is a collection here already', 'Choose another name or folder'),
  COLLECTION_BUSY: row('usage', 409, 2, 'Another process serves this collection already', 'Stop the other one first'),
  COLLECTION_MISSING: row('usage', 404, 2, 'There is no such collection', 'Create one with `countersign init`'),
  ANCHOR_MISSING: row('usage', 500, 2, 'No trusted root was given', 'Pass the root file with --root'),
} satisfies Record<string, CodeRow>;

/** A failure code: the closed union that programs may branch on. */
export type Code = keyof typeof CODES;
