// What every adapter of the three storage ports must do: an adapter is done
// when it passes this. Each suite is given a way to open its port on the same,
// at first empty, storage as often as it likes; opening it again stands for a
// new process. Fault injection is not here: it needs the adapter's own means.
// Long because it is one contract: three ports, one after the other.

import { createHash } from 'node:crypto';
import { metadataUrl, requireTargetPath, targetUrl } from '@countersign/core';
import { describe, expect, it, vi } from 'vitest';
import type { BlobFacts, BlobStore, Commit, Ledger, RoleFile, RoleRow, Site } from '../src/index.ts';

/** Opens a port on storage that is the same for all calls of one `Opener`. */
export type Opener<T> = () => Promise<T>;

/** Runs the ledger's suite. @param fresh gives an opener on new, empty storage */
export function ledgerSuite(name: string, fresh: () => Promise<Opener<Ledger>>): void {
  describe(`Ledger: ${name}`, () => {
    it('is empty at first', async () => {
      const ledger = await (await fresh())();
      expect(await ledger.head()).toBeUndefined();
      expect(await ledger.roles()).toEqual([]);
      expect(await ledger.pending()).toEqual([]);
      expect(await ledger.file('targets')).toBeUndefined();
      expect(await ledger.submission('a')).toBeUndefined();
      expect(await ledger.blob(digestOf('sha256', ''))).toBeUndefined();
      expect(await ledger.account('token')).toBeUndefined();
      expect(await ledger.made(1)).toEqual({ files: [], targets: [] });
      await ledger.close();
    });

    it('commits head, role files, targets and outcomes in one step, for good', async () => {
      const open = await fresh();
      const before = await open();
      await before.journal([entry('a'), entry('b'), entry('c')]);
      await before.recordBlob(BLOB);
      const refusal = { code: 'SUBMISSION_STALE', message: 'too late', detail: { want: 2, got: 3 } } as const;
      const commit = commitOf(0, [roleFile('targets', 1, 'T1'), roleFile('snapshot', 1, 'S1')], {
        targets: [{ path: 'pkg/ab12/x/x-1', blob: BLOB }],
        published: ['a'],
        refused: [{ id: 'b', refusal }],
      });
      expect(await before.commit(commit)).toBe(true);
      await before.close();
      const ledger = await open();
      expect(await ledger.head()).toEqual({ publication: 1, at: commit.at });
      expect(sorted(await ledger.roles())).toEqual([rowOf('snapshot', 1, 'S1'), rowOf('targets', 1, 'T1')]);
      expect(textOf(await ledger.file('targets'))).toBe('T1');
      // What was sent is kept: a claim in it is the evidence of who holds a name.
      expect(await ledger.submission('a')).toMatchObject({ ...entry('a'), publication: 1, refusal: undefined });
      expect(await ledger.submission('b')).toMatchObject({ publication: undefined, refusal });
      expect((await ledger.pending()).map(({ id }) => id)).toEqual(['c']);
      const made = await ledger.made(1);
      expect(sorted(made.files).map(({ role, bytes }) => [role, textOf(bytes)])).toEqual([
        ['snapshot', 'S1'],
        ['targets', 'T1'],
      ]);
      expect(made.targets).toEqual([{ path: 'pkg/ab12/x/x-1', blob: BLOB }]);
      await ledger.close();
    });

    it('keeps earlier versions of a role beside the current one', async () => {
      const ledger = await (await fresh())();
      await ledger.commit(commitOf(0, [roleFile('r', 1, 'one')]));
      await ledger.commit(commitOf(1, [roleFile('r', 2, 'two'), roleFile('other', 1, 'x')]));
      expect(textOf(await ledger.file('r'))).toBe('two');
      expect(textOf(await ledger.file('r', 1))).toBe('one');
      expect(await ledger.file('r', 3)).toBeUndefined();
      expect((await ledger.made(2)).files.map(({ role }) => role).sort()).toEqual(['other', 'r']);
      await ledger.close();
    });

    it('takes two versions of a role in one publication; the last is current', async () => {
      const ledger = await (await fresh())();
      await ledger.commit(commitOf(0, [roleFile('r', 1, 'one'), roleFile('r', 2, 'two')]));
      expect(textOf(await ledger.file('r'))).toBe('two');
      expect(textOf(await ledger.file('r', 1))).toBe('one');
      expect(await ledger.roles()).toEqual([rowOf('r', 2, 'two')]);
      // Both are shown: a client that follows roots needs every one.
      expect((await ledger.made(1)).files.map(({ version, sha256 }) => [version, sha256])).toEqual([
        [1, digestOf('sha256', 'one')],
        [2, digestOf('sha256', 'two')],
      ]);
      await ledger.close();
    });

    it('moves the head by compare-and-swap: the second of two publishers changes nothing', async () => {
      const open = await fresh();
      const one = await open();
      const other = await open();
      await one.journal([entry('a'), entry('b')]);
      expect(await one.commit(commitOf(0, [roleFile('r', 1, 'one')]))).toBe(true);
      const late = commitOf(0, [roleFile('r', 1, 'another'), roleFile('s', 1, 's')], { published: ['a'] });
      expect(await other.commit(late)).toBe(false);
      expect(await other.commit({ ...late, expected: 2 })).toBe(false);
      expect(await other.head()).toEqual({ publication: 1, at: AT });
      expect(textOf(await other.file('r'))).toBe('one');
      expect(await other.file('s')).toBeUndefined();
      expect((await other.pending()).map(({ id }) => id)).toEqual(['a', 'b']);
      await one.close();
      await other.close();
    });

    it('journals in order; repeating an id changes nothing', async () => {
      const open = await fresh();
      const before = await open();
      await before.journal([]);
      await before.journal([entry('z', 'first'), entry('a', 'second')]);
      await before.journal([entry('z', 'changed'), entry('m', 'third {"ü":"\u{1f511}"}')]);
      await before.close();
      const ledger = await open();
      expect((await ledger.pending()).map(({ id, text }) => [id, text])).toEqual([
        ['z', 'first'],
        ['a', 'second'],
        ['m', 'third {"ü":"\u{1f511}"}'],
      ]);
      expect(await ledger.submission('z')).toEqual({
        id: 'z',
        received: AT,
        text: 'first',
        publication: undefined,
        refusal: undefined,
      });
      await ledger.close();
    });

    it('remembers which content each path showed last', async () => {
      const open = await fresh();
      const before = await open();
      const other = blobOf('other');
      for (const blob of [BLOB, other]) await before.recordBlob(blob);
      await before.commit(
        commitOf(0, [], {
          targets: [
            { path: 'a/1', blob: BLOB },
            { path: 'a/2', blob: BLOB },
          ],
        }),
      );
      await before.commit(commitOf(1, [], { targets: [{ path: 'a/2', blob: other }] }));
      await before.close();
      const ledger = await open();
      expect(await ledger.shown('a/1')).toBe(BLOB.sha256);
      expect(await ledger.shown('a/2')).toBe(other.sha256);
      expect(await ledger.shown('a/3')).toBeUndefined();
      expect((await ledger.made(2)).targets).toEqual([{ path: 'a/2', blob: other }]);
      await ledger.close();
    });

    it('records blobs and token hashes, again and again', async () => {
      const open = await fresh();
      const before = await open();
      for (let i = 0; i < 2; i++) await before.recordBlob(BLOB);
      for (let i = 0; i < 2; i++) await before.addToken('hash', 'alice');
      await before.close();
      const ledger = await open();
      expect(await ledger.blob(BLOB.sha256)).toEqual(BLOB);
      expect(await ledger.account('hash')).toBe('alice');
      expect(await ledger.account('HASH')).toBeUndefined();
      await ledger.close();
    });

    it('gives at most as many waiting submissions as are asked for, the first ones', async () => {
      const ledger = await (await fresh())();
      await ledger.journal(['c', 'a', 'b'].map((id) => entry(id)));
      expect((await ledger.pending(2)).map(({ id }) => id)).toEqual(['c', 'a']);
      expect((await ledger.pending(9)).length).toBe(3);
      await ledger.close();
    });

    it('adds decisions with the publication that they belong to, or not at all', async () => {
      const open = await fresh();
      const before = await open();
      const decisions = Array.from({ length: 2500 }, (_, i) => ({
        sequence: i + 1,
        text: `decision ${i + 1} \u{1f511}`,
      }));
      expect(await before.commit(commitOf(0, [], { decisions: decisions.slice(0, 1) }))).toBe(true);
      expect(await before.commit(commitOf(0, [], { decisions: decisions.slice(1, 2) }))).toBe(false);
      expect(await before.commit(commitOf(1, [], { decisions: decisions.slice(1) }))).toBe(true);
      await before.close();
      const ledger = await open();
      expect(await all(ledger.decisions(1))).toEqual(decisions);
      expect(await all(ledger.decisions(2499))).toEqual(decisions.slice(2498));
      expect(await all(ledger.decisions(2501))).toEqual([]);
      await ledger.close();
    });

    it('lists everything it holds, in order, more than a page of it', async () => {
      const ledger = await (await fresh())();
      const roles = Array.from({ length: 1500 }, (_, i) => roleFile(`r${String(i).padStart(4, '0')}`, 1, `of ${i}`));
      const blobs = Array.from({ length: 1500 }, (_, i) => blobOf(`blob ${i}`));
      await Promise.all(blobs.map((blob) => ledger.recordBlob(blob)));
      const targets = blobs.map((blob, i) => ({ path: `a/${String(i).padStart(4, '0')}`, blob }));
      await ledger.commit(commitOf(0, roles, { targets }));
      await ledger.commit(commitOf(1, [roleFile('r0007', 2, 'again')], { targets: [{ path: 'a/0003', blob: BLOB }] }));
      const held = await all(ledger.held());
      expect(held.length).toBe(1501);
      expect(held.slice(7, 9)).toEqual([
        { ...rowOf('r0007', 1, 'of 7'), publication: 1 },
        { ...rowOf('r0007', 2, 'again'), publication: 2 },
      ]);
      expect(held.map(({ role }) => role)).toEqual([...roles.map(({ role }) => role), 'r0007'].sort());
      const shown = await all(ledger.everShown());
      expect(shown.map(({ path }) => path)).toEqual(targets.map(({ path }) => path));
      expect(shown.slice(2, 4)).toEqual([
        { path: 'a/0002', sha256: blobs[2]?.sha256, publication: 1 },
        { path: 'a/0003', sha256: BLOB.sha256, publication: 2 },
      ]);
      expect(await all(ledger.blobs())).toEqual(sortedBy(blobs, ({ sha256 }) => sha256));
      await ledger.close();
    });

    it('remembers when each publication was committed', async () => {
      const ledger = await (await fresh())();
      await ledger.commit(commitOf(0, []));
      await ledger.commit(commitOf(1, [], { at: AT + 5 }));
      expect([await ledger.committedAt(1), await ledger.committedAt(2)]).toEqual([AT, AT + 5]);
      expect(await ledger.committedAt(3)).toBeUndefined();
      await ledger.close();
    });

    it('forgets role files, but no current one and no root', async () => {
      const ledger = await (await fresh())();
      await ledger.commit(commitOf(0, [roleFile('root', 1, 'R1'), roleFile('r', 1, 'one'), roleFile('s', 1, 's')]));
      await ledger.commit(commitOf(1, [roleFile('root', 2, 'R2'), roleFile('r', 2, 'two')]));
      const asked = ['root', 'r', 's', 'other'].flatMap((role) => [1, 2].map((version) => ({ role, version })));
      for (let i = 0; i < 2; i++) await ledger.forgetFiles(asked);
      expect((await all(ledger.held())).map(({ role, version }) => `${role} ${version}`)).toEqual([
        'r 2',
        'root 1',
        'root 2',
        's 1',
      ]);
      expect(await ledger.file('r', 1)).toBeUndefined();
      expect(textOf(await ledger.file('r'))).toBe('two');
      expect((await ledger.made(1)).files.map(({ role }) => role)).toEqual(['root', 's']);
      await ledger.close();
    });

    it('forgets blobs, so that they can be recorded again', async () => {
      const ledger = await (await fresh())();
      const other = blobOf('other');
      for (const blob of [BLOB, other]) await ledger.recordBlob(blob);
      for (let i = 0; i < 2; i++) await ledger.forgetBlobs([BLOB.sha256, digestOf('sha256', 'none')]);
      expect(await ledger.blob(BLOB.sha256)).toBeUndefined();
      expect(await all(ledger.blobs())).toEqual([other]);
      await ledger.recordBlob(BLOB);
      expect(await ledger.blob(BLOB.sha256)).toEqual(BLOB);
      await ledger.close();
    });

    it('writes a document by compare-and-swap: of two writers one is told to look again', async () => {
      const open = await fresh();
      const one = await open();
      const other = await open();
      expect(await one.document('draft', 'a')).toBeUndefined();
      expect(await one.putDocument('draft', 'a', 0, undefined)).toBe(true);
      expect(await one.putDocument('draft', 'a', 1, 'stale')).toBe(false);
      expect(await one.putDocument('draft', 'a', 0, 'first')).toBe(true);
      expect(await other.putDocument('draft', 'a', 0, 'also first')).toBe(false);
      expect(await other.document('draft', 'a')).toEqual({ kind: 'draft', id: 'a', revision: 1, text: 'first' });
      const race = await Promise.all([one, other].map((ledger) => ledger.putDocument('draft', 'a', 1, 'second')));
      expect(race.filter((won) => won)).toEqual([true]);
      expect(await one.putDocument('draft', 'a', 1, undefined)).toBe(false);
      await one.putDocument('draft', 'b', 0, 'b');
      await one.putDocument('mark', 'a', 0, 'of another kind');
      await one.close();
      await other.close();
      const ledger = await open();
      expect(await ledger.documents('draft')).toEqual([
        { kind: 'draft', id: 'a', revision: 2, text: 'second' },
        { kind: 'draft', id: 'b', revision: 1, text: 'b' },
      ]);
      await ledger.close();
    });

    it('never takes the revision of a removed document for that of a new one', async () => {
      const ledger = await (await fresh())();
      await ledger.putDocument('draft', 'a', 0, 'first');
      expect(await ledger.putDocument('draft', 'a', 1, undefined)).toBe(true);
      expect(await ledger.document('draft', 'a')).toBeUndefined();
      expect(await ledger.documents('draft')).toEqual([]);
      expect(await ledger.putDocument('draft', 'a', 2, 'back')).toBe(false);
      expect(await ledger.putDocument('draft', 'a', 0, 'new')).toBe(true);
      expect(await ledger.putDocument('draft', 'a', 1, 'by the owner of the first')).toBe(false);
      const { revision, text } = (await ledger.document('draft', 'a')) ?? {};
      expect([revision, text]).toEqual([3, 'new']);
      await ledger.close();
    });

    it('lets one publish at a time, and the next once the first is gone', async () => {
      const open = await fresh();
      const one = await open();
      const other = await open();
      const lead = await one.lead();
      expect(lead).toBeDefined();
      expect(await one.lead()).toBeUndefined();
      expect(await other.lead()).toBeUndefined();
      await lead?.release();
      const next = await other.lead();
      expect(next).toBeDefined();
      expect(await one.lead()).toBeUndefined();
      await other.close();
      await vi.waitFor(async () => expect(await one.lead()).toBeDefined());
      await one.close();
    });

    it('tells other processes when something was journaled or the head has moved', async () => {
      const open = await fresh();
      const one = await open();
      const other = await open();
      let changes = 0;
      const stop = other.watch(() => changes++);
      await one.head(); // a connection may be made on first use
      await one.journal([entry('a')]);
      await vi.waitFor(() => expect(changes).toBeGreaterThan(0));
      changes = 0;
      await one.commit(commitOf(0, []));
      await vi.waitFor(() => expect(changes).toBeGreaterThan(0));
      stop();
      await one.close();
      await other.close();
    });

    it('takes hostile names as names', async () => {
      const ledger = await (await fresh())();
      const roles = ['__proto__', 'constructor', "x'; DROP TABLE roles; --", '10', '../x', ''];
      await ledger.commit(
        commitOf(
          0,
          roles.map((role) => roleFile(role, 1, `of ${role}`)),
        ),
      );
      for (const role of roles) expect(textOf(await ledger.file(role))).toBe(`of ${role}`);
      expect((await ledger.roles()).length).toBe(roles.length);
      expect(await ledger.file('toString')).toBeUndefined();
      await ledger.close();
    });
  });
}

