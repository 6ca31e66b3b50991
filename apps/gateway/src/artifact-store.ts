// Artifacts as they may be served: on disk under their own hash, complete,
// checked against every signed hash, and read by the ecosystem's own eyes to
// see that the signed index entry tells the truth about them. A handle leaves
// this file only after all that. What was checked is recognised later by what
// the system says of the file; any difference means hashing it again.

import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Client } from '@countersign/client';
import { fileSink } from '@countersign/client/node';
import {
  canonicalBytes,
  type Found,
  type HashAlgorithm,
  type Listing,
  MetadataError,
  type Project,
  StoreError,
  strongHashes,
  type TargetFile,
} from '@countersign/core';
import { versionOfTarballName, type Withheld } from '@countersign/ecosystems';
import { assuranceOf } from './assurance.ts';
import { checkEntry } from './index-entry.ts';
import type { Log } from './log.ts';

/** A verified artifact, open for reading. Whoever gets it closes it. */
export interface Artifact {
  readonly handle: FileHandle;
  readonly length: number;
  /** Names the content: equal exactly when the bytes are. */
  readonly etag: string;
}

/** The verified artifacts of one collection in one folder. */
export class ArtifactStore {
  readonly #folder: string;
  readonly #client: Client;
  readonly #log: Log;
  readonly #seals = new Map<string, Seal>();
  /** Targets whose index entry was compared with the bytes of their hash, by what came of it. */
  readonly #truthful = new Set<string>();
  readonly #lying = new Map<string, MetadataError>();
  readonly #underway = new Map<string, Promise<void>>();

  private constructor(folder: string, client: Client, log: Log) {
    this.#folder = folder;
    this.#client = client;
    this.#log = log;
  }

