// What a ledger that can be copied whole must do beyond `ledgerSuite`: give
// everything that was put in, and take it into an empty one so that nobody can
// tell the two apart.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { LedgerRows, WholeLedger } from '../src/ports.ts';
import type { Opener } from './port-suite.ts';

/** Runs the suite. @param fresh gives an opener on new, empty storage */
export function wholeLedgerSuite(name: string, fresh: () => Promise<Opener<WholeLedger>>): void {
  describe(`WholeLedger: ${name}`, () => {
    it('gives back all that was put in, as if it had been committed', async () => {
      const open = await fresh();
      const before = await open();
      expect(await rowsOf(before)).toEqual(EMPTY);
      await before.put(ROWS);
      await before.close();
      const ledger = await open();
      expect(await rowsOf(ledger)).toEqual(ROWS);
      expect(await ledger.head()).toEqual({ publication: 7, at: 70 });
      expect(await ledger.committedAt(3)).toBe(30);
      expect(await ledger.committedAt(5)).toBeUndefined();
      expect(textOf(await ledger.file('a'))).toBe('a two');
      expect(textOf(await ledger.file('a', 1))).toBe('a one');
      const { files, targets } = await ledger.made(7);
      expect(files.map(({ role, version }) => [role, version])).toEqual([['a', 2]]);
      expect(targets).toEqual([{ path: 'p/1', blob: BLOB }]);
      // Its content was dropped, but what it showed is still known.
      expect((await ledger.made(3)).targets).toEqual([]);
      expect(await ledger.shown('p/2')).toBe(digestOf('sha256', 'gone'));
      expect(await ledger.account('t1')).toBe('alice');
      expect((await ledger.pending()).map(({ id }) => id)).toEqual(['waits']);
      expect(await ledger.putDocument('draft', 'x', 4, 'next')).toBe(true);
      await ledger.close();
    });

    it('putting twice changes nothing, and goes on where it was', async () => {
      const ledger = await (await fresh())();
      await ledger.put(ROWS);
      await ledger.put(ROWS);
      expect(await rowsOf(ledger)).toEqual(ROWS);
      const refused = { code: 'SUBMISSION_STALE', message: 'late', detail: {} } as const;
      await ledger.put({ submissions: [{ ...WAITS, refusal: refused }] });
      expect(await ledger.pending()).toEqual([]);
      expect((await rowsOf(ledger)).submissions?.map(({ id }) => id)).toEqual(['done', 'waits']);
      const commit = { expected: 7, at: 80, files: [], targets: [], published: [], refused: [] };
      expect(await ledger.commit(commit)).toBe(true);
      expect((await ledger.head())?.publication).toBe(8);
      await ledger.close();
    });

    it('is nothing to anybody before a publication is put in', async () => {
      const ledger = await (await fresh())();
      const { publications: _later, ...rows } = ROWS;
      await ledger.put(rows);
      expect(await ledger.head()).toBeUndefined();
      await ledger.close();
    });
  });
}

async function rowsOf(ledger: WholeLedger): Promise<LedgerRows> {
  const held = await allOf(ledger.held());
  const files = [];
  for (const { role, version, sha256, publication } of held) {
    files.push({ role, version, sha256, publication, bytes: (await ledger.file(role, version)) ?? new Uint8Array() });
  }
  return {
    files,
    roles: [...(await ledger.roles())].sort((a, b) => (a.role < b.role ? -1 : 1)),
    shown: await allOf(ledger.everShown()),
    blobs: await allOf(ledger.blobs()),
    decisions: await allOf(ledger.decisions(1)),
    submissions: await allOf(ledger.submissions()),
    documents: await allOf(ledger.everyDocument()),
    accounts: await allOf(ledger.accounts()),
    publications: await allOf(ledger.publications()),
  };
}

async function allOf<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

function digestOf(algorithm: string, text: string): string {
  return createHash(algorithm).update(text).digest('hex');
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && new TextDecoder().decode(bytes);
}

function file(
  role: string,
  version: number,
  publication: number,
  text: string,
): NonNullable<LedgerRows['files']>[number] {
  return { role, version, publication, sha256: digestOf('sha256', text), bytes: new TextEncoder().encode(text) };
}

const EMPTY: LedgerRows = {
  files: [],
  roles: [],
  shown: [],
  blobs: [],
  decisions: [],
  submissions: [],
  documents: [],
  accounts: [],
  publications: [],
};
const BLOB = { sha256: digestOf('sha256', 'one'), sha512: digestOf('sha512', 'one'), length: 3 };
const WAITS = { id: 'waits', received: 2, text: 'later', publication: undefined, refusal: undefined };
const ROWS: LedgerRows = {
  files: [file('a', 1, 3, 'a one'), file('a', 2, 7, 'a two'), file('b', 1, 3, 'b one')],
  roles: [
    { role: 'a', version: 2, length: 5, sha256: digestOf('sha256', 'a two') },
    { role: 'b', version: 1, length: 5, sha256: digestOf('sha256', 'b one') },
  ],
  shown: [
    { path: 'p/1', sha256: BLOB.sha256, publication: 7 },
    { path: 'p/2', sha256: digestOf('sha256', 'gone'), publication: 3 },
  ],
  blobs: [BLOB],
  decisions: [
    { sequence: 1, text: 'first' },
    { sequence: 2, text: 'second' },
  ],
  submissions: [{ id: 'done', received: 1, text: 'sent', publication: 7, refusal: undefined }, WAITS],
  documents: [
    { kind: 'draft', id: 'x', revision: 4, text: 'kept' },
    { kind: 'mark', id: 'x', revision: 1, text: 'there' },
  ],
  accounts: [
    { tokenSha256: 't1', account: 'alice' },
    { tokenSha256: 't2', account: 'bob' },
  ],
  publications: [
    { publication: 3, at: 30 },
    { publication: 7, at: 70 },
  ],
};
