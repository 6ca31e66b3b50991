// fileState and fileSink on a real folder, with a file system that can be told
// to fail at any step: a failure anywhere leaves the previous file, whole, and
// nothing beside it.

import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheNameOf, rootHistoryName, utf8 } from '@countersign/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { codeOf, SmallWorld } from '../../test/small-world.ts';
import { fileSink } from './file-sink.ts';
import { fileState } from './file-state.ts';

// Steps that change something, counted down to the one that fails.
const fault = vi.hoisted(() => ({
  after: Number.POSITIVE_INFINITY,
  steps: [] as string[],
  step(name: string): void {
    fault.steps.push(name);
    if (fault.after-- === 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  },
}));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const open: typeof real.open = async (...args) => {
    fault.step('open');
    const handle = await real.open(...args);
    return new Proxy(handle, {
      get(target, name: keyof typeof handle) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function') return member;
        return async (...rest: unknown[]) => {
          if (name !== 'close') fault.step(String(name));
          return await Reflect.apply(member, target, rest);
        };
      },
    });
  };
  const rename: typeof real.rename = async (...args) => {
    fault.step('rename');
    await real.rename(...args);
  };
  return { ...real, open, rename };
});
vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  const failing =
    <A extends unknown[], R>(name: string, call: (...args: A) => R) =>
    (...args: A): R => {
      fault.step(name);
      return call(...args);
    };
  const fsync = (file: number, done: (error: Error | null) => void): void => {
    try {
      fault.step('sync');
    } catch (error) {
      done(error instanceof Error ? error : null);
      return;
    }
    real.fsync(file, done);
  };
  const writeFileSync: typeof real.writeFileSync = (file, ...rest) => {
    if (typeof file === 'number') fault.step('write');
    real.writeFileSync(file, ...rest);
  };
  const openSync = failing('open', real.openSync);
  const renameSync = failing('rename', real.renameSync);
  return { ...real, openSync, renameSync, writeFileSync, fsync };
});

let folder: string;
beforeEach(async () => {
  fault.after = Number.POSITIVE_INFINITY;
  fault.steps = [];
  folder = await mkdtemp(join(tmpdir(), 'countersign-'));
});
afterEach(async () => {
  fault.after = Number.POSITIVE_INFINITY;
  await rm(folder, { recursive: true });
});

const TIMESTAMP = cacheNameOf('timestamp');

