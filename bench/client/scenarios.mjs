// What is measured, by the names of the set that clients are compared on. Each
// scenario makes its repositories, prints its table, and gives back what we
// hold ourselves to in it, with the numbers that decide.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, ms, table } from '../measure.mjs';
import { processes, timesFaster } from './measured.mjs';
import {
  binRepository,
  blobRepository,
  delegatingRepository,
  flatRepository,
  publishAgain,
  rotatedRepository,
  targetPathOf,
} from './repositories.mjs';

/** @import { Repository } from './repositories.mjs' */
/** @import { Bench } from './measured.mjs' */
/** @import { ReadyPeer } from '../../tools/peers/peers.mjs' */

/** Something we hold ourselves to. @typedef {{ text: string, holds: boolean }} Promise_ */
/** @typedef {{ bench: Bench, peers: readonly ReadyPeer[], quick: boolean }} Setting */
/** @typedef {{ id: string, title: string, measure: (setting: Setting) => Promise<readonly Promise_[]> }} Scenario */

const MIB = 2 ** 20;

/** @type {readonly Scenario[]} */
export const SCENARIOS = [
  {
    id: 'R1',
    title: 'a minimal repository: refresh and one lookup, in one process',
    measure: async (setting) => {
      const repository = await flatRepository(setting.bench.place('flat-0'), 0);
      await besidePeers(setting, [['cold', repository, 0]]);
      const { ms: warm } = await setting.bench.ours('warm', repository, ROUNDS);
      console.log(`warm, nothing changed (ours): ${ms(median(warm))}`);
      return [];
    },
  },
  {
    id: 'R3',
    title: 'a chain of root rotations, three of five keys, in one process',
    measure: async (setting) => {
      const cases = [];
      for (const rotations of setting.quick ? [10] : [10, 40, 255]) {
        const place = setting.bench.place(`rotated-${rotations}`);
        cases.push(row(`${rotations} rotations`, await rotatedRepository(place, rotations), rotations));
      }
      await besidePeers(setting, cases);
      return [];
    },
  },
  {
    id: 'T1',
    title: 'a top-level role with many targets: refresh and one lookup, in one process',
    measure: async (setting) => {
      const cases = [];
      for (const count of setting.quick ? [1000, 10_000] : [100, 1000, 10_000, 30_000, 100_000]) {
        cases.push(row(`${count} targets`, await flatRepository(setting.bench.place(`flat-${count}`), count), count));
      }
      return await besidePeers(setting, cases, { '10000 targets': ['python-tuf', 'go-tuf'] });
    },
  },
  {
    id: 'T2',
    title: 'a snapshot of many hash bins (TAP 15): refresh and one lookup, in one process',
    measure: async (setting) => {
      const cases = [];
      for (const bins of setting.quick ? [16_384] : [256, 1024, 16_384, 65_536]) {
        cases.push(row(`${bins} bins`, await binRepository(setting.bench.place(`bins-${bins}`), bins), bins));
      }
      return await besidePeers(setting, cases, { '16384 bins': ['python-tuf', 'go-tuf'] });
    },
  },
  {
    id: 'T1g',
    title: 'growth: each doubling of the targets, ours, in one process',
    measure: async ({ bench, quick }) => {
      const sizes = [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000].slice(0, quick ? 5 : 7);
      const medians = [];
      for (const count of sizes) {
        const repository = await flatRepository(bench.place(`flat-${count}`), count);
        medians.push(median((await bench.ours('time', repository, ROUNDS)).ms));
      }
      const steps = medians.slice(1).map((value, i) => value / (medians[i] ?? value));
      const rows = sizes.map((count, i) => [
        count,
        ms(medians[i] ?? 0),
        i === 0 ? '' : `${steps[i - 1]?.toFixed(2)} times`,
      ]);
      table(['targets', 'median', 'doubling costs'], rows);
      const worst = Math.max(...steps);
      return [
        promise(
          worst <= 2.6,
          `each doubling from 1,000 to ${sizes.at(-1)} targets costs at most 2.6 times: worst ${worst.toFixed(2)}`,
        ),
      ];
    },
  },
  {
    id: 'D1',
    title: 'a walk through delegations, the last sibling matches, in one process',
    measure: async (setting) => {
      const shapes = setting.quick
        ? [[5, 100]]
        : [
            [1, 1000],
            [5, 100],
            [30, 10],
          ];
      const cases = [];
      for (const [depth = 1, breadth = 1] of shapes) {
        const place = setting.bench.place(`delegating-${depth}-${breadth}`);
        cases.push(
          row(
            `depth ${depth}, ${breadth} siblings`,
            await delegatingRepository(place, { depth, breadth }),
            depth * breadth,
          ),
        );
      }
      await besidePeers(setting, cases);
      return [];
    },
  },
  {
    id: 'M1',
    title: 'lookups by one client that has refreshed, 10,000 targets, ours',
    measure: async ({ bench, quick }) => {
      const repository = await flatRepository(bench.place('flat-10000'), 10_000);
      const paths = Array.from({ length: 1000 }, (_, i) => targetPathOf(i * 10));
      const rows = [];
      for (const count of quick ? [1, 1000] : [1, 1000, 100_000]) {
        const { ms: all } = await bench.ours('lookups', repository, count, paths);
        rows.push([count, ms(median(all)), `${((median(all) * 1000) / count).toFixed(1)} µs`]);
      }
      table(['lookups', 'in all', 'each'], rows);
      return [];
    },
  },
  {
    id: 'P1',
    title: 'whole processes: refresh, one lookup, one small download',
    measure: wholeProcesses,
  },
  {
    id: 'B1',
    title: 'one large target: our command beside curl -o and openssl dgst for each hash that is checked',
    measure: largeTarget,
  },
  {
    id: 'C1',
    title: 'eight processes that refresh into one folder while the repository publishes, ours',
    measure: sharedFolder,
  },
];

