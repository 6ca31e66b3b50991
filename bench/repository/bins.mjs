// Plain collections: how long 16,384 path-hash bins take to create (case e),
// and what an import of a million targets into them does to time and memory,
// with one more artifact afterwards (case d). The second client reads the files
// as any static web server would serve them.

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, memoryState } from '@countersign/client';
import { nodeCrypto } from '@countersign/client/node';
import { median, ms, percentile, table } from '../measure.mjs';
import { startChild } from './children.mjs';
import { cpuSeconds, memoryOf } from './process-use.mjs';

const BITS = 14;
const BINS = 2 ** BITS;
/** Targets of one publication of the import: some 16,000. */
const TOGETHER = 2 ** 14;
const LIMIT = { create: 10, rate: 10_000, memory: 1e9, p50: 150 };

/** Case e. */
export async function creating({ scratch, quick, bound }) {
  const times = [];
  for (const form of ['classic', 'succinct']) {
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      const child = startChild('./plain-collection.mjs');
      try {
        const folder = join(scratch, `${form}-${round}`);
        const { created, opened } = await child.ask({ create: { folder, bitLength: BITS, form } });
        times.push({ form, created, opened });
        await child.ask({ close: true });
      } finally {
        child.stop();
      }
    }
  }
  const of = (form, key) => median(times.filter((one) => one.form === form).map((one) => one[key]));
  table(
    ['bins', 'form', 'durable after', 'visible after'],
    ['classic', 'succinct'].map((form) => [BINS, form, ms(of(form, 'created')), ms(of(form, 'opened'))]),
  );
  bound(`e: ${BINS} bins, durable and visible`, of('classic', 'opened') / 1000, '≤', LIMIT.create, 's');
}

/** Case d. */
export async function importing({ scratch, quick, targets, bound, say }) {
  const count = quick ? Math.min(targets, 200_000) : targets;
  const child = startChild('./plain-collection.mjs');
  try {
    const folder = join(scratch, 'plain');
    const { anchor } = await child.ask({ create: { folder, bitLength: BITS, form: 'classic' } });
    const curve = await imported(child, count);
    const { at: took } = curve.at(-1);
    say(
      `${count.toLocaleString('en')} targets into ${BINS.toLocaleString('en')} bins, in publications of some ${TOGETHER.toLocaleString('en')}`,
    );
    const shown = Array.from({ length: 10 }, (_, i) => curve[Math.ceil(((i + 1) * curve.length) / 10) - 1]);
    const row = ({ at, listed, memory }, i) => {
      const before = shown[i - 1] ?? { at: 0, listed: 0 };
      const rate = (listed - before.listed) / (at - before.at);
      return [
        listed.toLocaleString('en'),
        `${at.toFixed(1)} s`,
        Math.round(rate).toLocaleString('en'),
        megabytes(memory),
      ];
    };
    table(['listed', 'after', 'a second since the row above', 'resident'], shown.map(row));
    const peak = memoryOf(child.pid).peak;
    const rate = count / took;
    say(
      `in all ${Math.round(rate).toLocaleString('en')} a second, ${Math.round(count / curve.at(-1).cpu).toLocaleString('en')} a CPU second, at most ${megabytes(peak)} resident`,
    );
    bound('d: targets imported a second', rate, '≥', LIMIT.rate, '');
    bound('d: memory at most', peak / 1e6, '≤', LIMIT.memory / 1e6, 'MB');
    const times = await publishMore(child, join(folder, 'site'), Buffer.from(anchor, 'base64'), quick ? 20 : 100);
    table(
      ['one more artifact', 'p50', 'p90', 'p99', 'max'],
      [['until found by a client that verifies', ...[50, 90, 99, 100].map((p) => ms(percentile(times, p)))]],
    );
    bound('d: p50 of one more artifact', median(times), '≤', LIMIT.p50, 'ms');
    await child.ask({ close: true });
  } finally {
    child.stop();
  }
}

/** The import as it goes: `{ at, listed, memory, cpu }` after each publication. */
async function imported(child, count) {
  const cpu = cpuSeconds(child.pid);
  const from = performance.now();
  const curve = [];
  const note = (listed) =>
    curve.push({
      at: (performance.now() - from) / 1000,
      listed,
      memory: memoryOf(child.pid).now,
      cpu: cpuSeconds(child.pid) - cpu,
    });
  const parts = Math.min(BINS, 2 ** Math.max(0, Math.round(Math.log2(count / TOGETHER))));
  let answer = await child.ask({ list: { count, parts } });
  while (answer.progress !== undefined) {
    note(answer.progress);
    answer = await child.next();
  }
  return curve;
}

async function publishMore(child, site, anchor, count) {
  const client = await Client.open({
    metadataUrl: 'metadata/',
    targetsUrl: 'targets/',
    transport: folderTransport(site),
    state: memoryState(),
    crypto: nodeCrypto,
    clock: Date.now,
    anchor,
  });
  const times = [];
  for (let i = -5; i < count; i++) {
    const path = `more/file-${i}.bin`;
    const from = performance.now();
    const published = child.ask({ publish: { path, bytes: randomBytes(4096).toString('base64') } });
    do await client.refresh();
    while ((await client.find(path)) === undefined);
    const took = performance.now() - from;
    await published;
    if (i >= 0) times.push(took);
  }
  return times;
}

/** Reads a site as it lies on the disk. */
function folderTransport(site) {
  return {
    async get(url) {
      const bytes = await readFile(join(site, decodeURIComponent(url))).catch(() => undefined); // not there
      return { status: bytes === undefined ? 404 : 200, body: bytes === undefined ? none() : one(bytes) };
    },
  };
}

async function* one(bytes) {
  yield bytes;
}

async function* none() {}

function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`;
}