/** What a blob store's suite is given: new, empty storage. */
export interface BlobStoreUnderTest {
  readonly open: Opener<BlobStore>;
  /** All the names in that storage. */
  readonly stored: () => Promise<readonly string[]>;
  /** Leaves what a process that dies in the middle of an upload leaves, if it leaves anything. */
  readonly interrupt?: (sha256: string) => Promise<void>;
}

/** Runs the blob store's suite. */
export function blobStoreSuite(name: string, fresh: () => Promise<BlobStoreUnderTest>): void {
  describe(`BlobStore: ${name}`, () => {
    it('stores a stream under its digest and gives it back, also to the next process', async () => {
      const { open } = await fresh();
      const bytes = Buffer.alloc(300_000, 'abc');
      const facts = blobOf(bytes);
      expect(await (await open()).put(facts.sha256, pieces(bytes, 70_001), 300_000)).toEqual(facts);
      expect((await collected((await open()).read(facts.sha256))).equals(bytes)).toBe(true);
    });

    it('stores nothing, and the same thing twice', async () => {
      const { open } = await fresh();
      const store = await open();
      const empty = blobOf('');
      expect(await store.put(empty.sha256, pieces(Buffer.from('')), 10)).toEqual(empty);
      expect(await store.put(BLOB.sha256, pieces(Buffer.from('blob')), 10)).toEqual(BLOB);
      const twice = await Promise.all([0, 1].map(() => store.put(BLOB.sha256, pieces(Buffer.from('blob')), 10)));
      expect(twice).toEqual([BLOB, BLOB]);
      expect(textOf(await collected(store.read(empty.sha256)))).toBe('');
      expect(textOf(await collected(store.read(BLOB.sha256)))).toBe('blob');
    });

    it('refuses other content than the digest says and leaves nothing', async () => {
      const { open, stored } = await fresh();
      const store = await open();
      expect(await codeOf(store.put(BLOB.sha256, pieces(Buffer.from('b1ob')), 10))).toBe('BLOB_MISMATCH');
      expect(await stored()).toEqual([]);
      expect(await codeOf(collected(store.read(BLOB.sha256)))).toBe('STORE_READ');
    });

    it('endless data: stops at the limit and leaves nothing', async () => {
      const { open, stored } = await fresh();
      const store = await open();
      let given = 0;
      const endless = async function* (): AsyncGenerator<Uint8Array, void> {
        for (;;) {
          given += 1000;
          yield new Uint8Array(1000);
        }
      };
      expect(await codeOf(store.put(BLOB.sha256, endless(), 9999))).toBe('SUBMISSION_TOO_LARGE');
      expect(given).toBeLessThan(12_000);
      expect(await stored()).toEqual([]);
    });

    it('leaves nothing of a stream that breaks, and passes its error on', async () => {
      const { open, stored } = await fresh();
      const store = await open();
      const broken = async function* (): AsyncGenerator<Uint8Array, void> {
        yield Buffer.from('bl');
        throw new Error('the sender went away');
      };
      await expect(store.put(BLOB.sha256, broken(), 10)).rejects.toThrow();
      expect(await stored()).toEqual([]);
      expect(await store.put(BLOB.sha256, pieces(Buffer.from('blob')), 10)).toEqual(BLOB);
    });

    it('lists what it holds, and removes what it is told, again and again', async () => {
      const { open, stored } = await fresh();
      const store = await open();
      const facts = ['blob', 'another', ''].map(blobOf);
      for (const text of ['blob', 'another', '']) {
        await store.put(digestOf('sha256', text), pieces(Buffer.from(text)), 10);
      }
      const listed = await all(store.list());
      expect(sortedBy(listed, ({ name }) => name)).toMatchObject(
        sortedBy(facts, ({ sha256 }) => sha256).map(({ sha256, length }) => ({ name: sha256, length, partial: false })),
      );
      expect(listed.every(({ modified }) => Number.isSafeInteger(modified))).toBe(true);
      expect(await store.size(BLOB.sha256)).toBe(4);
      expect(await store.size(digestOf('sha256', 'none'))).toBeUndefined();
      for (let i = 0; i < 2; i++) await store.remove(facts.slice(1).map(({ sha256 }) => sha256));
      expect((await all(store.list())).map(({ name }) => name)).toEqual([BLOB.sha256]);
      expect((await stored()).length).toBe(1);
      for (const name of ['../../x', '', 'ab', '/etc/x', `ab/../${BLOB.sha256}`, 'ab/.partial-x/../../y']) {
        expect(await codeOf(store.remove([name]))).toBe('USAGE_INVALID');
      }
      expect(textOf(await collected(store.read(BLOB.sha256)))).toBe('blob');
    });

    it('lists what an interrupted upload left, and removes it', async () => {
      const { open, interrupt } = await fresh();
      if (interrupt === undefined) return; // nothing is ever left there
      const store = await open();
      await interrupt(BLOB.sha256);
      const left = await all(store.list());
      expect(left.map(({ partial }) => partial)).toEqual([true]);
      expect(await codeOf(collected(store.read(BLOB.sha256)))).toBe('STORE_READ');
      await store.remove(left.map(({ name }) => name));
      expect(await all(store.list())).toEqual([]);
    });

    it('refuses addresses that are no digest', async () => {
      const { open, stored } = await fresh();
      const store = await open();
      for (const address of ['', '../../x', BLOB.sha256.toUpperCase(), `${BLOB.sha256}0`, '__proto__']) {
        expect(await codeOf(store.put(address, pieces(Buffer.from('blob')), 10))).toBe('SUBMISSION_INVALID');
      }
      expect(await stored()).toEqual([]);
    });
  });
}