/** Rounds that count. */
const ROUNDS = 9;
/** tuf-js is measured, and published, up to here. */
const TUF_JS_LIMIT = 1000;

/** @param {string} label @param {Repository} repository @param {number} size @returns {Case} */
function row(label, repository, size) {
  return [label, repository, size];
}

/** @typedef {readonly [label: string, repository: Repository, size: number]} Case */

/**
 * Our client and every peer on each repository, and how many times faster we are.
 * @param {Setting} setting @param {readonly Case[]} cases
 * @param {Readonly<Record<string, readonly string[]>>} [fiveTimes] peers that we have to be five times faster than
 */
async function besidePeers({ bench, peers, quick }, cases, fiveTimes = {}) {
  const rows = [];
  const promises = [];
  for (const [label, repository, size] of cases) {
    const { ms: ours } = await bench.ours('time', repository, ROUNDS);
    const cells = [];
    for (const peer of peers) {
      if (peer.name === 'tuf-js' && size > TUF_JS_LIMIT) {
        cells.push('');
        continue;
      }
      try {
        const theirs = await bench.peer(peer, repository, quick ? 5 : ROUNDS);
        const times = timesFaster(ours, theirs);
        cells.push(`${ms(median(theirs))} (${times.toFixed(1)})`);
        if (fiveTimes[label]?.includes(peer.name)) {
          promises.push(
            promise(times >= 5, `${label}: at least 5 times faster than ${peer.name}: ${times.toFixed(1)}`),
          );
        }
      } catch (error) {
        cells.push('refused'); // a limit of its own, or a form that it does not read
        if (process.env['VERBOSE']) console.log(`${label}: ${String(error).slice(0, 300)}`);
      }
    }
    rows.push([label, kib(repository.metadataBytes), ms(median(ours)), ...cells]);
  }
  table(['', 'metadata', 'ours', ...peers.map(({ name }) => `${name} (times ours)`)], rows);
  return promises;
}

/** @param {Setting} setting */
async function wholeProcesses({ bench, peers, quick }) {
  const rounds = quick ? 5 : ROUNDS;
  const bare = await processes([process.execPath, '-e', '0'], 2 * rounds);
  console.log(`node -e 0: ${ms(median(bare.ms))}, ${mib(bare.maxRss)} peak memory`);
  const rows = [];
  const promises = [];
  for (const count of quick ? [0, 1000, 10_000] : [0, 100, 1000, 10_000, 64_000]) {
    const repository = await flatRepository(bench.place(`flat-${count}`), count);
    const refresh = await processes(bench.command(repository, 'refresh'), rounds);
    const fetch = await processes(bench.command(repository, 'fetch'), rounds);
    const cells = [];
    for (const peer of peers) {
      if (peer.name === 'tuf-js' && count > TUF_JS_LIMIT) {
        cells.push('');
        continue;
      }
      const theirs = await processes(bench.peerCommand(peer, repository), rounds);
      cells.push(`${ms(median(theirs.ms))} (${timesFaster(fetch.ms, theirs.ms).toFixed(2)})`);
      if (peer.name === 'python-tuf') {
        const times = timesFaster(fetch.ms, theirs.ms);
        promises.push(
          promise(times > 1, `whole process, ${count} targets: faster than python-tuf: ${times.toFixed(2)} times`),
        );
      }
      if (peer.name === 'go-tuf' && count === 0) {
        console.log(`go-tuf, empty repository: ${timesFaster(bare.ms, theirs.ms).toFixed(2)} times node -e 0`);
      }
    }
    const ratio = timesFaster(bare.ms, refresh.ms);
    if (count === 0) {
      promises.push(
        promise(ratio <= 2, `whole process, empty repository: at most 2 times node -e 0: ${ratio.toFixed(2)}`),
      );
    }
    rows.push([
      `${count} targets`,
      ms(median(refresh.ms)),
      `${ratio.toFixed(2)}`,
      ms(median(fetch.ms)),
      mib(fetch.maxRss),
      ...cells,
    ]);
  }
  const header = [
    '',
    'refresh',
    'times node',
    'fetch',
    'peak',
    ...peers.map(({ name }) => `${name} (times our fetch)`),
  ];
  table(header, rows);
  return promises;
}

