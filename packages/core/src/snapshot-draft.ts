// The writing side of large snapshots: the canonical bytes of `meta` (§4.4) are
// kept from version to version, so that listing a few roles costs a copy of the
// bytes instead of writing every entry again. Gives exactly what `editSnapshot`
// and `signFile` would; nothing here is read back without the strict reader.

import { concat, hex, utf8 } from './bytes.ts';
import { canonicalBytes, documentBytes, objectOf } from './canonical.ts';
import { compareCodePoints } from './code-points.ts';
import { fileMetaJson, hasControl, nextVersion, type Signer } from './edit.ts';
import { UsageError } from './errors.ts';
import { type JsonObject } from './json.ts';
import type { FileMeta, Snapshot } from './model.ts';
import type { Instant } from './time.ts';

/** A snapshot that can list more roles cheaply. Never changes: listing gives another. */
export interface SnapshotDraft {
  readonly version: number;
  /** The `signed` object, but for `meta`. */
  readonly members: JsonObject;
  /** The listed files such as `targets.json`, by code point. */
  readonly files: readonly string[];
  /** Where each file's entry ends in `meta`. */
  readonly ends: Uint32Array;
  /** The entries as canonical JSON, with commas between, in parts: they are joined where they are signed. */
  readonly meta: readonly Uint8Array[];
}

/**
 * Takes a snapshot up for editing. Linear in its size; do it once.
 *
 * @throws UsageError USAGE_INVALID when a name in it holds a control character
 */
export function draftSnapshot(previous: Snapshot): SnapshotDraft {
  const { meta, json, version } = previous;
  const members = new Map(json);
  members.delete('meta');
  const listings = inOrder(meta);
  const ends = new Uint32Array(listings.length);
  const entries: Uint8Array[] = [];
  let end = 0;
  for (const [i, { file, listed }] of listings.entries()) {
    const entry = entryOf(file, listed);
    if (i > 0) entries.push(COMMA);
    entries.push(entry);
    end += entry.length + (i > 0 ? 1 : 0);
    ends[i] = end;
  }
  return { version, members, files: listings.map(({ file }) => file), ends, meta: [joined(entries)] };
}

/**
 * Lists roles anew, or again. No role ever leaves a snapshot (§5.5.5).
 *
 * @throws UsageError USAGE_INVALID when a name holds a control character
 */
export function listRoles(draft: SnapshotDraft, set: ReadonlyMap<string, FileMeta>): SnapshotDraft {
  if (set.size === 0) return draft;
  const changes = inOrder(set);
  const [first = EMPTY, ...others] = draft.meta;
  const meta = others.length === 0 ? first : joined(draft.meta);
  const files: string[] = [];
  const ends = new Uint32Array(draft.files.length + changes.length);
  const parts: Uint8Array[] = [];
  let end = 0;
  let next = 0; // the first entry of the draft that is not taken over yet
  const take = (part: Uint8Array): void => {
    if (end > 0) parts.push(COMMA);
    end += part.length + (end > 0 ? 1 : 0);
    parts.push(part);
  };
  const takeUpTo = (index: number): void => {
    if (index === next) return;
    const from = startOf(draft, next);
    const shift = end + (end > 0 ? 1 : 0) - from;
    for (let i = next; i < index; i++) {
      ends[files.length] = Number(draft.ends[i]) + shift;
      files.push(String(draft.files[i]));
    }
    take(meta.subarray(from, draft.ends[index - 1]));
    next = index;
  };
  for (const { file, listed } of changes) {
    const index = indexOf(draft.files, file);
    takeUpTo(index);
    if (draft.files[index] === file) next = index + 1;
    take(entryOf(file, listed));
    ends[files.length] = end;
    files.push(file);
  }
  takeUpTo(draft.files.length);
  return { ...draft, files, ends: ends.subarray(0, files.length), meta: parts };
}

/** A draft with the signed file that was made of it. */
export interface SignedSnapshot {
  readonly draft: SnapshotDraft;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Signs the next version of a snapshot.
 *
 * @throws SignerError
 * @example const { bytes } = await signSnapshot(listRoles(draft, set), expires, [signer])
 */
export async function signSnapshot(
  draft: SnapshotDraft,
  expires: Instant,
  signers: readonly Signer[],
): Promise<SignedSnapshot> {
  const next = nextVersion('snapshot', { version: draft.version, json: draft.members }, expires, []);
  const before: Uint8Array[] = [];
  const after: Uint8Array[] = [];
  const members = [...next, ['meta', null] as const].sort(([a], [b]) => compareCodePoints(a, b));
  for (const [name, value] of members) {
    const member = name === 'meta' ? META : inner(plainBytes(new Map([[name, value]])));
    // `meta` comes last of those before it: what follows its entries are the others.
    const parts = compareCodePoints(name, 'meta') <= 0 ? before : after;
    parts.push(before.length === 0 ? BRACE : COMMA, member);
  }
  // One buffer is all there is of a large file: room for its head, what is signed, and an end.
  const start = ROOM + lengthOf(before);
  const end = start + lengthOf(draft.meta);
  const whole = joined([new Uint8Array(ROOM), ...before, ...draft.meta, END, ...after, END, END]);
  const message = whole.subarray(ROOM, -1);
  const signatures: JsonObject[] = [];
  for (const signer of signers) {
    signatures.push(objectOf({ keyid: signer.keyId, sig: hex(await signer.sign(message)) }));
  }
  const head = concat(BRACE, inner(documentBytes(objectOf({ signatures }))), SIGNED);
  const fits = head.length <= ROOM;
  if (fits) whole.set(head, ROOM - head.length);
  const bytes = fits ? whole.subarray(ROOM - head.length) : concat(head, whole.subarray(ROOM));
  const { files, ends, version } = draft;
  return { draft: { version: version + 1, members: next, files, ends, meta: [whole.subarray(start, end)] }, bytes };
}

interface Listing {
  readonly file: string;
  readonly listed: FileMeta;
}

function inOrder(meta: ReadonlyMap<string, FileMeta>): readonly Listing[] {
  const listings = [...meta].map(([role, listed]) => ({ file: `${role}.json`, listed }));
  return listings.sort((a, b) => compareCodePoints(a.file, b.file));
}

function entryOf(file: string, listed: FileMeta): Uint8Array {
  return inner(plainBytes(new Map([[file, fileMetaJson(listed)]])));
}

/** What signatures are made over, where that is strict JSON too: the file holds it as it is. */
function plainBytes(json: JsonObject): Uint8Array {
  const bytes = canonicalBytes(json);
  if (!hasControl(bytes)) return bytes;
  throw new UsageError('USAGE_INVALID', 'Writing a snapshot: a name in it holds a control character');
}

function inner(object: Uint8Array): Uint8Array {
  return object.subarray(1, -1);
}

// There may be more parts than a function takes arguments.
function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function startOf(draft: SnapshotDraft, index: number): number {
  return index === 0 ? 0 : Number(draft.ends[index - 1]) + 1;
}

/** Where a file is in the sorted list, or would be. */
function indexOf(files: readonly string[], file: string): number {
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareCodePoints(String(files[middle]), file) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

// More than the head of a file takes that a few keys sign.
const ROOM = 4096;
const EMPTY = new Uint8Array();
const BRACE = utf8('{');
const COMMA = utf8(',');
const END = utf8('}');
const META = utf8('"meta":{');
const SIGNED = utf8(',"signed":');