/** What a site's suite is given: the site, its blob store, and a look at what is visible. */
export interface SiteUnderTest {
  readonly open: Opener<{ readonly site: Site; readonly blobs: BlobStore }>;
  /** What a client gets at a URL relative to the site, such as `metadata/timestamp.json`. */
  readonly get: (url: string) => Promise<Uint8Array | undefined>;
  /** Every URL with something behind it. */
  readonly urls: () => Promise<readonly string[]>;
  /** More files than a process may have open, where that matters. */
  readonly many?: number;
}

/** Runs the site's suite. */
export function siteSuite(name: string, fresh: () => Promise<SiteUnderTest>): void {
  describe(`Site: ${name}`, () => {
    it('shows role files under versioned names, the timestamp under its plain name only', async () => {
      const { open, get, urls } = await fresh();
      const { site } = await open();
      expect(await site.shownTimestamp()).toBeUndefined();
      await site.showFiles([
        roleFile('timestamp', 7, 'time'),
        roleFile('pkg.1.a.2eb', 3, 'role'),
        roleFile('root', 1, 'R'),
      ]);
      expect(textOf(await get('metadata/timestamp.json'))).toBe('time');
      expect(textOf(await get(`metadata/${metadataUrl('pkg.1.a.2eb', 3)}`))).toBe('role');
      expect(textOf(await get('metadata/1.root.json'))).toBe('R');
      expect(textOf(await site.shownTimestamp())).toBe('time');
      expect((await urls()).length).toBe(3);
    });

    it('shows files again, and more files than a process may have open', async () => {
      const { open, get, urls, many = 3000 } = await fresh();
      const { site } = await open();
      const files = Array.from({ length: many }, (_, i) => roleFile(`pkg.1.p${i}`, 1, `of ${i}`));
      await site.showFiles([...files, roleFile('timestamp', 1, 'one')]);
      await site.showFiles([...files.slice(0, 3), roleFile('timestamp', 2, 'two')]);
      expect(textOf(await get(`metadata/1.pkg.1.p${many - 1}.json`))).toBe(`of ${many - 1}`);
      expect(textOf(await get('metadata/timestamp.json'))).toBe('two');
      expect((await urls()).length).toBe(many + 1);
      expect((await all(site.list())).length).toBe(many + 1);
    });

    it('shows a target under both digests, again and again', async () => {
      const { open, get, urls } = await fresh();
      const { site, blobs } = await open();
      await blobs.put(BLOB.sha256, pieces(Buffer.from('blob')), 10);
      const targets = ['pkg/ab12/x/x-1.0.0+b.tgz', 'pkg/ab12/@s@x/x 1%41.tgz'].map((path) => ({ path, blob: BLOB }));
      for (let i = 0; i < 2; i++) await site.showTargets(targets);
      await site.showTargets([]);
      for (const { path } of targets) {
        for (const digest of [BLOB.sha256, BLOB.sha512]) {
          expect(textOf(await get(`targets/${targetUrl(requireTargetPath(path), digest)}`))).toBe('blob');
        }
      }
      expect((await urls()).length).toBe(4);
    });

    it('shows the longest file name that admission takes', async () => {
      const { open, get } = await fresh();
      const { site, blobs } = await open();
      await blobs.put(BLOB.sha256, pieces(Buffer.from('blob')), 10);
      const path = `pkg/ab12/${'s'.repeat(250)}/${'f'.repeat(120)}`;
      await site.showTargets([{ path, blob: BLOB }]);
      expect(textOf(await get(`targets/${targetUrl(requireTargetPath(path), BLOB.sha512)}`))).toBe('blob');
    });

    it('replaces the timestamp in one step: a reader never sees a part or a gap', async () => {
      const { open, get } = await fresh();
      const { site } = await open();
      const texts = ['a', 'b'].map((letter) => letter.repeat(5000));
      await site.showFiles([roleFile('timestamp', 1, texts[0] ?? '')]);
      let writing = true;
      const writer = (async () => {
        for (let i = 0; i < 40; i++) await site.showFiles([roleFile('timestamp', i + 2, texts[i % 2] ?? '')]);
        writing = false;
      })();
      while (writing) {
        expect(texts).toContain(textOf(await get('metadata/timestamp.json')));
        await new Promise((resolve) => setImmediate(resolve)); // what is in memory is there without waiting
      }
      await writer;
    });

    it('never leaves its folder, whatever a role is called', async () => {
      const { open, urls } = await fresh();
      const { site } = await open();
      await site.showFiles([roleFile('__proto__', 1, 'x'), roleFile('..', 1, 'y'), roleFile('../z', 1, 'z')]);
      expect((await urls()).length).toBe(3);
      // Without a base of its own a name could lead out.
      for (const role of ['a/../../../x', '/../../x', 'a/./x', 'a//x', 'a\\..\\x', 'a\0']) {
        expect([role, await codeOf(site.showFiles([roleFile(role, 1, 'x')]))]).toEqual([role, 'USAGE_INVALID']);
      }
      expect((await urls()).length).toBe(3);
    });

    it('shows a role whose name has slashes where a web server looks for it', async () => {
      const { open, get } = await fresh();
      const { site } = await open();
      await site.showFiles([roleFile('team/a b', 3, 'x')]);
      expect(textOf(await get(`metadata/${metadataUrl('team/a b', 3)}`))).toBe('x');
      expect((await all(site.list())).map(({ url }) => url)).toEqual([`metadata/${metadataUrl('team/a b', 3)}`]);
    });

    it('lists what it shows by URL, reads it, and removes what it is told', async () => {
      const { open, get } = await fresh();
      const { site, blobs } = await open();
      await blobs.put(BLOB.sha256, pieces(Buffer.from('blob')), 10);
      await site.showTargets([{ path: 'pkg/@s/x 1+b.tgz', blob: BLOB }]);
      await site.showFiles([roleFile('pkg.1.a', 2, 'role'), roleFile('timestamp', 1, 'time')]);
      const path = requireTargetPath('pkg/@s/x 1+b.tgz');
      const wanted = [
        'metadata/2.pkg.1.a.json 4',
        'metadata/timestamp.json 4',
        ...[BLOB.sha256, BLOB.sha512].map((digest) => `targets/${targetUrl(path, digest)} 4`),
      ];
      const listed = await all(site.list());
      expect(
        sortedBy(
          listed.map(({ url, length }) => `${url} ${length}`),
          String,
        ),
      ).toEqual(sortedBy(wanted, String));
      expect(listed.some(({ partial }) => partial)).toBe(false);
      for (const { url } of listed)
        expect(await collected(site.read(url))).toEqual(Buffer.from((await get(url)) ?? ''));
      for (let i = 0; i < 2; i++)
        await site.remove(['metadata/2.pkg.1.a.json', `targets/${targetUrl(path, BLOB.sha512)}`]);
      expect((await all(site.list())).length).toBe(2);
      expect(await get('metadata/2.pkg.1.a.json')).toBeUndefined();
      expect(await codeOf(collected(site.read('metadata/2.pkg.1.a.json')))).toBe('STORE_READ');
      // The blob itself is not the site's.
      expect(textOf(await collected(blobs.read(BLOB.sha256)))).toBe('blob');
      for (const url of [
        '../x',
        'metadata/../../x',
        'metadata/%2e%2e/x',
        '/etc/x',
        'blobs/x',
        'metadata',
        '',
        'targets/a%00',
      ]) {
        expect([url, await codeOf(site.remove([url]))]).toEqual([url, 'USAGE_INVALID']);
        expect([url, await codeOf(collected(site.read(url)))]).toEqual([url, 'USAGE_INVALID']);
      }
    });
  });
}

