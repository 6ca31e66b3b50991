// The one table of what fsck can find: how bad it is, what it means, what to do
// about it, and whether `--repair` does it. Nothing else maps a kind of finding
// to words. Facts of the single case belong in the finding.

/** How bad a finding is. Of an error clients or authors are harmed; of a warning they may be; a note harms nobody. */
export type Severity = 'error' | 'warning' | 'note';

/** What one kind of finding means. */
export interface FindingRow {
  readonly severity: Severity;
  /** What is wrong; no full stop. */
  readonly problem: string;
  /** What to do; no full stop. */
  readonly next: string;
  /** Whether repair can deal with it, at least in part. */
  readonly repairs: boolean;
}

const row = (severity: Severity, problem: string, next: string, repairs = false): FindingRow => ({
  severity,
  problem,
  next,
  repairs,
});

const REPAIR = 'Run again with --repair';
const RESTORE = 'Rebuild from the site or a mirror (`countersign rebuild`), else restore a backup';

/** Every kind of finding. */
export const FINDINGS = {
  METADATA_REFUSED: row('error', 'A client that begins at the anchor refuses the top-level metadata', RESTORE),
  ROLE_REFUSED: row('error', 'A client refuses this role', RESTORE),
  ROLE_MISSING: row('error', 'The ledger lacks this role file', 'Run again with --repair: the site may have it', true),
  ROLE_DAMAGED: row(
    'error',
    'The ledger holds other bytes than were committed',
    'Run again with --repair: the site may have the right ones',
    true,
  ),
  ROLE_ROW: row('error', 'The ledger takes another version for current than the snapshot', REPAIR, true),
  ROLE_EXPIRED: row(
    'error',
    'This role has expired: clients refuse it',
    'Start the service, which renews online roles; sign offline roles again',
  ),
  ROLE_UNREACHABLE: row('note', 'No delegation leads to this role any more; it must stay in the snapshot', 'Nothing'),
  BLOB_MISSING: row(
    'error',
    'The content of a listed file is not in the blob store',
    'Run again with --repair: it is taken from the site, else its author can upload it again',
    true,
  ),
  BLOB_DAMAGED: row(
    'error',
    'A stored blob is not what its name says',
    'Run again with --repair: it is taken from the site, else its author can upload it again',
    true,
  ),
  BLOB_UNRECORDED: row('error', 'The ledger does not know that a listed file is stored', REPAIR, true),
  BLOB_LOST: row(
    'warning',
    'The ledger says of a blob that nothing lists that it is stored, and it is not',
    'Run again with --repair: it can be uploaded then',
    true,
  ),
  BLOBS_UNLISTED: row('note', 'Blobs that no current role lists', 'See what can go with `countersign gc`'),
  PARTIAL: row('note', 'An upload or a write that was never finished', REPAIR, true),
  SHOWN_UNKNOWN: row('warning', 'The ledger does not know that a listed path was shown', REPAIR, true),
  SITE_MISSING: row('error', 'A file that clients may ask for is not on the site', REPAIR, true),
  SITE_DIFFERS: row('error', 'A file on the site is not what was signed', REPAIR, true),
  SITE_BEHIND: row('error', "The site's timestamp is not the head's", REPAIR, true),
  SITE_AHEAD: row(
    'error',
    "The site's timestamp is later than the ledger's: the ledger went back, and clients will refuse what it publishes",
    'Stop the service; rebuild from the site (`countersign rebuild`), else restore with --new-keys',
  ),
  SITE_UNLISTED: row('note', 'A file on the site that nothing current lists', 'See what can go with `countersign gc`'),
  SITE_EARLIER: row('note', 'Files on the site that no current role lists', 'See what can go with `countersign gc`'),
  SUBMISSION_WAITS: row(
    'warning',
    'A submission was acknowledged long ago and is not published',
    'Start the service and look at its log',
  ),
  SUBMISSION_AHEAD: row('error', 'A submission is said to be in a publication that does not exist', RESTORE),
  DECISIONS_REFUSED: row('error', 'The list of decisions breaks its own rules', RESTORE),
  DECISIONS_UNSHOWN: row(
    'error',
    'The published tiles are not the list that the ledger holds',
    'Stop trusting this ledger; find out who wrote to it',
  ),
} as const satisfies Record<string, FindingRow>;

/** A kind of finding. */
export type FindingKind = keyof typeof FINDINGS;

/** Something that fsck found. */
export interface Finding {
  readonly kind: FindingKind;
  /** What it is about: a role, a path, a URL or a digest. */
  readonly subject: string;
  /** What repair needs to know, and programs may read. */
  readonly facts: FindingFacts;
}

/** Facts of a finding, those that it has. */
export interface FindingFacts {
  readonly role?: string;
  readonly version?: number;
  readonly path?: string;
  /** Lower-case hexadecimal. */
  readonly sha256?: string;
  readonly url?: string;
  readonly bytes?: number;
  readonly count?: number;
  /** The code of the refusal. */
  readonly code?: string;
  /** In words, whatever else there is to say. */
  readonly about?: string;
}
