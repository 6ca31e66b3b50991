// A small repository in memory for the tests of this package: four top-level
// roles with one ed25519 key each and one delegated role, served by a transport
// that records what is asked and can be told to misbehave for one URL.

import { createHash } from 'node:crypto';
import {
  type CacheName,
  type Delegations,
  days,
  editRoot,
  editSnapshot,
  editTargets,
  editTimestamp,
  hex,
  type Instant,
  openEnvelope,
  type RoleKeys,
  readRoot,
  readSnapshot,
  readTargets,
  readTimestamp,
  type Signer,
  type StatePort,
  signFile,
  type TargetFile,
  TOP_LEVEL_ROLES,
  TransportError,
  targetPathOf,
  targetUrl,
  utf8,
} from '@countersign/core';
import { generateSigner } from '@countersign/signers';
import { Client, type ClientOptions, memoryState, type Transport, type TransportRequest } from '../src/index.ts';
import { nodeCrypto } from '../src/node.ts';

export const T0: Instant = Date.UTC(2030, 0, 1);

export type Answer = (request: TransportRequest) => { status: number; body: AsyncIterable<Uint8Array> };

export class SmallWorld {
  /** What is served, by URL below `mem://`. */
  readonly files = new Map<string, Uint8Array>();
  /** Answers instead of files, by URL below `mem://`. */
  readonly answers = new Map<string, Answer>();
  readonly asked: string[] = [];
  readonly signers = new Map<string, Signer>();
  now = T0;
  down = false;
  anchor: Uint8Array = new Uint8Array();
  #role = new Map<string, Uint8Array>();

  /** Version 1 of everything; the delegated role `dev` speaks for `dev/*`. */
  static async make(options: { consistentSnapshot?: boolean } = {}): Promise<SmallWorld> {
    const world = new SmallWorld();
    for (const role of [...TOP_LEVEL_ROLES, 'dev']) world.signers.set(role, generateSigner());
    await world.root(options);
    world.anchor = world.bytesOf('root');
    await world.targets('dev', { 'dev/tool.tgz': utf8('tool, version 1') });
    await world.targets('targets', { 'readme.txt': utf8('read me, version 1') });
    await world.publish();
    return world;
  }

  signer(role: string): Signer {
    const signer = this.signers.get(role);
    if (signer === undefined) throw new Error(`no signer for ${role}`);
    return signer;
  }

  bytesOf(role: string): Uint8Array {
    return this.#role.get(role) ?? new Uint8Array();
  }

  /** The next root, signed by the old and the new root key. */
  async root(options: { consistentSnapshot?: boolean; rotate?: string } = {}): Promise<void> {
    const before = this.#role.get('root');
    const previous = before && readRoot(openEnvelope(before, 'root').signed);
    const old = this.signer('root');
    if (options.rotate !== undefined) this.signers.set(options.rotate, generateSigner());
    const signers = TOP_LEVEL_ROLES.map((role) => this.signer(role));
    const signed = editRoot(previous, {
      expires: this.now + days(365),
      keys: new Map(signers.map(({ keyId, key }) => [keyId, key])),
      roles: new Map(
        TOP_LEVEL_ROLES.map((role): [typeof role, RoleKeys] => [
          role,
          { keyIds: [this.signer(role).keyId], threshold: 1 },
        ]),
      ),
      consistentSnapshot: options.consistentSnapshot ?? previous?.consistentSnapshot ?? true,
    });
    const bytes = await signFile(signed, [...new Set([old, this.signer('root')])]);
    this.#role.set('root', bytes);
    this.files.set(`metadata/${(previous?.version ?? 0) + 1}.root.json`, bytes);
  }