  /** @throws StoreError STORE_WRITE */
  static async open(folder: string, client: Client, log: Log): Promise<ArtifactStore> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new StoreError('STORE_WRITE', 'Opening the artifact store: its folder cannot be made', { cause });
    }
    return new ArtifactStore(folder, client, log);
  }

  /**
   * Opens a target's bytes, downloading them first where they are not here.
   *
   * @throws MetadataError HASH_MISMATCH, LENGTH_MISMATCH, LENGTH_EXCEEDED, INDEX_MISMATCH
   * @throws TransportError when they are not here and cannot be had
   * @throws StoreError STORE_READ, STORE_WRITE
   */
  async open(found: Found): Promise<Artifact> {
    const { target } = found;
    const name = nameOf(target);
    const identity = identityOf(target);
    // At most twice: the second round follows a preparation that sealed the file.
    for (let round = 0; round < 2; round++) {
      const handle = await this.#openSealed(name);
      if (handle !== undefined) {
        try {
          requireSame(target, this.#seals.get(name));
          if (this.#truthful.has(identity)) return { handle, length: target.length, etag: name };
          const lie = this.#lying.get(identity);
          if (lie !== undefined) throw lie;
        } catch (error) {
          await handle.close();
          throw error;
        }
        await handle.close();
      }
      await this.#once(identity, () => this.#prepare(found, name, identity));
    }
    throw new StoreError('STORE_CORRUPT', 'Reading a verified artifact: it changes while it is read', {
      detail: { path: target.path },
    });
  }

  /** The versions of a listing whose content turned out other than its entry, as far as it was looked at. */
  withheldOf(project: Project, { found }: Listing): readonly Withheld[] {
    if (this.#lying.size === 0) return [];
    return [...found.values()].flatMap(({ target }) => {
      const lie = this.#lying.get(identityOf(target));
      if (lie === undefined) return [];
      const version = versionOfTarballName(project, basename(target.path));
      return [{ version, path: target.path, code: lie.code, reason: lie.message }];
    });
  }

  /** The file, if it is still the one that was hashed. */
  async #openSealed(name: string): Promise<FileHandle | undefined> {
    const seal = this.#seals.get(name);
    const handle = seal && (await this.#openFile(name));
    if (handle === undefined) return undefined;
    const marks = await marksOf(handle);
    if (marks === seal?.marks) return handle;
    await handle.close();
    return undefined;
  }

  /** Makes the target's file present, sealed and compared. */
  async #prepare(found: Found, name: string, identity: string): Promise<void> {
    const { target } = found;
    let seal = await this.#sealed(name);
    if (seal === undefined) {
      await this.#client.download(target, fileSink(this.#pathOf(name)));
      seal = await this.#sealed(name);
      this.#log({ event: 'stored', path: target.path, bytes: target.length, assurance: assuranceOf(found.trail) });
    }
    requireSame(target, seal);
    if (this.#truthful.has(identity) || this.#lying.has(identity)) return;
    const handle = await this.#openFile(name);
    if (handle === undefined) return; // removed meanwhile: the next round notices
    try {
      await checkEntry(target, handle.createReadStream({ start: 0, autoClose: false }));
      this.#truthful.add(identity);
    } catch (error) {
      if (!(error instanceof MetadataError)) throw error;
      this.#lying.set(identity, error);
    } finally {
      await handle.close();
    }
  }

  /** Hashes the file of a name; one that is not what its name says is removed. */
  async #sealed(name: string): Promise<Seal | undefined> {
    const handle = await this.#openFile(name);
    if (handle === undefined) return undefined;
    try {
      const marks = await marksOf(handle);
      const digests = await hashesOf(handle);
      if ([...digests.hashes.values()].includes(name)) {
        const seal = { ...digests, marks };
        this.#seals.set(name, seal);
        return seal;
      }
    } catch (cause) {
      throw new StoreError('STORE_READ', 'Reading the artifact store: the system refused', { cause });
    } finally {
      await handle.close();
    }
    this.#seals.delete(name);
    await rm(this.#pathOf(name), { force: true });
    return undefined;
  }

  async #openFile(name: string): Promise<FileHandle | undefined> {
    try {
      return await open(this.#pathOf(name), 'r');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
      throw new StoreError('STORE_READ', 'Opening a verified artifact: the system refused', { cause });
    }
  }

  async #once(identity: string, work: () => Promise<void>): Promise<void> {
    const running = this.#underway.get(identity);
    if (running !== undefined) return await running;
    const mine = work().finally(() => this.#underway.delete(identity));
    this.#underway.set(identity, mine);
    return await mine;
  }

  #pathOf(name: string): string {
    return join(this.#folder, name.slice(0, 2), basename(name));
  }
}

/** What was found when a file was read to its end. */
interface Seal {
  readonly length: number;
  readonly hashes: ReadonlyMap<HashAlgorithm, string>;
  /** Device, inode, size and times: when these are the same, the file was not written since. */
  readonly marks: string;
}

/** The file name of a target's content: its strongest common name, checked to be a digest. */
function nameOf(target: Pick<TargetFile, 'path' | 'hashes'>): string {
  const strong = strongHashes(target.hashes, target.path);
  const name = strong.get('sha256') ?? strong.get('sha512') ?? '';
  if (/^(?:[0-9a-f]{64}|[0-9a-f]{128})$/.test(name)) return name;
  throw new MetadataError('FORMAT_INVALID', `Reading the hashes of ${target.path}: one is not hexadecimal`, {
    detail: { path: target.path },
  });
}

/** Stands for a target's path, content and index entry together. */
function identityOf(target: TargetFile): string {
  const entry = createHash('sha256').update(canonicalBytes(target.custom ?? null));
  return `${nameOf(target)} ${entry.digest('base64url')} ${target.path}`;
}

/** Content of one name must agree with everything else that a target says of it. */
function requireSame(target: TargetFile, seal: Seal | undefined): void {
  const facts = { detail: { path: target.path } };
  if (seal?.length !== target.length) {
    throw new MetadataError('LENGTH_MISMATCH', `Checking ${target.path}: its length is not the signed one`, facts);
  }
  for (const [algorithm, digest] of strongHashes(target.hashes, target.path)) {
    if (seal.hashes.get(algorithm) !== digest) {
      throw new MetadataError(
        'HASH_MISMATCH',
        `Checking ${target.path}: its ${algorithm} is not the signed one`,
        facts,
      );
    }
  }
}

async function marksOf(handle: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await handle.stat({ bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

async function hashesOf(handle: FileHandle): Promise<Omit<Seal, 'marks'>> {
  const running = (['sha256', 'sha512'] as const).map((name) => ({ name, hasher: createHash(name) }));
  let length = 0;
  for await (const chunk of handle.createReadStream({ start: 0, autoClose: false })) {
    length += chunk.length;
    for (const { hasher } of running) hasher.update(chunk);
  }
  return { length, hashes: new Map(running.map(({ name, hasher }) => [name, hasher.digest('hex')])) };
}
