// What a file must be like before anybody may believe it, read by JSON.parse
// and said in a few plain lines each: its own form (§4.3 to §4.6), its
// signatures (§4.2.1, §5.3.4), and what another file lists of it (§5.5.2 to
// §5.6.4). Apart from the code under test, and slower.

import { createHash } from 'node:crypto';

/** Whose signatures a file must bear: so many of these key ids. */
export interface Requirement {
  readonly keyIds: readonly string[];
  readonly threshold: number;
}

/** A file as JSON.parse reads it; anything where it reads nothing. */
export type Plain = Readonly<Record<string, unknown>>;

/** Reads a file; an empty object when it cannot be read. */
export function plainOf(file: Uint8Array): Plain {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(file).toString('utf8'));
    return recordOf(parsed);
  } catch {
    return {};
  }
}

/** A value as a record; an empty one when it is none. */
export function recordOf(value: unknown): Plain {
  return isRecord(value) ? value : {};
}

/** What is wrong with a file of a role at a time. */
export function flawsIn(file: Uint8Array, role: string, now: number): readonly string[] {
  const signed = recordOf(plainOf(file)['signed']);
  const type = ['root', 'timestamp', 'snapshot'].includes(role) ? role : 'targets';
  const expires = String(signed['expires']);
  const metas = Object.values(recordOf(signed['meta']));
  const delegations = signed['delegations'] === undefined ? {} : recordOf(signed['delegations']);
  const roles: readonly unknown[] = Array.isArray(delegations['roles']) ? delegations['roles'] : [];
  const holders = [...Object.values(recordOf(signed['roles'])), ...roles];
  const names = roles.map((item) => recordOf(item)['name']);
  const rules: readonly (readonly [string, boolean])[] = [
    ['type', signed['_type'] === type],
    ['specification', /^1\.\d/.test(String(signed['spec_version']))],
    ['version', isCount(signed['version'], 1)],
    ['expiry', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(expires) && (role === 'root' || Date.parse(expires) > now)],
    ['listed files', metas.every(isFileMeta)],
    ['thresholds', holders.every((item) => isCount(recordOf(item)['threshold'], 1))],
    ['names of roles', new Set(names).size === names.length && names.every(isRoleName)],
    ['targets', Object.values(recordOf(signed['targets'])).every(isTarget)],
  ];
  return rules.flatMap(([rule, holds]) => (holds ? [] : [rule]));
}

/** Tells whether a file bears signatures as required, all of them among those really made, and no key id twice. */
export function isSigned(file: Uint8Array, made: ReadonlySet<string>, required: readonly Requirement[]): boolean {
  const listed = plainOf(file)['signatures'];
  const signatures: readonly Plain[] = Array.isArray(listed) ? listed.map(recordOf) : [];
  const ids = signatures.map(({ keyid }) => String(keyid));
  const good = new Set(
    signatures.filter(({ keyid, sig }) => made.has(madeText(keyid, sig))).map(({ keyid }) => String(keyid)),
  );
  const enough = required.every(({ keyIds, threshold }) => keyIds.filter((id) => good.has(id)).length >= threshold);
  return enough && new Set(ids).size === ids.length;
}

/** The signatures in a file, each with its key id. */
export function signaturesIn(file: Uint8Array): readonly string[] {
  const listed = plainOf(file)['signatures'];
  return Array.isArray(listed) ? listed.map(recordOf).map(({ keyid, sig }) => madeText(keyid, sig)) : [];
}

/** Hexadecimal digits of either case are the same signature. */
function madeText(keyId: unknown, sig: unknown): string {
  return `${String(keyId)} ${String(sig).toLowerCase()}`;
}

/** Tells whether bytes are what a listing says of them: length and hashes, each if listed. */
export function agrees(bytes: Uint8Array, listing: unknown): boolean {
  const { length, hashes } = recordOf(listing);
  const digests = ['sha256', 'sha512'].filter((name) => recordOf(hashes)[name] !== undefined);
  if (length !== undefined && length !== bytes.length) return false;
  return digests.every((name) => recordOf(hashes)[name] === createHash(name).update(bytes).digest('hex'));
}

function isFileMeta(value: unknown): boolean {
  const { version, length, hashes } = recordOf(value);
  return (
    isCount(version, 1) && (length === undefined || isCount(length, 0)) && (hashes === undefined || isHashes(hashes))
  );
}

function isTarget(value: unknown): boolean {
  const { length, hashes } = recordOf(value);
  return isCount(length, 0) && isHashes(hashes);
}

function isHashes(value: unknown): boolean {
  const digests = isRecord(value) ? Object.values(value) : [];
  return digests.length > 0 && digests.every((digest) => typeof digest === 'string');
}

function isRoleName(value: unknown): boolean {
  return typeof value === 'string' && !['', 'root', 'timestamp', 'snapshot', 'targets'].includes(value);
}

function isCount(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && Number(value) >= least;
}

function isRecord(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