  /** The next version of a targets role; its files are served, `publish` makes it visible. */
  async targets(role: string, content: Readonly<Record<string, Uint8Array>>): Promise<void> {
    const before = this.#role.get(role);
    const previous = before && readTargets(openEnvelope(before, role).signed, role);
    const set = Object.entries(content).map(([path, bytes]) => this.#serveTarget(path, bytes));
    const delegations = role === 'targets' ? { delegations: this.#delegations() } : {};
    const signed = editTargets(previous, { expires: this.now + days(90), set, ...delegations });
    this.#role.set(role, await signFile(signed, [this.signer(role)]));
  }

  /** The next snapshot and timestamp, with everything put where clients look. */
  async publish(timestampLife = days(1)): Promise<void> {
    const meta = new Map(
      ['targets', 'dev'].map((role) => {
        const bytes = this.bytesOf(role);
        const { version } = readTargets(openEnvelope(bytes, role).signed, role);
        this.#serve(role, version);
        return [role, { version, length: bytes.length, hashes: undefined }];
      }),
    );
    const oldSnapshot = this.#role.get('snapshot');
    const previous = oldSnapshot && readSnapshot(openEnvelope(oldSnapshot, 'snapshot').signed);
    const snapshot = await signFile(editSnapshot(previous, { expires: this.now + days(90), set: meta }), [
      this.signer('snapshot'),
    ]);
    this.#role.set('snapshot', snapshot);
    const version = (previous?.version ?? 0) + 1;
    this.#serve('snapshot', version);
    const oldTimestamp = this.#role.get('timestamp');
    const before = oldTimestamp && readTimestamp(openEnvelope(oldTimestamp, 'timestamp').signed);
    const listed = { version, length: snapshot.length, hashes: new Map([['sha256', sha256Hex(snapshot)]]) };
    const signed = editTimestamp(before, { expires: this.now + timestampLife, snapshot: listed });
    const bytes = await signFile(signed, [this.signer('timestamp')]);
    this.#role.set('timestamp', bytes);
    this.files.set('metadata/timestamp.json', bytes);
  }

  /** A client of this world. */
  async client(options: Partial<ClientOptions> = {}): Promise<Client> {
    return await Client.open({
      metadataUrl: 'mem://metadata',
      targetsUrl: 'mem://targets/',
      transport: this.transport,
      state: memoryState(),
      crypto: nodeCrypto,
      clock: () => this.now,
      anchor: this.anchor,
      ...options,
    });
  }

  readonly transport: Transport = {
    get: async (url, request) => {
      const name = url.replace('mem://', '');
      this.asked.push(name);
      if (this.down) throw new TransportError('UNREACHABLE', 'Getting a file: the world is down');
      const answer = this.answers.get(name);
      if (answer !== undefined) return answer(request);
      const bytes = this.files.get(name);
      return bytes === undefined ? { status: 404, body: bodyOf() } : { status: 200, body: bodyOf(bytes) };
    },
  };

  /** What was asked since the last call. */
  taken(): string[] {
    return this.asked.splice(0);
  }

  #serve(role: string, version: number): void {
    const { consistentSnapshot } = readRoot(openEnvelope(this.bytesOf('root'), 'root').signed);
    this.files.set(`metadata/${consistentSnapshot ? `${version}.` : ''}${role}.json`, this.bytesOf(role));
  }

  #serveTarget(path: string, bytes: Uint8Array): TargetFile {
    const hashes = new Map(['sha256', 'sha512'].map((name) => [name, createHash(name).update(bytes).digest('hex')]));
    const safe = targetPathOf(path);
    if (safe === undefined) throw new Error(`not a target path: ${path}`);
    for (const digest of [undefined, ...hashes.values()]) this.files.set(`targets/${targetUrl(safe, digest)}`, bytes);
    return { path, length: bytes.length, hashes, custom: undefined };
  }

  #delegations(): Delegations {
    const { keyId, key } = this.signer('dev');
    const paths = { by: 'pattern', patterns: ['dev/*'] } as const;
    return {
      keys: new Map([[keyId, key]]),
      roles: [{ name: 'dev', keyIds: [keyId], threshold: 1, terminating: true, paths }],
      succinct: undefined,
    };
  }
}

/** A body of the given chunks; a function among them is run when the reader gets there. */
export async function* bodyOf(...chunks: readonly (Uint8Array | (() => void))[]): AsyncGenerator<Uint8Array, void> {
  for (const chunk of chunks) {
    if (typeof chunk === 'function') chunk();
    else yield chunk;
  }
}

/** Ends a body too early. */
export function cut(): never {
  throw new TransportError('BODY_CUT', 'Getting a file: the body ended too early');
}

/** State that can be looked into. */
export function openState(): StatePort & { readonly files: Map<CacheName, Uint8Array>; saves: number } {
  const files = new Map<CacheName, Uint8Array>();
  return {
    files,
    saves: 0,
    load: (name) => files.get(name),
    save(name, bytes) {
      this.saves++;
      files.set(name, bytes);
    },
    drop: (name) => {
      files.delete(name);
    },
  };
}

/** The code of what a promise is rejected with. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'nothing was thrown';
}

function sha256Hex(bytes: Uint8Array): string {
  return hex(createHash('sha256').update(bytes).digest());
}