describe('fileState', () => {
  it('keeps files under their names, for their owner only', async () => {
    const home = join(folder, 'a', 'state');
    const state = fileState(home);
    expect(await state.load(TIMESTAMP)).toBeUndefined();
    await state.drop(TIMESTAMP);
    await state.save(TIMESTAMP, utf8('one'));
    await state.save(TIMESTAMP, utf8('two'));
    await state.save(rootHistoryName(7), utf8('seven'));
    expect(await fileState(home).load(TIMESTAMP)).toEqual(Buffer.from('two'));
    expect(await readdir(home)).toEqual(['root_history', 'timestamp.json']);
    expect(await readdir(join(home, 'root_history'))).toEqual(['7.root.json']);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    expect((await stat(join(home, 'root_history'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(home, 'timestamp.json'))).mode & 0o777).toBe(0o600);
    await state.drop(TIMESTAMP);
    expect(await state.load(TIMESTAMP)).toBeUndefined();
  });

  it('names from outside: a role called ../x stays in the folder', async () => {
    const home = join(folder, 'state');
    const state = fileState(home);
    await state.save(cacheNameOf('../../x'), utf8('x'));
    await state.save(cacheNameOf('Root'), utf8('not root'));
    expect(await readdir(folder)).toEqual(['state']);
    expect(await readdir(home)).toEqual(['%52oot.json', '..%2F..%2Fx.json']);
  });

  it('a failure at any step leaves the previous file or the new one, whole, and nothing beside it', async () => {
    const state = fileState(folder);
    const keep = async (text: string): Promise<void> => {
      await state.save(TIMESTAMP, utf8(text));
      await state.settle();
    };
    await keep('before');
    fault.steps = [];
    await keep('before');
    const steps = [...fault.steps];
    expect(steps).toEqual(['open', 'write', 'sync', 'rename', 'open', 'sync']);
    for (let n = 0; n < steps.length; n++) {
      await keep('before');
      fault.after = n;
      expect(await codeOf(keep('after'))).toBe('STORE_WRITE');
      fault.after = Number.POSITIVE_INFINITY;
      const renamed = n > steps.indexOf('rename');
      expect(await readFile(join(folder, TIMESTAMP), 'utf8')).toBe(renamed ? 'after' : 'before');
      expect(await readdir(folder)).toEqual([TIMESTAMP]);
    }
  });

  it('§5.4.3, §5.5.5 what rollback checks rest on outlives a power failure: never spoilt by what replaces it', async () => {
    const state = fileState(folder);
    const stepsOf = async (work: () => unknown): Promise<string[]> => {
      fault.steps = [];
      await work();
      return fault.steps;
    };
    const floors = [...['root', 'timestamp', 'snapshot'].map((role) => cacheNameOf(role)), rootHistoryName(2)];
    for (const name of floors) {
      // Where there was none, the sync may wait for the others.
      expect(await stepsOf(() => state.save(name, utf8('x')))).toEqual(['open', 'write', 'rename']);
      expect((await stepsOf(() => state.settle())).filter((step) => step === 'sync').length).toBeGreaterThan(1);
      expect(await stepsOf(() => state.save(name, utf8('x')))).toEqual(['open', 'write', 'sync', 'rename']);
      expect(await stepsOf(() => state.settle())).toEqual(['open', 'sync']);
    }
    // Found damaged, any other role is fetched again.
    expect(await stepsOf(() => state.save(cacheNameOf('targets'), utf8('x')))).toEqual(['open', 'write', 'rename']);
    expect(await stepsOf(() => state.settle())).toEqual([]);
  });

  it('what was dropped before it was settled is no obstacle', async () => {
    const state = fileState(folder);
    await state.save(TIMESTAMP, utf8('x'));
    await state.drop(TIMESTAMP);
    await state.settle();
    expect(await readdir(folder)).toEqual([]);
  });

  it('a sync that fails when a new state is settled: STORE_WRITE', async () => {
    const state = fileState(folder);
    await state.save(TIMESTAMP, utf8('x'));
    fault.after = 1;
    expect(await codeOf(Promise.resolve(state.settle()))).toBe('STORE_WRITE');
  });

  it('a client leaves nothing unsettled behind, even when an update is refused', async () => {
    const world = await SmallWorld.make();
    const state = fileState(folder);
    const client = await world.client({ state });
    await client.find('dev/tool.tgz');
    await world.publish();
    world.files.delete('metadata/2.snapshot.json');
    const kept = await readFile(join(folder, TIMESTAMP));
    expect(await codeOf(client.refresh())).toBe('METADATA_MISSING');
    expect(await readFile(join(folder, TIMESTAMP))).not.toEqual(kept);
    fault.steps = [];
    await state.settle();
    expect(fault.steps).toEqual([]);
  });

  it('a save over what was loaded: only if no other process has replaced it', async () => {
    const [one, other] = [fileState(folder), fileState(folder)];
    expect(await one.save(TIMESTAMP, utf8('1'), { bytes: undefined })).toBe(true);
    expect(await other.save(TIMESTAMP, utf8('other'), { bytes: undefined })).toBe(false);
    expect(await other.save(TIMESTAMP, utf8('2'), { bytes: utf8('1') })).toBe(true);
    expect(await one.save(TIMESTAMP, utf8('other'), { bytes: utf8('1') })).toBe(false);
    expect(await readFile(join(folder, TIMESTAMP), 'utf8')).toBe('2');
    await one.drop(TIMESTAMP);
    expect(await other.save(TIMESTAMP, utf8('other'), { bytes: utf8('2') })).toBe(false);
    expect(await readdir(folder)).toEqual([]);
  });

  it('a save over what cannot be read, or where there can be no lock: STORE_WRITE, with its cause', async () => {
    await mkdir(join(folder, TIMESTAMP));
    const state = fileState(folder);
    const saving = (): Promise<unknown> =>
      Promise.resolve(state.save(TIMESTAMP, utf8('x'), { bytes: undefined })).catch((caught: unknown) => caught);
    expect(await saving()).toMatchObject({ code: 'STORE_WRITE', cause: { code: 'EISDIR' } });
    await mkdir(join(folder, '.lock'));
    expect(await saving()).toMatchObject({ code: 'STORE_WRITE', cause: { code: 'EISDIR' } });
    expect(await readdir(folder)).toEqual(['.lock', TIMESTAMP]);
  });

  it('what the system refuses becomes STORE_READ or STORE_WRITE, with its cause', async () => {
    await mkdir(join(folder, TIMESTAMP));
    const state = fileState(folder);
    const reading: unknown = await Promise.resolve(state.load(TIMESTAMP)).catch((caught: unknown) => caught);
    expect(reading).toMatchObject({ code: 'STORE_READ', cause: { code: 'EISDIR' } });
    expect(await codeOf(Promise.resolve(state.save(TIMESTAMP, utf8('x'))))).toBe('STORE_WRITE');
    expect(await codeOf(Promise.resolve(state.drop(TIMESTAMP)))).toBe('STORE_WRITE');
    expect(await readdir(folder)).toEqual([TIMESTAMP]);
    await writeFile(join(folder, 'file'), '');
    const inFile = fileState(join(folder, 'file'));
    expect(await codeOf(Promise.resolve(inFile.save(TIMESTAMP, utf8('x'))))).toBe('STORE_WRITE');
    expect(await codeOf(Promise.resolve(inFile.load(TIMESTAMP)))).toBe('STORE_READ');
  });

  it('a refresh that cannot be kept is refused, and the next one succeeds', async () => {
    const world = await SmallWorld.make();
    const client = await world.client({ state: fileState(folder) });
    await client.refresh();
    const trusted = client.trusted;
    await world.publish();
    fault.after = 0;
    expect(await codeOf(client.refresh())).toBe('STORE_WRITE');
    expect(client.trusted).toBe(trusted);
    fault.after = Number.POSITIVE_INFINITY;
    expect(await readFile(join(folder, TIMESTAMP))).not.toEqual(Buffer.from(world.bytesOf('timestamp')));
    await client.refresh();
    expect(await readFile(join(folder, TIMESTAMP))).toEqual(Buffer.from(world.bytesOf('timestamp')));
  });

  it('a crash at any write of a refresh leaves a folder from which a new process goes on', async () => {
    const world = await SmallWorld.make();
    for (let n = 0; ; n++) {
      const home = join(folder, String(n));
      const state = fileState(home);
      await (await world.client({ state })).refresh();
      await world.root({ rotate: 'timestamp' });
      await world.publish();
      const client = await world.client({ state });
      fault.after = n;
      const outcome = await codeOf(client.refresh());
      fault.after = Number.POSITIVE_INFINITY;
      const { timestamp } = await (await world.client({ state: fileState(home) })).refresh();
      expect(Buffer.from(timestamp.bytes)).toEqual(Buffer.from(world.bytesOf('timestamp')));
      if (outcome === 'nothing was thrown') break;
      expect(outcome).toBe('STORE_WRITE');
    }
  });
});

describe('fileSink', () => {
  it('shows nothing at the destination before commit, and replaces it then', async () => {
    const destination = join(folder, 'deep', 'tool.tgz');
    await mkdir(join(folder, 'deep'));
    await writeFile(destination, 'old');
    const sink = fileSink(destination);
    await sink.write(utf8('new '));
    await sink.write(utf8('content'));
    expect(await readFile(destination, 'utf8')).toBe('old');
    await sink.commit();
    expect(await readFile(destination, 'utf8')).toBe('new content');
    expect(await readdir(join(folder, 'deep'))).toEqual(['tool.tgz']);
  });

  it('makes an empty file when nothing was written, and the folders on the way', async () => {
    await fileSink(join(folder, 'a', 'b', 'empty')).commit();
    expect(await readFile(join(folder, 'a', 'b', 'empty'), 'utf8')).toBe('');
  });

  it('a long download is written as it came, whatever its pieces, and synced on the way', async () => {
    const destination = join(folder, 'long');
    const content = Buffer.alloc(
      19 * 2 ** 20 + 5,
      Uint8Array.from({ length: 251 }, (_, i) => i),
    );
    const sink = fileSink(destination);
    const piece = new Uint8Array(3_000_000);
    for (let at = 0, length = 1; at < content.length; at += length, length = Math.min(length * 7, piece.length)) {
      length = Math.min(length, content.length - at);
      piece.set(content.subarray(at, at + length));
      await sink.write(piece.subarray(0, length)); // whoever writes may use its buffer again
    }
    await sink.commit();
    expect((await readFile(destination)).equals(content)).toBe(true);
    // At least one on the way, then the file and the folder.
    expect(fault.steps.filter((step) => step === 'sync').length).toBeGreaterThan(2);
  });

  it.each(['write', 'sync'])('a %s that fails behind the scenes of a long download is told', async (failing) => {
    const destination = join(folder, 'long');
    const download = async (): Promise<void> => {
      const sink = fileSink(destination);
      try {
        for (let i = 0; i < 20; i++) await sink.write(new Uint8Array(2 ** 20));
        await sink.commit();
      } catch (error) {
        await sink.abort();
        throw error;
      }
    };
    await download();
    fault.after = fault.steps.indexOf(failing); // the next one may well succeed
    expect(await codeOf(download())).toBe('STORE_WRITE');
    expect(await readdir(folder)).toEqual(['long']);
  });

  it('abort removes what was written, at any time and more than once', async () => {
    const destination = join(folder, 'tool.tgz');
    const sink = fileSink(destination);
    await sink.abort();
    await sink.write(utf8('x'));
    await sink.abort();
    await sink.abort();
    expect(await readdir(folder)).toEqual([]);
  });

  it('a failure at any step of a download leaves the old file and nothing beside it', async () => {
    const world = await SmallWorld.make();
    const client = await world.client();
    const found = await client.find('dev/tool.tgz');
    if (found === undefined) throw new Error('not found');
    const destination = join(folder, 'tool.tgz');
    await writeFile(destination, 'old');
    for (let n = 0; n < 4; n++) {
      fault.after = n;
      expect(await codeOf(client.download(found.target, fileSink(destination)))).toBe('STORE_WRITE');
      fault.after = Number.POSITIVE_INFINITY;
      expect(await readFile(destination, 'utf8')).toBe('old');
      expect(await readdir(folder)).toEqual(['tool.tgz']);
    }
    await client.download(found.target, fileSink(destination));
    expect(await readFile(destination, 'utf8')).toBe('tool, version 1');
  });

  it('arbitrary software: a forged download leaves the old file', async () => {
    const world = await SmallWorld.make();
    const client = await world.client();
    const found = await client.find('dev/tool.tgz');
    if (found === undefined) throw new Error('not found');
    const destination = join(folder, 'tool.tgz');
    await writeFile(destination, 'old');
    world.files.set(`targets/dev/${found.target.hashes.get('sha256')}.tool.tgz`, utf8('evil, version 1'));
    expect(await codeOf(client.download(found.target, fileSink(destination)))).toBe('HASH_MISMATCH');
    expect(await readFile(destination, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['tool.tgz']);
  });
});
