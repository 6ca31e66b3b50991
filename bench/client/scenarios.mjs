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

/** Rounds that count, and the turns that they are done in. */
const ROUNDS = 9;
const TURNS = 3;
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
    const { ours, theirs } = await inTurn({ bench, peers, quick }, repository, size);
    const cells = peers.map((peer) => {
      const times = theirs.get(peer);
      if (times === undefined) return theirs.has(peer) ? 'refused' : '';
      const ratio = timesFaster(ours, times);
      if (fiveTimes[label]?.includes(peer.name)) {
        promises.push(promise(ratio >= 5, `${label}: at least 5 times faster than ${peer.name}: ${ratio.toFixed(1)}`));
      }
      return `${ms(median(times))} (${ratio.toFixed(1)})`;
    });
    rows.push([label, kib(repository.metadataBytes), ms(median(ours)), ...cells]);
  }
  table(['', 'metadata', 'ours', ...peers.map(({ name }) => `${name} (times ours)`)], rows);
  return promises;
}

/**
 * All clients in one process each, a few rounds in turn, so that a busy moment of the machine meets all of them.
 * @param {Setting} setting @param {Repository} repository @param {number} size
 */
async function inTurn({ bench, peers, quick }, repository, size) {
  /** @type {number[]} */
  const ours = [];
  /** By peer; `undefined` where it fails. @type {Map<ReadyPeer, number[] | undefined>} */
  const theirs = new Map();
  for (const peer of peers) if (peer.name !== 'tuf-js' || size <= TUF_JS_LIMIT) theirs.set(peer, []);
  for (let turn = 0; turn < (quick ? 2 : TURNS); turn++) {
    ours.push(...(await bench.ours('time', repository, ROUNDS / TURNS)).ms);
    for (const [peer, times] of theirs) {
      if (times === undefined) continue;
      try {
        times.push(...(await bench.peer(peer, repository, ROUNDS / TURNS)));
      } catch (error) {
        theirs.set(peer, undefined); // a limit of its own, or a form that it does not read
        if (process.env['VERBOSE']) console.log(`${repository.name}: ${String(error).slice(0, 300)}`);
      }
    }
  }
  return { ours, theirs };
}

/** @param {Setting} setting */
async function wholeProcesses({ bench, peers, quick }) {
  const rows = [];
  const cpuRows = [];
  const promises = [];
  for (const count of quick ? [0, 1000, 10_000] : [0, 100, 1000, 10_000, 64_000]) {
    const repository = await flatRepository(bench.place(`flat-${count}`), count);
    const asked = peers.filter(({ name }) => name !== 'tuf-js' || count <= TUF_JS_LIMIT);
    const { took, cpu, maxRss } = await processesInTurn(
      new Map([
        ['node', [process.execPath, '-e', '0']],
        ['refresh', bench.command(repository, 'refresh')],
        ['fetch', bench.command(repository, 'fetch')],
        ...asked.map((peer) => /** @type {const} */ ([peer.name, bench.peerCommand(peer, repository)])),
      ]),
      quick ? 2 : TURNS,
    );
    const times = (/** @type {string} */ name) => timesFaster(took('fetch'), took(name));
    const ofNode = (/** @type {string} */ name) => timesFaster(took('node'), took(name)).toFixed(2);
    const has = (/** @type {string} */ name) => asked.some((peer) => peer.name === name);
    if (has('python-tuf')) {
      const text = `whole process, ${count} targets: faster than python-tuf: ${times('python-tuf').toFixed(2)} times`;
      promises.push(promise(times('python-tuf') > 1, text));
    }
    if (count === 0) {
      const theirs = has('go-tuf') ? `, and go-tuf ${ofNode('go-tuf')}` : '';
      const text = `whole process, empty repository: at most 2 times node -e 0: ${ofNode('refresh')}${theirs}`;
      promises.push(promise(Number(ofNode('refresh')) <= 2, text));
    }
    cpuRows.push([
      `${count} targets`,
      ...['node', 'refresh', 'fetch'].map((name) => ms(median(cpu(name)))),
      ...peers.map(({ name }) => (has(name) ? ms(median(cpu(name))) : '')),
    ]);
    rows.push([
      `${count} targets`,
      ms(median(took('node'))),
      `${ms(median(took('refresh')))} (${ofNode('refresh')})`,
      ms(median(took('fetch'))),
      mib(maxRss('fetch')),
      ...peers.map(({ name }) => (has(name) ? `${ms(median(took(name)))} (${times(name).toFixed(2)})` : '')),
    ]);
  }
  const ours = ['node -e 0', 'our refresh (times node)', 'our fetch', 'peak'];
  table(['', ...ours, ...peers.map(({ name }) => `${name} (times our fetch)`)], rows);
  console.log('processor time, which a busy machine changes little:');
  table(['', 'node -e 0', 'our refresh', 'our fetch', ...peers.map(({ name }) => name)], cpuRows);
  return promises;
}

/** Several commands, a few runs of each in turn. @param {ReadonlyMap<string, readonly string[]>} commands @param {number} turns */
async function processesInTurn(commands, turns) {
  /** @type {Map<string, { ms: number[], cpuMs: number[], maxRss: number }>} */
  const all = new Map();
  for (let turn = 0; turn < turns; turn++) {
    for (const [name, command] of commands) {
      // Each run has a folder of its own.
      const fresh = command.map((part) => part.replaceAll('{round}', `${turn}-{round}`));
      const some = await processes(fresh, ROUNDS / TURNS);
      const { ms: before = [], cpuMs = [], maxRss = 0 } = all.get(name) ?? {};
      all.set(name, {
        ms: [...before, ...some.ms],
        cpuMs: [...cpuMs, ...some.cpuMs],
        maxRss: Math.max(maxRss, some.maxRss),
      });
    }
  }
  return {
    took: (/** @type {string} */ name) => all.get(name)?.ms ?? [],
    cpu: (/** @type {string} */ name) => all.get(name)?.cpuMs ?? [],
    maxRss: (/** @type {string} */ name) => all.get(name)?.maxRss ?? 0,
  };
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
      const command = bench.command(repository, 'fetch');
      const fetched = await processes(command, 1);
      // As curl's file: the next one shall find as much memory that the system has used before.
      rmSync((command[command.indexOf('--output') + 1] ?? '').replace('{round}', '0'));
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
