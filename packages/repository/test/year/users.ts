// Users of the year: one of ours and one of python-tuf, who look at the same
// mirror every day with what they trusted the day before, and must agree.

import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  driveSync,
  type FreshState,
  find,
  type Instant,
  isTufError,
  refresh,
  type SyncPorts,
  start,
  writeInstant,
} from '@countersign/core';
import { expect } from 'vitest';
import { codeOf, nodeCrypto } from '../world.ts';

/** What a user found: SHA-256 by path, `null` where nothing was, a text where the look ended with an error. */
export type Found = ReadonlyMap<string, string | null>;

/** A user of our own client. */
export class OurUser {
  private readonly anchor: Uint8Array;
  private readonly kept: Map<string, Uint8Array>;

  constructor(anchor: Uint8Array, kept: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.anchor = anchor;
    this.kept = new Map(kept);
  }

  /** The same user, on another mirror from now on. */
  twin(): OurUser {
    return new OurUser(this.anchor, this.kept);
  }

  /** Refreshes, and looks paths up. @throws MetadataError when the mirror is refused as a whole */
  look(site: ReadonlyMap<string, Uint8Array>, paths: readonly string[], now: Instant): Found {
    const { kept } = this;
    const ports: SyncPorts = {
      crypto: nodeCrypto,
      state: {
        load: (name) => kept.get(name),
        save: (name, bytes) => void kept.set(name, bytes),
        drop: (name) => void kept.delete(name),
      },
      source: { fetch: ({ url }) => site.get(`metadata/${url}`) },
    };
    const state: FreshState = driveSync(refresh(driveSync(start(this.anchor), ports), now), ports);
    return new Map(
      paths.map((path) => {
        try {
          return [path, driveSync(find(state, path, now), ports)?.target.hashes.get('sha256') ?? null];
        } catch (error) {
          if (!isTufError(error)) throw error;
          return [path, error.code];
        }
      }),
    );
  }
}

/** A user of python-tuf, in a process of its own. */
export class PythonUser {
  private readonly command: string;
  private readonly anchor: Uint8Array;
  private readonly folder: string;
  private readonly child: ChildProcess;
  private readonly answers: AsyncIterator<string>;
  private shown = new Map<string, Uint8Array>();

  private constructor(command: string, anchor: Uint8Array, folder: string) {
    this.command = command;
    this.anchor = anchor;
    this.folder = folder;
    const script = fileURLToPath(new URL('python-user.py', import.meta.url));
    const args = [script, join(folder, 'site'), join(folder, 'state'), join(folder, 'root.json')];
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.child.stdout === null) throw new TypeError('The process has no output');
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  static async start(command: string, anchor: Uint8Array, from?: PythonUser): Promise<PythonUser> {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-year-'));
    await mkdir(join(folder, 'state'));
    if (from !== undefined) await cp(join(from.folder, 'state'), join(folder, 'state'), { recursive: true });
    await writeFile(join(folder, 'root.json'), anchor);
    return new PythonUser(command, anchor, folder);
  }

  /** The same user, on another mirror from now on. */
  twin(): Promise<PythonUser> {
    return PythonUser.start(this.command, this.anchor, this);
  }

  /** Refreshes, and looks paths up; `undefined` when the mirror is refused as a whole. */
  async look(
    site: ReadonlyMap<string, Uint8Array>,
    paths: readonly string[],
    now: Instant,
  ): Promise<Found | undefined> {
    for (const [url, bytes] of site) {
      if (!url.startsWith('metadata/') || this.shown.get(url) === bytes) continue;
      const file = join(this.folder, 'site', url);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, bytes);
    }
    this.shown = new Map(site);
    this.child.stdin?.write(`${JSON.stringify({ now: writeInstant(now), paths })}\n`);
    const { value, done } = await this.answers.next();
    if (done === true) throw new Error('python-tuf ended');
    const answer: { found?: Record<string, string | null> } = JSON.parse(value);
    return answer.found && new Map(Object.entries(answer.found));
  }

  async stop(): Promise<void> {
    this.child.stdin?.end();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** One of ours, and one of python-tuf where there is one: whatever one accepts, the other accepts. */
export class Users {
  readonly ours: OurUser;
  private readonly theirs: PythonUser | undefined;

  constructor(ours: OurUser, theirs: PythonUser | undefined) {
    this.ours = ours;
    this.theirs = theirs;
  }

  /** The same users, on another mirror from now on. */
  async twin(): Promise<Users> {
    return new Users(this.ours.twin(), await this.theirs?.twin());
  }

  /** Refreshes, and looks paths up. @throws MetadataError when the mirror is refused as a whole */
  async look(site: ReadonlyMap<string, Uint8Array>, paths: readonly string[], now: Instant): Promise<Found> {
    const found = this.ours.look(site, paths, now);
    if (this.theirs !== undefined) {
      expect(accepted(await this.theirs.look(site, paths, now)), writeInstant(now)).toEqual(accepted(found));
    }
    return found;
  }

  /** Looks, and must refuse the mirror as a whole. */
  async refuse(site: ReadonlyMap<string, Uint8Array>, code: string, now: Instant): Promise<void> {
    expect([writeInstant(now), await codeOf(() => this.ours.look(site, [], now))]).toEqual([writeInstant(now), code]);
    expect(await this.theirs?.look(site, [], now), writeInstant(now)).toBeUndefined();
  }

  async stop(): Promise<void> {
    await this.theirs?.stop();
  }
}

/** What was accepted: errors and absence are the same to a user. */
function accepted(found: Found | undefined): readonly (readonly [string, string])[] {
  return [...(found ?? [])].flatMap(([path, answer]) =>
    answer !== null && /^[0-9a-f]{64}$/.test(answer) ? [[path, answer] as const] : [],
  );
}
