// What a node serves of a site in an object store that fails.

import { editTimestamp, openEnvelope, readTimestamp, StoreError, signFile } from '@countersign/core';
import { seededKey } from '@countersign/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { NOW } from '../test/service.ts';
import type { CollectionStore } from './collection-store.ts';
import { StoredMetadata } from './stored-site.ts';

const [one, two, three] = await Promise.all([1, 2, 3].map(timestampOf));
let ledger: Map<string, Uint8Array>;
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
  const failing = (): void => {
    if (down) throw new StoreError('STORE_READ', 'Reading from the object store: no answer');
  };
  const store = {
    ledger: {
      file: async (role: string, version?: number) => ledger.get(version === undefined ? role : `${version}.${role}`),
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
  metadata = new StoredMetadata(store, { answer: 50, outage: 5_000, now: () => now });
});

async function served(file = 'timestamp.json'): Promise<Uint8Array | unknown> {
  return await metadata.read(file).then(
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
