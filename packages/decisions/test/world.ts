// A small world for tests: keys from seeds, a quorum of two in three, and a
// register whose clock is an argument. Signatures are real unless `cheap` is
// asked for: then they are hashes, so that thousands of states can be visited.

import { createHash } from 'node:crypto';
import { nodeCrypto } from '@countersign/client/node';
import {
  base64,
  days,
  documentBytes,
  hex,
  type Instant,
  isTufError,
  type Key,
  objectOf,
  type Project,
  preAuthEncoding,
  type Signer,
  type SyncCryptoPort,
  type TufError,
  utf8Text,
} from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import {
  DECISION_TYPE,
  type Decision,
  type Delays,
  decisionPayload,
  type Listed,
  type NameBody,
  type NameDecision,
  type NameRecord,
  nameKey,
  previousOf,
  type Quorum,
  Register,
  stateOf,
} from '../src/index.ts';

export const BEGIN: Instant = Date.UTC(2030, 0, 1);

/** A signer that answers at once. */
export interface TestKey extends Signer {
  sign(message: Uint8Array): Uint8Array;
}

/** A real key that follows from its name. */
export function key(name: string): TestKey {
  return seededKey(name);
}

/** The same public key, with a signature that only `cheapCrypto` believes. */
export function cheap(name: string): TestKey {
  const known = cheapKeys.get(name);
  if (known !== undefined) return known;
  const real = seededKey(name);
  const made = { ...real, sign: (message: Uint8Array) => tag(real.key, message) };
  cheapKeys.set(name, made);
  return made;
}

/** Cryptography that costs a hash for a signature. */
export const cheapCrypto: SyncCryptoPort = {
  check: ({ key, message, signature }) => Buffer.from(tagOf(key.identity, message)).equals(signature),
  hash: (algorithm, bytes) => createHash(algorithm).update(bytes).digest(),
};

function tag(key: Key, message: Uint8Array): Uint8Array {
  return tagOf(key.verification?.key.identity ?? '', message);
}

function tagOf(identity: string, message: Uint8Array): Uint8Array {
  return createHash('sha256').update(identity).update(message).digest();
}

/** A statement, signed at once. */
export function signed(decision: Decision, signers: readonly TestKey[]): string {
  const payload = decisionPayload(decision);
  return statement(payload, signers);
}

/** A statement of any payload. */
export function statement(payload: Uint8Array, signers: readonly TestKey[], payloadType = DECISION_TYPE): string {
  const message = preAuthEncoding(payloadType, payload);
  const signatures = signers.map((signer) => ({ keyid: signer.keyId, sig: base64(signer.sign(message)) }));
  return utf8Text(documentBytes(objectOf({ payload: base64(payload), payloadType, signatures }))) ?? '';
}

export const QUORUM = ['quorum a', 'quorum b', 'quorum c'];
export const EVIDENCE = '5'.repeat(64);

/** The root's quorum of a version. */
export function quorum(version = 1, names: readonly string[] = QUORUM, threshold = 2): Quorum {
  const keys = names.map((name) => key(name));
  return {
    sha256: createHash('sha256').update(`root ${version}`).digest('hex'),
    keys: new Map(keys.map((signer) => [signer.keyId, signer.key])),
    role: { keyIds: keys.map((signer) => signer.keyId), threshold },
  };
}

export const COLLECTION = 'main';

/** What a test says of a decision; the rest follows from how the name stands. */
export type Said = NameBody & Partial<Pick<NameDecision, 'collection' | 'ecosystem' | 'name' | 'epoch' | 'previous'>>;

/** A register with a clock. */
export interface World {
  readonly register: Register;
  readonly crypto: SyncCryptoPort;
  readonly quorums: Map<number, Quorum>;
  readonly lines: string[];
  now: Instant;
  /** The decision as it would be listed now. */
  decision(said: Said, side?: 'owners' | 'quorum'): NameDecision;
  /** Lists a decision of the owners, or refuses. */
  put(said: Said, signers?: readonly TestKey[]): Listed;
  /** Lists a decision of the quorum. */
  rule(said: Said, signers: readonly TestKey[]): Listed;
  /** Lists a statement. */
  send(text: string): Listed;
  countersign(except?: readonly string[], upto?: number, signers?: readonly TestKey[]): Listed;
  note(version: number): Listed;
  record(name?: string): NameRecord | undefined;
  state(name?: string): string;
  pass(count: number): void;
}

