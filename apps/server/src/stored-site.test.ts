// What a node serves of a site in an object store that fails.

import { editTimestamp, openEnvelope, readTimestamp, StoreError, signFile } from '@countersign/core';
import type { KeptDocument } from '@countersign/repository';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { NOW } from '../test/service.ts';
import type { CollectionStore } from './collection-store.ts';
import { StoredMetadata } from './stored-site.ts';

const [one, two, three] = await Promise.all([1, 2, 3].map(timestampOf));
let ledger: Map<string, Uint8Array>;
let ledgerDown: boolean;
let documents: Map<string, KeptDocument>;
let node: () => StoredMetadata;
let site: Map<string, Uint8Array>;
let down: boolean;
let now: number;
let metadata: StoredMetadata;

async function timestampOf(version: number): Promise<Uint8Array> {
  const snapshot = { version, length: undefined, hashes: undefined };
  let draft = editTimestamp(undefined, { expires: NOW, snapshot });
  for (let made = 1; made < version; made++) {
    const bytes = await signFile(draft, [seededKey('timestamp')]);
    draft = editTimestamp(readTimestamp(openEnvelope(bytes, 'timestamp').signed), { expires: NOW, snapshot });
  }
  return await signFile(draft, [seededKey('timestamp')]);
}

beforeEach(() => {
  [ledger, site, down, now] = [new Map(), new Map(), false, 0];
  [documents, ledgerDown] = [new Map(), false];
  const failing = (): void => {
    if (down) throw new StoreError('STORE_READ', 'Reading from the object store: no answer');
  };
  const store = {
    ledger: {
      async file(role: string, version?: number) {
        if (ledgerDown) throw new StoreError('STORE_READ', 'Reading the ledger: no answer');
        return ledger.get(version === undefined ? role : `${version}.${role}`);
      },
      async document(kind: string, id: string) {
        if (ledgerDown) throw new StoreError('STORE_READ', 'Reading the ledger: no answer');
        return documents.get(`${kind} ${id}`);
      },
      async putDocument(kind: string, id: string, revision: number, text: string) {
        if ((documents.get(`${kind} ${id}`)?.revision ?? 0) !== revision) return false;
        documents.set(`${kind} ${id}`, { kind, id, revision: revision + 1, text });
        return true;
      },
    },
    site: {
      async shownTimestamp() {
        failing();
        return site.get('metadata/timestamp.json');
      },
      async *read(url: string) {
        failing();
        const found = site.get(url);
        if (found === undefined) throw new StoreError('STORE_READ', 'none', { detail: { reason: 'NoSuchKey' } });
        yield found;
      },
    },
  } as unknown as CollectionStore;
  node = () => new StoredMetadata(store, { answer: 50, outage: 5_000, now: () => now });
  metadata = node();
});

async function served(file = 'timestamp.json', by = metadata): Promise<unknown> {
  return await by.read(file).then(
    ({ plain }) => plain.bytes,
    (error: { readonly code?: unknown }) => error.code,
  );
}

function shows(bytes: Uint8Array | undefined): Buffer {
  return Buffer.from(bytes ?? []);
}

function publish(bytes: Uint8Array | undefined, where: 'committed' | 'shown'): void {
  ledger.set('timestamp', shows(bytes));
  if (where === 'shown') site.set('metadata/timestamp.json', shows(bytes));
}

describe('while the store is away', () => {
  it('the timestamp that was seen last is served on, if nothing newer is committed', async () => {
    publish(one, 'shown');
    expect(await served()).toEqual(shows(one));
    down = true;
    expect(await served()).toEqual(shows(one));
  });

  it('what is committed and was never seen is refused at first, so that no other node takes clients back', async () => {
    publish(one, 'shown');
    await served();
    down = true;
    publish(two, 'committed');
    expect(await served()).toBe('STORE_READ');
    now += 4_999;
    expect(await served()).toBe('STORE_READ');
    now += 1;
    expect(await served()).toEqual(shows(two));
  });

  it('and is not taken back when the store shows the one before for a while', async () => {
    publish(one, 'shown');
    down = true;
    publish(two, 'committed');
    await served();
    now += 5_000;
    expect(await served()).toEqual(shows(two));
    down = false;
    expect(await served()).toEqual(shows(two));
    publish(three, 'shown');
    expect(await served()).toEqual(shows(three));
  });

  it('nor by a node that did not notice, nor later by one that starts then', async () => {
    publish(one, 'shown');
    const other = node();
    expect(await served('timestamp.json', other)).toEqual(shows(one));
    down = true;
    publish(two, 'committed');
    await served();
    now += 5_000;
    expect(await served()).toEqual(shows(two));
    expect(await served('timestamp.json', other)).toEqual(shows(two));
    down = false;
    expect(await served('timestamp.json', other)).toEqual(shows(two));
    expect(await served('timestamp.json', node())).toEqual(shows(two));
    // What it leads to is not in the store yet.
    ledger.set('2.snapshot', Buffer.from('{}'));
    expect(await served('2.snapshot.json', other)).toEqual(Buffer.from('{}'));
    publish(two, 'shown');
    publish(three, 'committed');
    expect(await served('timestamp.json', other)).toEqual(shows(two));
  });

  it('without the ledger too nothing is served that was not shown', async () => {
    publish(one, 'shown');
    await served();
    ledgerDown = true;
    expect(await served()).toEqual(shows(one));
    expect(await served('2.root.json')).toBe('NOT_FOUND');
    down = true;
    expect(await served()).toBe('STORE_READ');
    expect(await served('2.root.json')).toBe('STORE_READ');
  });

  it('the wait begins again after each answer', async () => {
    publish(one, 'shown');
    down = true;
    publish(two, 'committed');
    await served();
    [down, now] = [false, 5_000];
    expect(await served()).toEqual(shows(one));
    down = true;
    expect(await served()).toBe('STORE_READ');
  });

  it('files with a version come from the ledger', async () => {
    ledger.set('7.snapshot', Buffer.from('{}'));
    down = true;
    expect(await served('7.snapshot.json')).toEqual(Buffer.from('{}'));
    expect(await served('8.snapshot.json')).toBe('NOT_FOUND');
  });
});

it.each(['../1.root.json', '1.%2e%2e.json', 'root.json', 'x', ''])('%s is no metadata file', async (file) => {
  expect(await served(file)).toBe('NOT_FOUND');
});
