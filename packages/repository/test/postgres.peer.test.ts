// The ledger on a real PostgreSQL, and what happens when it, or a publisher,
// goes away.

import { spawn } from 'node:child_process';
import { createConnection, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { findPostgres, startPostgres } from '../../../tools/peers/postgres.ts';
import { requireServer } from '../../../tools/peers/require-peer.ts';
import type { RunningServer } from '../../../tools/peers/servers.ts';
import type { Commit } from '../src/index.ts';
import type { WholeLedger } from '../src/operations/index.ts';
import { openPostgres } from '../src/postgres/index.ts';
import { factsOf } from './memory-store.ts';
import { ledgerSuite } from './port-suite.ts';
import { wholeLedgerSuite } from './whole-ledger-suite.ts';
import { codeOf } from './world.ts';

const found = findPostgres();
let server: RunningServer;
let collections = 0;

it('has a PostgreSQL to be tested against', (context) => {
  requireServer(found, context);
});

beforeAll(async () => {
  if (found.available) server = await startPostgres(found);
});

afterAll(async () => {
  await server?.close();
});

/** A ledger with connections of its own, as another process has them. */
async function open(collection: string, url = server.url): Promise<WholeLedger> {
  const database = await openPostgres({ url, maxConnections: 4 });
  const ledger = await database.ledger(collection);
  const close = ledger.close.bind(ledger);
  return Object.assign(ledger, {
    close: async () => {
      await close();
      await database.close();
    },
  });
}

function fresh(): string {
  return `collection ${++collections}`;
}

async function opened(collection = fresh(), url?: string): Promise<WholeLedger> {
  const ledger = await open(collection, url);
  onTestFinished(async () => await ledger.close());
  return ledger;
}

function commitOf(expected: number, role = 'r'): Commit {
  const bytes = Buffer.from(`${role} ${expected}`);
  const files = [{ role, version: expected + 1, bytes, sha256: factsOf(bytes).sha256 }];
  return { expected, at: 0, files, targets: [], published: [], refused: [] };
}

describe.runIf(found.available)('PostgreSQL', () => {
  ledgerSuite('PostgreSQL', async () => {
    const collection = fresh();
    return async () => await open(collection);
  });

  wholeLedgerSuite('PostgreSQL', async () => {
    const collection = fresh();
    return async () => await open(collection);
  });

  it('keeps collections apart', async () => {
    const [one, other] = [await opened(), await opened()];
    await one.journal([{ id: 'a', received: 0, text: 'of one' }]);
    await other.journal([{ id: 'a', received: 0, text: 'of the other' }]);
    await one.commit({ ...commitOf(0), published: ['a'], decisions: [{ sequence: 1, text: 'd' }] });
    await one.addToken('token', 'alice');
    await one.recordBlob(factsOf(Buffer.from('x')));
    await one.putDocument('draft', 'a', 0, 'of one');
    expect(await other.head()).toBeUndefined();
    expect((await other.submission('a'))?.text).toBe('of the other');
    expect((await other.pending()).length).toBe(1);
    expect(await other.account('token')).toBeUndefined();
    expect(await other.blob(factsOf(Buffer.from('x')).sha256)).toBeUndefined();
    expect(await other.documents('draft')).toEqual([]);
    for (const rows of [other.held(), other.blobs(), other.decisions(0), other.everShown()]) {
      for await (const row of rows) expect(row).toBeUndefined();
    }
    expect([await one.lead(), await other.lead()]).not.toContain(undefined);
  });

  it('makes its tables once, however many start at once', async () => {
    const name = 'several_at_once';
    const client = new Client({ connectionString: server.url });
    await client.connect();
    await client.query(`CREATE DATABASE ${name}`);
    await client.end();
    const url = server.url.replace(/postgres$/, name);
    const databases = await Promise.all([1, 2, 3, 4].map(() => openPostgres({ url, maxConnections: 1 })));
    const ledgers = await Promise.all(databases.map((database) => database.ledger('main')));
    await ledgers[0]?.journal([{ id: 'a', received: 0, text: '' }]);
    for (const ledger of ledgers) expect((await ledger.pending()).length).toBe(1);
    for (const database of databases) await database.close();
  });

  it('refuses a server that does not wait for its disk', async () => {
    const url = `${server.url}?options=-c%20synchronous_commit%3Doff`;
    const client = new Client({ connectionString: server.url });
    await client.connect();
    await client.query("ALTER DATABASE postgres SET synchronous_commit = 'off'");
    try {
      expect(await codeOf(openPostgres({ url }))).toBe('STORE_UNSAFE');
    } finally {
      await client.query('ALTER DATABASE postgres RESET synchronous_commit');
      await client.end();
    }
  });

  it('lets exactly one of two publishers win, 300 times', async () => {
    const collection = fresh();
    const publishers = [await opened(collection), await opened(collection)];
    for (let expected = 0; expected < 300; expected++) {
      const won = await Promise.all(publishers.map((ledger, i) => ledger.commit(commitOf(expected, `r${i}`))));
      expect(won.filter((one) => one).length).toBe(1);
      const { files } = (await publishers[0]?.made(expected + 1)) ?? {};
      expect(files?.map(({ role }) => role)).toEqual([`r${won.indexOf(true)}`]);
    }
  });

  it('commits 16,384 role files in one publication', async () => {
    const ledger = await opened();
    const files = Array.from({ length: 16_384 }, (_, i) => {
      const bytes = Buffer.alloc(700, `bin ${i} `);
      return { role: `bin-${i}`, version: 1, bytes, sha256: factsOf(bytes).sha256 };
    });
    expect(await ledger.commit({ ...commitOf(0), files })).toBe(true);
    expect((await ledger.roles()).length).toBe(16_384);
    const made = await ledger.made(1);
    expect(made.files.map(({ role }) => role)).toEqual(files.map(({ role }) => role));
    expect(Buffer.compare(made.files[16_383]?.bytes ?? Buffer.of(), files[16_383]?.bytes ?? Buffer.of())).toBe(0);
  });

  it('says that the server is gone, and goes on by itself when it is back', async () => {
    const ledger = await opened();
    await ledger.commit(commitOf(0));
    let changes = 0;
    ledger.watch(() => changes++);
    const lead = await ledger.lead();
    await server.crash();
    await lead?.lost; // at once
    expect(await codeOf(ledger.head())).toBe('STORE_READ');
    expect(await codeOf(ledger.commit(commitOf(1)))).toBe('STORE_WRITE');
    expect(await codeOf(ledger.journal([{ id: 'a', received: 0, text: '' }]))).toBe('STORE_WRITE');
    expect(await codeOf(ledger.lead())).toBe('STORE_READ');
    await expect(ledger.head()).rejects.toThrow('Reading the ledger: PostgreSQL does not answer (ECONNREFUSED)');
    changes = 0;
    await server.restart();
    await vi.waitFor(() => expect(changes).toBeGreaterThan(0), 5_000); // something may have been missed
    expect(await ledger.head()).toMatchObject({ publication: 1 });
    expect(await ledger.commit(commitOf(1))).toBe(true);
    expect(await ledger.lead()).toBeDefined();
  });

  it('uses no connection that ended while it lay idle', async () => {
    const ledger = await opened();
    for (let i = 0; i < 3; i++) {
      await Promise.all([ledger.head(), ledger.roles(), ledger.pending()]);
      await server.crash();
      await server.restart();
      await ledger.journal([{ id: `${i}`, received: 0, text: '' }]);
      expect((await ledger.pending()).length).toBe(i + 1);
    }
  });

  it('replaces a publisher that was killed within five seconds', async () => {
    const collection = fresh();
    const next = await opened(collection);
    const child = spawn(process.execPath, ['--input-type=module', '-e', LEADS, server.url, collection], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: fileURLToPath(new URL('..', import.meta.url)),
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(await next.lead()).toBeUndefined();
    const killed = performance.now();
    child.kill('SIGKILL');
    const lead = await vi.waitFor(async () => (await next.lead()) ?? Promise.reject(new Error('not yet')), 5_000);
    expect(performance.now() - killed).toBeLessThan(5_000);
    await lead.release();
  });

  it('loses the right to publish when its connection is cut, also without a word', async () => {
    const collection = fresh();
    for (const how of ['cut', 'silent'] as const) {
      const way = await proxy();
      const ledger = await opened(collection, way.url);
      const lead = await ledger.lead();
      expect(lead).toBeDefined();
      const next = await opened(collection);
      if (how === 'cut') way.cut();
      else way.silence();
      await lead?.lost;
      way.cut(); // as the server's own keep-alive does
      const after = await vi.waitFor(async () => (await next.lead()) ?? Promise.reject(new Error('not yet')), 5_000);
      await after.release();
    }
  });

  it('keeps the right to publish while it is busy with something long', async () => {
    const database = await openPostgres({ url: server.url });
    onTestFinished(async () => await database.close());
    const [one, other] = [await database.ledger(fresh()), await database.ledger(fresh())];
    const lead = await one.lead();
    let lost = false;
    void lead?.lost.then(() => {
      lost = true;
    });
    // The question is on its way, and the answer has to wait for us.
    const second = other.lead();
    await new Promise((resolve) => setImmediate(resolve));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4_000);
    expect(await second).toBeDefined();
    expect(lost).toBe(false);
  });

  it('finds out what became of a commit whose answer was lost', async () => {
    const collection = fresh();
    const way = await proxy();
    const ledger = await opened(collection, way.url);
    const other = await opened(collection);
    // It happened.
    way.loseAnswerTo('COMMIT');
    expect(await ledger.commit(commitOf(0))).toBe(true);
    expect(await other.head()).toMatchObject({ publication: 1 });
    // It did not.
    way.loseRequest('COMMIT');
    expect(await codeOf(ledger.commit(commitOf(1)))).toBe('STORE_WRITE');
    expect(await other.head()).toMatchObject({ publication: 1 });
    // It did not, and another publisher was there first.
    way.loseRequest('COMMIT', async () => void (await other.commit(commitOf(1, 'other'))));
    expect(await ledger.commit(commitOf(1))).toBe(false);
    expect((await other.made(2)).files.map(({ role }) => role)).toEqual(['other']);
    // Nothing can be found out.
    way.loseAnswerTo('COMMIT');
    way.refuseOthers();
    expect(await codeOf(ledger.commit(commitOf(2)))).toBe('STORE_WRITE');
    way.acceptOthers();
    expect(await ledger.commit(commitOf(2))).toBe(false);
    expect(await ledger.head()).toMatchObject({ publication: 3 });
  });
});

const LEADS = `
  const { openPostgres } = await import('@countersign/repository/postgres');
  const database = await openPostgres({ url: process.argv[1] });
  await (await database.ledger(process.argv[2])).lead();
  console.log('leads');`;

/** A way to the server that can be broken. */
async function proxy(): Promise<{
  readonly url: string;
  cut(): void;
  silence(): void;
  loseAnswerTo(text: string): void;
  loseRequest(text: string, meanwhile?: () => Promise<void>): void;
  refuseOthers(): void;
  acceptOthers(): void;
}> {
  const { hostname, port } = new URL(server.url);
  const sockets = new Set<Socket>();
  let silent = false;
  let refusing = false;
  let armed: { text: string; forward: boolean; meanwhile: () => Promise<void> } | undefined;
  const front = createServer((client) => {
    if (refusing) {
      client.destroy();
      return;
    }
    const back = createConnection(Number(port), hostname);
    let deaf = false;
    for (const socket of [client, back]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        back.destroy();
        if (!deaf) client.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (silent) return;
      if (armed === undefined || !chunk.includes(armed.text)) {
        back.write(chunk);
        return;
      }
      const { forward, meanwhile } = armed;
      armed = undefined;
      deaf = true;
      if (!forward) back.destroy();
      else back.write(chunk);
      void (async () => {
        await new Promise((resolve) => setTimeout(resolve, 100)); // until the server is done
        await meanwhile();
        client.destroy();
      })();
    });
    back.on('data', (chunk) => {
      if (!silent && !deaf) client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    front.close();
    cut();
  });
  const address = front.address();
  const nothing = async (): Promise<void> => undefined;
  return {
    url: server.url.replace(port, String(typeof address === 'object' ? address?.port : '')),
    cut,
    silence: () => {
      silent = true;
    },
    loseAnswerTo: (text) => {
      armed = { text, forward: true, meanwhile: nothing };
    },
    loseRequest: (text, meanwhile = nothing) => {
      armed = { text, forward: false, meanwhile };
    },
    refuseOthers: () => {
      refusing = true;
    },
    acceptOthers: () => {
      refusing = false;
    },
  };
}