export function world(options: { readonly delays?: Delays; readonly crypto?: SyncCryptoPort } = {}): World {
  const crypto = options.crypto ?? nodeCrypto;
  const quorums = new Map([[1, quorum()]]);
  const lines: string[] = [];
  const register = new Register({
    collection: COLLECTION,
    crypto,
    quorum: (version) => quorums.get(version),
    ...(options.delays && { delays: options.delays }),
  });
  const made: World = {
    register,
    crypto,
    quorums,
    lines,
    now: BEGIN,
    decision(said, side = 'owners') {
      const { ecosystem = 'pkg', name = 'ms' } = said;
      const present = register.record(ecosystem, name);
      const previous = previousOf(present, said.decision, side);
      return { collection: COLLECTION, ecosystem, name, epoch: present?.epoch ?? 1, previous, ...said };
    },
    put: (said, signers = []) => made.send(signed(made.decision(said), signers)),
    rule: (said, signers) => made.send(signed(made.decision(said, 'quorum'), signers)),
    send(text) {
      const trial = register.overlay();
      const listed = trial.append(text, { at: made.now, publication: register.tip.publication + 1 });
      register.absorb(trial);
      lines.push(listed.line);
      return listed;
    },
    countersign(except = [], upto = register.tip.sequence, signers = QUORUM.slice(1).map(key)) {
      const previous = register.session.id;
      const head = upto === register.tip.sequence ? register.tip.entry : hashOf(lines[upto - 1] ?? '');
      return made.send(
        signed({ decision: 'countersign', collection: COLLECTION, previous, upto, head, except }, signers),
      );
    },
    note(version) {
      const previous = register.rootInForce.id;
      const sha256 = quorums.get(version)?.sha256 ?? '';
      return made.send(signed({ decision: 'root', collection: COLLECTION, previous, version, sha256 }, []));
    },
    record: (name = 'ms') => register.record('pkg', name),
    state: (name = 'ms') => stateOf(register.record('pkg', name)),
    pass(count) {
      made.now += days(count);
    },
  };
  made.note(1);
  return made;
}

/** What a refusal says; the test fails when there is none, or when it left a trace. */
export function refusal(world: World, attempt: () => unknown): { readonly code: string; readonly rule: unknown } {
  const { tip, session, rootInForce } = world.register;
  const records = [...allRecords(world)];
  const error = caught(attempt);
  const after = [...allRecords(world)];
  const same = after.length === records.length && after.every((record, i) => record === records[i]);
  if (!same || world.register.tip !== tip || world.register.session !== session) {
    throw new Error('A refusal left a trace', { cause: error });
  }
  if (world.register.rootInForce !== rootInForce) throw new Error('A refusal moved the root', { cause: error });
  return { code: error.code, rule: error.detail['rule'] };
}

function caught(attempt: () => unknown): TufError {
  try {
    attempt();
  } catch (error) {
    if (isTufError(error)) return error;
    throw error;
  }
  throw new Error('It was not refused');
}

function* allRecords({ register }: World): Generator<NameRecord> {
  yield* register.names('recent', '');
  yield* register.names('claimed', '');
}

/** The project of a name: its own segment. */
export function projectOf(ecosystem: string, name: string): Project {
  return { ecosystem, name, segment: name };
}

/** Every record of a register as plain text, for comparing two of them. */
export function dump(register: Register): string {
  const records = [...register.names('recent', ''), ...register.names('claimed', '')];
  const texts = records.map((record) => `${nameKey(record)} ${JSON.stringify(record, plain)}`).sort();
  return JSON.stringify([register.tip, register.session, register.rootInForce, texts]);
}

function plain(_name: string, value: unknown): unknown {
  if (value instanceof Map) return [...value.keys()];
  return value instanceof Set ? [...value] : value;
}

export function hashOf(text: string): string {
  return hex(createHash('sha256').update(text).digest());
}

const cheapKeys = new Map<string, TestKey>();