/** @param {Setting} setting */
async function largeTarget({ bench, quick }) {
  const length = (quick ? 64 : 256) * MIB;
  const bare = await processes([process.execPath, '-e', '0'], 3);
  const rows = [];
  const promises = [];
  for (const algorithms of /** @type {const} */ ([['sha256'], ['sha256', 'sha512']])) {
    const repository = await blobRepository(bench.place(`blob-${algorithms.length}`), length, algorithms);
    const [file = ''] = readdirSync(join(repository.folder, 'targets'));
    const out = join(bench.scratch(), 'curl.out');
    const curl = [];
    const ours = [];
    let maxRss = 0;
    // In turn, so that a busy moment of the machine meets both.
    for (let round = 0; round < (quick ? 3 : 5); round++) {
      const { ms: got } = await processes(
        ['curl', '-s', '-o', out, `${bench.baseUrl}${repository.name}/targets/${file}`],
        1,
      );
      let sum = got[0] ?? 0;
      for (const algorithm of algorithms) {
        const { ms: hashed } = await processes(['openssl', 'dgst', `-${algorithm}`, out], 1);
        sum += hashed[0] ?? 0;
      }
      rmSync(out);
      curl.push(sum);
      const fetched = await processes(bench.command(repository, 'fetch'), 1);
      ours.push(...fetched.ms);
      maxRss = Math.max(maxRss, fetched.maxRss);
    }
    const speed = timesFaster(ours, curl);
    const more = maxRss - bare.maxRss;
    const label = `${length / MIB} MiB, ${algorithms.join(' and ')}`;
    rows.push([label, ms(median(ours)), ms(median(curl)), speed.toFixed(2), mib(maxRss), mib(more)]);
    promises.push(
      promise(speed >= 0.85, `${label}: at least 0.85 of the speed of curl and openssl: ${speed.toFixed(2)}`),
      promise(
        more <= 64 * MIB,
        `${label}: peak memory at most node's own ${mib(bare.maxRss)} and 64 MiB: and ${mib(more)}`,
      ),
    );
  }
  table(['', 'our command', 'curl + openssl', 'of their speed', 'peak', 'above node -e 0'], rows);
  return promises;
}

/** @param {Setting} setting */
async function sharedFolder({ bench, quick }) {
  const place = bench.place('shared');
  const repository = await flatRepository(place, 100);
  const command = bench.command(repository, 'refresh');
  const state = join(bench.scratch(), 'state');
  const line = command.map((part) => (part.endsWith('{round}') ? state : part));
  const rounds = quick ? 5 : 25;
  const clients = Promise.allSettled(Array.from({ length: 8 }, () => processes(line, rounds)));
  let running = true;
  void clients.then(() => {
    running = false;
  });
  let publications = 0;
  while (running) {
    await publishAgain(place);
    publications++;
    await sleep(20);
  }
  const all = await clients;
  const failed = all.filter(({ status }) => status === 'rejected').length;
  const torn = readdirSync(state).filter((name) => !name.endsWith('.json') && name !== 'root_history');
  console.log(
    `${8 * rounds} refreshes, ${publications} publications: ${failed} processes refused, ${torn.length} files left over`,
  );
  return [promise(failed === 0 && torn.length === 0, 'one folder, eight processes: no refusal, nothing left over')];
}

/** @param {boolean} holds @param {string} text @returns {Promise_} */
function promise(holds, text) {
  return { holds, text };
}

/** @param {number} bytes */
function mib(bytes) {
  return `${(bytes / MIB).toFixed(0)} MiB`;
}

/** @param {number} bytes */
function kib(bytes) {
  return `${Math.round(bytes / 1024)} KiB`;
}