const AT = Date.UTC(2030, 0, 1);
const BLOB = blobOf('blob');

function entry(id: string, text = `text of ${id}`): { id: string; received: number; text: string } {
  return { id, received: AT, text };
}

function commitOf(expected: number, files: readonly RoleFile[], more: Partial<Commit> = {}): Commit {
  return { expected, at: AT, files, targets: [], published: [], refused: [], ...more };
}

function roleFile(role: string, version: number, text: string): RoleFile {
  const bytes = Buffer.from(text);
  return { role, version, bytes, sha256: digestOf('sha256', text) };
}

function rowOf(role: string, version: number, text: string): RoleRow {
  return { role, version, length: text.length, sha256: digestOf('sha256', text) };
}

function blobOf(content: string | Uint8Array): BlobFacts {
  return { sha256: digestOf('sha256', content), sha512: digestOf('sha512', content), length: content.length };
}

function digestOf(algorithm: string, content: string | Uint8Array): string {
  return createHash(algorithm).update(content).digest('hex');
}

function sorted<T extends { readonly role: string }>(rows: readonly T[]): readonly T[] {
  return sortedBy(rows, ({ role }) => role);
}

function sortedBy<T>(rows: readonly T[], keyOf: (row: T) => string): readonly T[] {
  return [...rows].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function* pieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collected(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && new TextDecoder().decode(bytes);
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  );
}
